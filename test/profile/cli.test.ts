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

it.each(['profile', 'plan'])('parbake %s says what to do where nothing was reported yet', async (verb) => {
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
