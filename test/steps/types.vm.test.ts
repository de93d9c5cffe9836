import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Plan } from '../../src/plan/model.ts'
import type { Report } from '../../src/profile/report.ts'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'
import { cliJson, fullOnly, keepLaunched, vmEnvironment } from '../vm/support.ts'

/** Every step type on booted systems, run by the real agent; the recipes' last steps look at what came of the others. */

let home: CliHome
let env: Record<string, string>

beforeAll(async () => {
  home = await cliHome()
  env = await vmEnvironment(home)
  await cliJson(home, env, 'keys', 'init')
  await cliJson(home, env, 'base', 'build', 'debian-12')
})

afterAll(async () => {
  await home[Symbol.asyncDispose]()
})

describe('all types', () => {
  const recipe = join(import.meta.dirname, 'all-types')

  test('a VM provisions itself with them', async () => {
    await cliJson(home, env, 'publish', recipe)
    const kept = await keepLaunched<{ readonly report: Report }>(home, env, 'launch', recipe)
    await kept.stop()
    const { outcome, steps } = kept.result.report
    expect(steps.map(({ name, outcome: came, output }) => [name, came, output])).toEqual(
      steps.map(({ name }) => [name, 'ran', undefined]),
    )
    expect([outcome, steps.length]).toEqual(['ok', 9])
  })

  test('what an image must not hold is left to its hosts', async () => {
    const plan = await cliJson<Plan>(home, env, 'plan', recipe)
    const runtime = plan.steps.filter((step) => step.decision === 'runtime').map((step) => step.name)
    // The account has SSH keys; what needs it stays with it.
    expect(runtime).toEqual(expect.arrayContaining(['account', 'folder', 'unit', 'served', 'result']) as string[])
  })
})

describe.skipIf(!fullOnly || process.getuid?.() !== 0)('ansible and puppet', () => {
  const recipe = join(import.meta.dirname, 'software')

  test('are installed by steps of their own, and do their work in a bake', async () => {
    const plan = await cliJson<Plan>(home, env, 'plan', recipe)
    expect(plan.steps.map(({ name, decision }) => [name, decision])).toEqual(
      ['ansible-software', 'play', 'puppet-software', 'apply', 'again', 'result'].map((name) => [name, 'bake']),
    )
    const options = ['--engine', 'container', '--output', 'disk.qcow2', '--no-verify', '--no-cache']
    const result = await runCli(['bake', recipe, ...options], { cwd: home.cwd, env })
    expect([result.exitCode, result.exitCode === 0 ? '' : result.stderr]).toEqual([0, ''])
  })
})
