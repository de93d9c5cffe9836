import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BakeResult } from '../../src/bake/bake.ts'
import type { Base } from '../../src/base/model.ts'
import { loadConfig } from '../../src/load-config.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { containerRunner } from '../../src/verify/container/host.ts'
import { cliHome, type CliHome } from '../support/cli.ts'
import { cliJson, fullOnly, vmEnvironment } from '../vm/support.ts'

/** Hosts that fetch and report by the clients of the distribution, which stage-0 installs: real systemd, real cloud-init. */

let home: CliHome
let env: Record<string, string>

beforeAll(async () => {
  home = await cliHome()
  env = await vmEnvironment(home)
  await cliJson(home, env, 'keys', 'init')
})

afterAll(async () => {
  await home[Symbol.asyncDispose]()
})

describe.skipIf(process.getuid?.() !== 0)('a host converges by', () => {
  test.each(fullOnly ? (['awscli', 'rclone', 's3cmd'] as const) : (['awscli'] as const))('%s', async (client) => {
    const folder = join(home.cwd, client)
    await mkdir(folder)
    await writeFile(join(home.cwd, 'parbake.yaml'), `hosts:\n  client: ${client}\n`)
    const step = `type: script\n    run: echo done >/srv/done`
    await writeFile(join(folder, 'recipe.yaml'), `steps:\n  - name: one\n    ${step}\n`)
    const base = await cliJson<Base>(home, env, 'base', 'build', 'debian-12')
    await cliJson(home, env, 'publish', folder)
    const config = await loadConfig(home.cwd, undefined, env)
    const context = { config, reporter: { emit: () => {}, close: () => {} }, signal: new AbortController().signal }
    const recipe = await loadRecipe(folder, { client })
    await using prepared = await containerRunner.prepare(context, {
      ...{ path: base.path, base: base.name, digest: base.digest, imageId: '' },
    })
    await using host = await containerRunner.start(context, {
      ...{ recipe, channel: config.channel, disk: prepared.disk, role: client },
    })
    const { tools, phases, steps, outcome } = host.report
    expect({ outcome, fetch: tools.fetch }).toEqual({ outcome: 'ok', fetch: client })
    expect(steps.map(({ name, outcome: came }) => [name, came])).toEqual([
      ['one', 'ran'],
      ['store-client', 'ran'],
    ])
    // What installing it took is in the report, before what the agent did by itself.
    expect(phases?.slice(0, 3).map(({ name }) => name)).toEqual(['client', 'agent', 'prepare'])
    expect(phases?.[0]?.wall).toBeGreaterThan(0.2)
    // A later converge has nothing to install. Its report comes by the same way.
    expect(await host.converge()).toMatchObject({ outcome: 'ok', tools: { fetch: client } })
    const reports = await readdir(join(fileURLToPath(config.store), 'reports', client), { recursive: true })
    expect(reports.filter((name) => name.endsWith('.json')).length).toBe(2)
    if (client !== 'awscli') return
    // An image holds it, whatever it costs. As from a launch: what verifies tells no one what a boot costs.
    const day = join(fileURLToPath(config.store), 'reports', client, 'dt=2026-11-20')
    await mkdir(day, { recursive: true })
    await writeFile(
      join(day, `${host.report.host}-${host.report.run}.json`),
      JSON.stringify({ ...host.report, purpose: 'fleet' }),
    )
    const options = ['--engine', 'container', '--output', 'disk.qcow2', '--no-verify', '--no-cache']
    const { manifest } = await cliJson<BakeResult>(home, env, 'bake', folder, ...options)
    expect(manifest.steps.map(({ name }) => name)).toContain('store-client')
  })
})
