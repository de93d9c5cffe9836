import { cliHome, runCli } from '../support/cli.ts'
import { sharedCache } from './support.ts'

/** Before the VM tests: the base that all of them start from is in the shared cache. */
export default async function buildBase(): Promise<void> {
  await using home = await cliHome()
  const env = { ...home.env, PARBAKE_CACHE: sharedCache }
  const { exitCode, stderr } = await runCli(['base', 'build', 'debian-12'], { cwd: home.cwd, env })
  if (exitCode !== 0) throw new Error(`the base of the VM tests cannot be built:\n${stderr}`)
}
