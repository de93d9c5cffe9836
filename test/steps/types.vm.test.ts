import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findBase } from '../../src/base/cache.ts'
import type { Context } from '../../src/context.ts'
import { loadConfig } from '../../src/load-config.ts'
import type { Plan } from '../../src/plan/model.ts'
import type { Report } from '../../src/profile/report.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { stepTypes } from '../../src/steps/registry.ts'
import { containerRunner } from '../../src/verify/container/host.ts'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'
import { cliJson, fullOnly, keepLaunched, vmEnvironment } from '../vm/support.ts'

/** Every step type on booted systems, run by the real agent; the recipes' last steps look at what came of the others. */

const isRoot = process.getuid?.() === 0

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

describe.skipIf(!isRoot)('every type', () => {
  const folder = join(import.meta.dirname, 'every-type')

  test('is done on one host, and nothing twice', async () => {
    await cliJson(home, env, 'publish', folder)
    const recipe = await loadRecipe(folder)
    const config = await loadConfig(home.cwd, undefined, env)
    const context: Context = { config, reporter: silentReporter, signal: new AbortController().signal }
    const { name, digest, path } = await findBase('debian-12', context)
    await using prepared = await containerRunner.prepare(context, { base: name, digest, path, imageId: '' })
    const { disk } = prepared
    await using host = await containerRunner.start(context, { recipe, channel: config.channel, disk, role: 'recipe' })
    const { steps, outcome } = host.report
    expect(outcome).toBe('ok')
    // The steps `result` and `configured` fail where one of the others did nothing.
    const ran = new Map(steps.map((step) => [step.name, step.outcome]))
    expect([...ran].filter(([, came]) => came !== 'ran')).toEqual([])
    expect(new Set(recipe.steps.filter((step) => ran.has(step.name)).map(({ type }) => type))).toEqual(
      new Set(stepTypes.map((type) => type.name)),
    )
    const again = await host.converge()
    expect([again.outcome, again.steps.map((step) => step.outcome)]).toEqual(['ok', steps.map(() => 'stamped')])
  })
})

describe.skipIf(!fullOnly || !isRoot)('ansible and puppet', () => {
  const recipe = join(import.meta.dirname, 'software')

  test('are installed by steps of their own, and do their work in a bake', async () => {
    const plan = await cliJson<Plan>(home, env, 'plan', recipe)
    expect(plan.steps.map(({ name, decision }) => [name, decision])).toEqual(
      ['ansible-software', 'play', 'puppet-software', 'apply', 'again', 'configured'].map((name) => [name, 'bake']),
    )
    const options = ['--engine', 'container', '--output', 'disk.qcow2', '--no-verify', '--no-cache']
    const result = await runCli(['bake', recipe, ...options], { cwd: home.cwd, env })
    expect([result.exitCode, result.exitCode === 0 ? '' : result.stderr]).toEqual([0, ''])
  })
})
