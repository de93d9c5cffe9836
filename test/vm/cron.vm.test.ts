import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { reportSchema, type Report } from '../../src/profile/report.ts'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'
import { cliJson, keepLaunched, vmEnvironment } from './support.ts'

/** A real host that cron keeps up to date: a new version, a bad one that is halted, and the way back. */

let home: CliHome
let env: Record<string, string>
let folder: string

beforeAll(async () => {
  home = await cliHome()
  env = await vmEnvironment(home)
  folder = join(home.cwd, 'small')
  await mkdir(folder)
  await cliJson(home, env, 'keys', 'init')
  await cliJson(home, env, 'base', 'build', 'debian-12')
})

afterAll(async () => {
  await home[Symbol.asyncDispose]()
})

const write = (run: string) =>
  writeFile(
    join(folder, 'recipe.yaml'),
    `name: small\nevery: 1\nsteps:\n  - {name: version, type: script, run: '${run}'}\n`,
  )

/** All reports in the embedded store, oldest first. */
async function reports(): Promise<readonly Report[]> {
  const root = join(env['PARBAKE_STATE'] ?? '', 'store')
  const found: Report[] = []
  for (const entry of await readdir(root, { recursive: true })) {
    if (!/reports\/small\/dt=[^/]+\/[^/]+\.json$/.test(entry)) continue
    found.push(reportSchema.parse(JSON.parse(await readFile(join(root, entry), 'utf8'))))
  }
  return found.toSorted((a, b) => a.startedAt - b.startedAt)
}

/** The first report that fits. Cron converges each minute; an emulated host may need another one to do so. */
async function reported(what: string, fits: (report: Report) => boolean): Promise<Report> {
  const deadline = performance.now() + 300_000
  for (;;) {
    const all = await reports()
    const report = all.find(fits)
    if (report !== undefined) return report
    if (performance.now() > deadline) throw new Error(`no report of ${what} among ${JSON.stringify(all)}`)
    await sleep(1000)
  }
}

test('a host takes a new version from cron, a bad one is halted, and a rollback brings the first one back', async () => {
  await write('echo one >/srv/version')
  await cliJson(home, env, 'publish', folder)
  const kept = await keepLaunched<{ readonly report: Report }>(home, env, 'launch', folder)
  const first = kept.result.report
  try {
    expect(first).toMatchObject({ outcome: 'ok', trigger: 'boot' })

    await write('echo two >/srv/version')
    await cliJson(home, env, 'publish', folder)
    const second = await reported('the second version', ({ bundle }) => bundle !== first.bundle)
    expect(second).toMatchObject({ trigger: 'cron', outcome: 'ok', host: first.host, first: false })
    expect(second.steps.map(({ name, outcome }) => [name, outcome])).toEqual([['version', 'ran']])

    await write('echo three >/srv/version; exit 3')
    await cliJson(home, env, 'rollout', 'start', folder, '--percent', '100', '--min-hosts', '1')
    const bad = await reported('the bad version', ({ outcome }) => outcome === 'failed')
    expect(bad).toMatchObject({ trigger: 'cron', error: expect.stringContaining('step version failed with exit') })
    const watch = await runCli(['rollout', 'watch', 'small', '--once', '--json'], { cwd: home.cwd, env })
    expect(watch.stdout).toContain('1 of 1')
    const status = await runCli(['rollout', 'status', 'small', '--json'], { cwd: home.cwd, env })
    expect(status.stdout).toContain('"halted"')
    // Without the rollout it is the second version's again; nothing of that is due, but the channel has changed.
    const after = await reported(
      'the way back from the rollout',
      ({ outcome, bundle, startedAt }) => startedAt > bad.startedAt && outcome === 'ok' && bundle === second.bundle,
    )

    await cliJson(home, env, 'rollback', 'small')
    const last = await reported(
      'the rollback',
      ({ bundle, startedAt }) => startedAt > after.startedAt && bundle === first.bundle,
    )
    expect(last).toMatchObject({ trigger: 'cron', outcome: 'ok' })
    expect(last.serial).toBeGreaterThan(after.serial)
  } finally {
    await kept.stop()
  }
})
