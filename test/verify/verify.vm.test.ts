import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Verification } from '../../src/verify/verify.ts'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'
import { cliJson, fullOnly, sharedCache, vmEnvironment } from '../vm/support.ts'

/** Baked equals provisioned, through the real program: in containers as root, in VMs otherwise. */

const isRoot = process.getuid?.() === 0
const quickest = isRoot ? 'container' : 'vm'
const recipes = join(repository, 'test', 'fixtures', 'recipes-verify')

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

/** Publishes and bakes a recipe of the fixtures, and verifies the image. */
async function verified(
  name: string,
  engine: string = quickest,
): Promise<{ exitCode: number | null; stderr: string; result: Verification }> {
  const recipe = join(recipes, name)
  const disk = join(home.cwd, `${name}.qcow2`)
  await cliJson(home, env, 'publish', recipe)
  await cliJson(home, env, 'bake', recipe, '--engine', engine, '--output', disk, '--no-verify')
  const { exitCode, stdout, stderr } = await runCli(['verify', recipe, '--disk', disk, '--engine', engine, '--json'], {
    cwd: home.cwd,
    env,
  })
  if (stdout === '') throw new Error(`verify ended with ${exitCode}:\n${stderr}`)
  return { exitCode, stderr, result: JSON.parse(stdout) as Verification }
}

const unexplained = ({ explanation }: Verification) =>
  explanation.unexplained.map(({ kind, name, aspect }) => `${kind} ${name} ${aspect}`)

function expectWholeComparison(result: Verification): void {
  expect(result.compared.file).toBeGreaterThan(10_000)
  expect(result.compared.package).toBeGreaterThan(100)
  expect(result.compared.unit).toBeGreaterThan(50)
  expect(result.compared.port).toBeGreaterThan(1)
  expect(result.compared.user).toBeGreaterThan(10)
  expect(result.identity.filter(({ ok }) => !ok)).toEqual([])
  expect(result.identity.find(({ name }) => name === 'ssh-host-keys')?.outcome).toBe('differs')
  expect(result.idempotence.map(({ ok, findings }) => [ok, findings])).toEqual([
    [true, []],
    [true, []],
    [true, []],
  ])
}

describe('verify', () => {
  test('a recipe whose baking is unsafe fails, and the file is named', async () => {
    const { exitCode, stderr, result } = await verified('unsafe')
    expect(unexplained(result)).toEqual(['file /srv/unsafe/index.html content'])
    expect(result.ok).toBe(false)
    expect(exitCode).toBe(1)
    expect(stderr).toContain('1 difference that nothing explains')
    expectWholeComparison(result)
  })

  // Four boots are what a run without containers has time for.
  test.skipIf(!isRoot)('a sound recipe passes, and what belongs to the launch is told apart', async () => {
    const { exitCode, result } = await verified('sound')
    expect(unexplained(result)).toEqual([])
    expect(exitCode).toBe(0)
    expect(result.ok).toBe(true)
    expectWholeComparison(result)
    const perLaunch = result.explanation.explained.filter(({ by }) => by.source === 'launches')
    expect(perLaunch.map(({ difference }) => difference.name)).toContain('/srv/sound/instance')
  })

  test.skipIf(!isRoot)('nothing is left of the hosts', async () => {
    // Others may verify meanwhile; what belongs to nobody must not be there.
    const left = await readdir(join(sharedCache, 'verify'))
    expect(left.filter((name) => !existsSync(`/proc/${name.split('-')[1] ?? ''}`))).toEqual([])
  })

  test.runIf(fullOnly)('the same in VMs, with what only they have', async () => {
    const { exitCode, result } = await verified('sound', 'vm')
    expect(unexplained(result)).toEqual([])
    expect(exitCode).toBe(0)
    expectWholeComparison(result)
    const outcomes = new Map(result.identity.map(({ name, outcome }) => [name, outcome]))
    expect([outcomes.get('random-seed'), outcomes.get('dhcp-identity')]).toEqual(['differs', 'differs'])
    expect(result.compared.module).toBeGreaterThan(5)
  })

  test.skipIf(!isRoot)('a plain base is no image', async () => {
    const [base] = await cliJson<readonly { readonly path: string }[]>(home, env, 'base', 'list')
    const { exitCode, stderr } = await runCli(
      ['verify', join(recipes, 'unsafe'), '--disk', base?.path ?? '', '--engine', quickest],
      { cwd: home.cwd, env },
    )
    expect(stderr).toContain('is no image: the host from it says that nothing is baked into it')
    expect(exitCode).toBe(1)
  })
})
