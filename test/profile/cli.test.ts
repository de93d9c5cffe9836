import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { loadRecipe } from '../../src/recipe/load.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'
import { report, stepReport } from './support.ts'

const recipeYaml = (bake: string) => `name: web
steps:
  - name: build
    type: script
    run: sleep 9
    needs: []
    bake: ${bake}
  - name: register
    type: script
    run: hostname
    when: instance
    needs: [build]
`

async function writeRecipe(home: CliHome, bake = 'auto'): Promise<string> {
  const folder = join(home.cwd, 'recipes', 'web')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'recipe.yaml'), recipeYaml(bake))
  return folder
}

/** Three cold boots of the recipe now, and one a year ago. */
async function uploadReports(home: CliHome, folder: string): Promise<void> {
  const store = openDirectoryStore(join(home.env['PARBAKE_STATE'] as string, 'store'))
  const { steps } = await loadRecipe(folder)
  const reports = steps.map((each, index) =>
    stepReport(each.name, index === 0 ? 9 : 0.2, { digest: each.digest, when: each.when }),
  )
  const now = Math.floor(Date.now() / 1000)
  for (const startedAt of [now, now - 60, now - 120, now - 365 * 86_400]) {
    const document = report(reports, { startedAt, readyUptime: 30 })
    const day = new Date(startedAt * 1000).toISOString().slice(0, 10)
    await store.put(`reports/web/dt=${day}/${document.host}-${document.run}.json`, JSON.stringify(document))
  }
  store.close()
}

it.each(['profile', 'history', 'plan'])('parbake %s says what to do where nothing was reported yet', async (verb) => {
  await using home = await cliHome()
  await writeRecipe(home)
  const result = await runCli([verb, 'recipes/web'], home)
  expect(result).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'parbake: no reports for web\n  launch it first: parbake launch recipes/web\n',
  })
})

it('parbake profile prints tables, and JSON', async () => {
  await using home = await cliHome()
  await uploadReports(home, await writeRecipe(home))
  const text = await runCli(['profile', 'recipes/web'], home)
  expect(text).toMatchObject({ exitCode: 0, stderr: '' })
  expect(text.stdout).toMatch(/^web: 4 cold boots \(0 failed\) in 4 reports, /)
  expect(text.stdout).toMatch(/^build +change +4 +9\.00 s +9\.00 s +30 % /m)
  expect(text.stdout).toMatch(/^all steps ran +4 +30\.0 s /m)
  const json = await runCli(['profile', 'recipes/web', '--since', '7d', '--json'], home)
  expect(JSON.parse(json.stdout)).toMatchObject({ v: 1, recipe: 'web', reports: { fleet: 3, cold: 3 } })
})

it('parbake profile tells hosts apart and shows warm runs', async () => {
  await using home = await cliHome()
  await uploadReports(home, await writeRecipe(home))
  const by = await runCli(['profile', 'recipes/web', '--by', 'os'], home)
  expect(by).toMatchObject({ exitCode: 0, stderr: '' })
  expect(by.stdout).toMatch(/^debian-12 +4 +30\.0 s +30\.0 s /m)
  expect(by.stdout).toMatch(/^build +debian-12 +4 +9\.00 s /m)
  const warm = await runCli(['profile', 'recipes/web', '--warm'], home)
  expect(warm).toMatchObject({ exitCode: 0, stdout: 'web: 0 converges of live hosts (0 failed)\n', stderr: '' })
  const json = await runCli(['profile', 'recipes/web', '--json'], home)
  expect(JSON.parse(json.stdout)).toMatchObject({
    fleet: { groups: { distribution: [{ value: 'debian-12', cold: 4 }] } },
  })
})

it('parbake profile --rollup counts new reports once, and profile goes on from there', async () => {
  await using home = await cliHome()
  await uploadReports(home, await writeRecipe(home))
  const first = await runCli(['profile', 'recipes/web', '--rollup', '--json'], home)
  expect(JSON.parse(first.stdout)).toMatchObject({ recipe: 'web', documents: 4, conflicts: 0 })
  const again = await runCli(['profile', 'recipes/web', '--rollup', '--all'], home)
  expect(again).toMatchObject({ exitCode: 0 })
  expect(again.stdout).toMatch(/^web: 0 new in 0 of \d+ days looked at /)
  await uploadReports(home, join(home.cwd, 'recipes', 'web'))
  // The one for a day a year ago, which was just looked at, waits.
  const json = await runCli(['profile', 'recipes/web', '--json'], home)
  expect(JSON.parse(json.stdout)).toMatchObject({
    reports: { fleet: 7, cold: 7 },
    fleet: { reports: { fleet: 7, rolledUp: 4 } },
    ready: { allRan: { count: 7, current: true, launchToReady: { median: 30 } } },
  })
  const rest = await runCli(['profile', 'recipes/web', '--rollup', '--all', '--json'], home)
  expect(JSON.parse(rest.stdout)).toMatchObject({ documents: 4 })
  const text = await runCli(['profile', 'recipes/web'], home)
  expect(text.stdout).toMatch(/^build +change +8 +9\.00 s +9\.00 s +30 % /m)
  const plan = await runCli(['plan', 'recipes/web', '--json'], home)
  expect(JSON.parse(plan.stdout)).toMatchObject({ steps: [{ name: 'build', decision: 'bake' }, { name: 'register' }] })
})

it('parbake history shows days or weeks', async () => {
  await using home = await cliHome()
  await uploadReports(home, await writeRecipe(home))
  const weeks = await runCli(['history', 'recipes/web'], home)
  expect(weeks).toMatchObject({ exitCode: 0, stderr: '' })
  expect(weeks.stdout).toMatch(/^WEEK OF +BOOTS +FAILED +MEDIAN/m)
  const days = await runCli(['history', 'recipes/web', '--since', '3d', '--json'], home)
  expect(JSON.parse(days.stdout)).toMatchObject({ v: 1, recipe: 'web', by: 'day' })
  const { history } = JSON.parse(days.stdout) as { history: { launches: number }[] }
  expect(history.reduce((sum, { launches }) => sum + launches, 0)).toBe(3)
})

it.each([
  [['profile', 'recipes/web', '--by', 'colour'], "argument 'colour' is invalid"],
  [['profile', 'recipes/web', '--rollup', '--warm'], "'--rollup' cannot be used with option '--warm'"],
  [['history', 'recipes/web', '--by', 'year'], "argument 'year' is invalid"],
  [['history', 'recipes/web', '--since', 'soon'], "'soon' is no duration for --since"],
  [['profile', 'recipes/web', '--all'], '--all needs --rollup'],
])('parbake %j is bad usage', async (words, text) => {
  await using home = await cliHome()
  await writeRecipe(home)
  const result = await runCli(words, home)
  expect(result).toMatchObject({ exitCode: 2, stdout: '' })
  expect(result.stderr).toContain(text)
})

it('parbake plan prints decisions, JSON, and writes a file', async () => {
  await using home = await cliHome()
  await uploadReports(home, await writeRecipe(home))
  const text = await runCli(['plan', 'recipes/web', '--output', 'out/plan.json'], home)
  expect(text).toMatchObject({ exitCode: 0, stderr: '' })
  expect(text.stdout).toMatch(/^web: 1 of 2 steps to bake /)
  expect(text.stdout).toMatch(/^build +bake +9\.00 s +30 % +median 9\.00 s over 4 cold boots /m)
  expect(text.stdout).toMatch(/^register +runtime .* runs once on every new instance$/m)
  const json = await runCli(['plan', 'recipes/web', '--json'], home)
  const plan: unknown = JSON.parse(json.stdout)
  expect(plan).toEqual(JSON.parse(await readFile(join(home.cwd, 'out/plan.json'), 'utf8')))
  expect(plan).toMatchObject({ prediction: { unbakedSeconds: 30, bakedSeconds: 21.02, fromPowerOn: false } })
  const none = await runCli(['plan', 'recipes/web', '--min-saving', '10s', '--json'], home)
  expect(JSON.parse(none.stdout)).toMatchObject({
    thresholdSeconds: 10,
    steps: [{ reason: 'quick' }, { reason: 'when' }],
  })
})

it('parbake plan says where it cannot write', async () => {
  await using home = await cliHome()
  await uploadReports(home, await writeRecipe(home))
  await writeFile(join(home.cwd, 'file'), '')
  const result = await runCli(['plan', 'recipes/web', '--output', 'file/plan.json'], home)
  expect(result).toMatchObject({ exitCode: 1, stdout: '' })
  expect(result.stderr).toMatch(/^parbake: cannot write the plan to file\/plan\.json: /)
})

it('parbake plan needs no report where the recipe forces a step', async () => {
  await using home = await cliHome()
  await writeRecipe(home, 'always')
  const result = await runCli(['plan', 'recipes/web', '--json'], home)
  expect(result.exitCode).toBe(0)
  expect(JSON.parse(result.stdout)).toMatchObject({
    steps: [{ decision: 'bake', reason: 'forced' }, { reason: 'when' }],
  })
})

it.each([
  ['profile', '--since', 'soon'],
  ['plan', '--min-saving', 'much'],
])('parbake %s refuses %s %s', async (verb, option, value) => {
  await using home = await cliHome()
  await writeRecipe(home)
  const result = await runCli([verb, 'recipes/web', option, value], home)
  expect(result).toMatchObject({ exitCode: 2, stdout: '' })
  expect(result.stderr).toContain(`'${value}' is no duration for ${option}`)
})
