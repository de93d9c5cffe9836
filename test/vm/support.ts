import { mkdir, readdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { collect, runCli, startCli, type CliHome, type CliResult } from '../support/cli.ts'

/** The bases of all VM tests, and of the user's own runs: building one takes longer than a test. */
export const sharedCache = process.env['PARBAKE_CACHE'] ?? join(homedir(), '.cache', 'parbake')

/** Tests that a bounded run leaves out; `PARBAKE_TEST_FULL=1 npm test` runs them too. */
export const fullOnly = process.env['PARBAKE_TEST_FULL'] === '1'

/** Runs a verb that must succeed and hands back its JSON. */
export async function cliJson<T>(home: CliHome, env: Readonly<Record<string, string>>, ...args: string[]): Promise<T> {
  const result = await runCli([...args, '--json'], { cwd: home.cwd, env })
  if (result.exitCode !== 0)
    throw new Error(`parbake ${args.join(' ')} ended with ${result.exitCode}:\n${result.stderr}`)
  return JSON.parse(result.stdout) as T
}

/** The environment of a home whose cache is the shared one. */
export async function vmEnvironment(home: CliHome, extra: Readonly<Record<string, string>> = {}) {
  await mkdir(sharedCache, { recursive: true })
  return { ...home.env, PARBAKE_CACHE: sharedCache, ...extra }
}

/** A launch that goes on running; `result` is its JSON, `stop` interrupts it. */
export async function keepLaunched<T>(
  home: CliHome,
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<{ readonly result: T; stop(): Promise<CliResult> }> {
  const child = startCli([...args, '--keep', '--json'], { cwd: home.cwd, env })
  const ended = collect(child)
  let text = ''
  const result = await new Promise<T>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      if (text.endsWith('\n}\n')) resolve(JSON.parse(text) as T)
    })
    void ended.then(({ exitCode, stderr }) => reject(new Error(`launch ended with ${exitCode}:\n${stderr}`)))
  })
  return {
    result,
    stop: () => {
      child.kill('SIGINT')
      return ended
    },
  }
}

/** Command lines of all running QEMU processes that name this path. */
export async function qemuProcessesOf(path: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (line.includes('qemu-system') && line.includes(path)) found.push(line.replaceAll('\0', ' '))
  }
  return found
}
