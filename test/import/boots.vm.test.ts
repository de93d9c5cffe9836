import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Base } from '../../src/base/model.ts'
import { findBase } from '../../src/base/cache.ts'
import type { Context } from '../../src/context.ts'
import { loadConfig } from '../../src/load-config.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { builtInAllowances } from '../../src/verify/allowed.ts'
import { compare, countCompared } from '../../src/verify/compare.ts'
import { containerRunner } from '../../src/verify/container/host.ts'
import { explain, type Allowance } from '../../src/verify/explain.ts'
import type { Inventory } from '../../src/verify/inventory.ts'
import { cliHome, type CliHome } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'
import { cliJson, vmEnvironment } from '../vm/support.ts'
import { inventoryOf } from './hosts.ts'

/** What was imported provisions what the original does: both on real systemd and real cloud-init, then compared. */

const originals = join(repository, 'test', 'fixtures', 'import')

/** What only a host with the agent has. */
const agentsOwn: readonly Allowance[] = [
  '/usr/local/sbin/parbake-agent',
  '/etc/parbake',
  '/etc/parbake/**',
  '/etc/cron.d/parbake',
  '/var/lib/parbake',
  '/var/log/parbake.log',
].map((glob) => ({ id: 'agent', kind: 'file', glob, reason: 'the agent', source: 'recipe' }))

let home: CliHome
let env: Record<string, string>
let context: Context
let base: Base

const isRoot = process.getuid?.() === 0

beforeAll(async () => {
  home = await cliHome()
  env = await vmEnvironment(home)
  await cliJson(home, env, 'keys', 'init')
  await cliJson(home, env, 'base', 'build', 'debian-12')
  const config = await loadConfig(home.cwd, undefined, env)
  context = { config, reporter: { emit: () => {}, close: () => {} }, signal: new AbortController().signal }
  base = await findBase('debian-12', context)
})

afterAll(async () => {
  await home[Symbol.asyncDispose]()
})

/** A host from the base that gets the recipe by the agent. */
async function provisioned(folder: string): Promise<Inventory> {
  await cliJson(home, env, 'publish', folder)
  const recipe = await loadRecipe(folder)
  const disk = { path: base.path, base: base.name, digest: base.digest, imageId: '' }
  await using prepared = await containerRunner.prepare(context, disk)
  const request = { recipe, channel: context.config.channel, disk: prepared.disk, role: 'recipe' }
  await using host = await containerRunner.start(context, request)
  return await host.inventory()
}

/** Imports an original and boots both; every difference that nothing explains. */
async function differences(original: string, userData?: string): Promise<readonly string[]> {
  const file = join(originals, original)
  const folder = join(home.cwd, basename(original).replace(/\..*/, ''))
  await cliJson(home, env, 'import', file, '--output', folder)
  const theirs = await inventoryOf(context, base, userData ?? (await readFile(file, 'utf8')))
  const ours = await provisioned(folder)
  expect(countCompared(theirs, ours).file).toBeGreaterThan(10_000)
  const { unexplained } = explain(compare(theirs, ours), [...builtInAllowances, ...agentsOwn], [])
  return unexplained.map(
    ({ kind, name, aspect, base: was, image }) => `${kind} ${name} ${aspect}: ${was ?? 'none'} -> ${image ?? 'none'}`,
  )
}

describe.skipIf(!isRoot)('an imported recipe ends where its original does', () => {
  test('a cloud-config', async () => {
    expect(await differences('cloud-web.yaml')).toEqual([])
  })

  test('a shell script', async () => {
    expect(await differences('notes-app.sh')).toEqual([])
  })
})
