import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ruleTexts } from '../../src/lint/rules/registry.ts'
import { cliHome, runCli } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'
import { recipeFolder } from '../recipe/support.ts'
import { recipeOf, scriptStep, writeRecipe } from './support.ts'

const timed = recipeOf(scriptStep('date >/etc/baked'))

describe('parbake check', () => {
  it('shows warnings and passes; fails for them with --strict', async () => {
    await using home = await cliHome()
    await writeRecipe(home.cwd, timed)
    const shown =
      "recipe.yaml:6:5: step 'a' reads the time, but may be baked [bakes-time]\n" +
      '        date >/etc/baked\n        ^\n' +
      '  give the step when: instance (or boot), or bake: never; or move what depends on the instance into a step of its own\n'
    expect(await runCli(['check'], home)).toEqual({
      exitCode: 0,
      stdout: '.: 1 warning, 1 step\n',
      stderr: `! ${shown}`,
    })
    expect(await runCli(['check', '--strict'], home)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `parbake: ${shown}found 1 problem\n`,
    })
  })

  it('fails for errors', async () => {
    await using home = await cliHome()
    await writeRecipe(home.cwd, recipeOf(scriptStep('reboot')))
    const { exitCode, stderr } = await runCli(['check'], home)
    expect(exitCode).toBe(2)
    expect(stderr).toContain('recipe.yaml:6:5: reboot ends the host')
  })

  it('shows hints with --hints and in --json', async () => {
    await using home = await cliHome()
    await writeRecipe(home.cwd, recipeOf('- name: a\n  type: packages\n  install: [jq]'))
    expect(await runCli(['check'], home)).toEqual({ exitCode: 0, stdout: '.: ok, 1 step\n', stderr: '' })
    const hints = await runCli(['check', '--hints', '--strict'], home)
    expect(hints).toMatchObject({ exitCode: 0, stdout: '.: ok, 1 hint, 1 step\n' })
    expect(hints.stderr).toContain('recipe.yaml:5:13: the version of jq is that of the day [unpinned-package]')
    const json = await runCli(['check', '--json'], home)
    expect(JSON.parse(json.stdout)).toMatchObject([
      { recipe: '.', ok: true, findings: [{ id: 'unpinned-package', severity: 'hint', step: 'a' }], allowed: [] },
    ])
  })

  it('says once what recipes share', async () => {
    await using home = await cliHome()
    await using folder = await recipeFolder({
      'common/recipe.yaml': timed,
      'a/recipe.yaml': 'extends: [../common]\n',
      'b/recipe.yaml': 'extends: [../common]\n',
    })
    const recipes = ['a', 'b', 'common'].map((name) => join(folder.path, name))
    const { stdout, stderr } = await runCli(['check', ...recipes], home)
    expect(stdout.replaceAll(`${folder.path}/`, '')).toBe(
      'a: 1 warning, 1 step\nb: 1 warning, 1 step\ncommon: 1 warning, 1 step\n',
    )
    expect(stderr.match(/bakes-time/g)).toHaveLength(1)
    expect((await runCli(['check', '--strict', ...recipes], home)).stderr).toMatch(/^found 1 problem$/m)
  })

  it('takes ids, and knows which there are', async () => {
    await using home = await cliHome()
    await writeRecipe(home.cwd, timed)
    expect(await runCli(['check', '--except', 'bakes-time,no-errexit'], home)).toMatchObject({ stderr: '' })
    expect(await runCli(['check', '--only', 'no-errexit', '--only', 'SC2086'], home)).toMatchObject({ stderr: '' })
    expect(await runCli(['check', '--only', 'bakes-tme'], home)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: "parbake: --only: there is no finding 'bakes-tme'\n  did you mean 'bakes-time'?\n",
    })
  })

  it('heeds what the configuration allows, and says what of that is of no use', async () => {
    await using home = await cliHome()
    await writeRecipe(home.cwd, timed)
    await writeFile(
      join(home.cwd, 'parbake.yaml'),
      'check:\n  allow:\n    bakes-time: images tell when they were made\n    no-errexit: x\n    nonsense: x\n',
    )
    const { exitCode, stdout, stderr } = await runCli(['check'], home)
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '.: ok, 1 step\n' })
    expect(stderr).toMatch(
      /^ {2}check\.allow\.no-errexit in the configuration allows what is not found\n {2}check\.allow\.nonsense in the configuration is no finding: /,
    )
    const json = await runCli(['check', '.', '--json'], home)
    expect(JSON.parse(json.stdout)).toMatchObject([
      { findings: [], allowed: [{ id: 'bakes-time', reason: 'images tell when they were made' }] },
    ])
  })

  it('says that shellcheck is left out where it is not installed', async () => {
    await using home = await cliHome()
    await writeRecipe(home.cwd, recipeOf(scriptStep('rm $1')))
    const env = { ...home.env, PATH: '/nonexistent' }
    const { exitCode, stderr } = await runCli(['check', '.', '.'], { ...home, env })
    expect(exitCode).toBe(0)
    expect(stderr).toBe(
      '  shellcheck is not installed, so what it finds in scripts is left out (apt-get install shellcheck)\n',
    )
  })

  it.each(ruleTexts.map(({ id }) => id))('explains %s', async (id) => {
    const { explain } = await import('../../src/lint/explain.ts')
    const text = explain(id)
    expect(text).toMatch(/^[a-z-]+ \((?:error|warning|hint)\): .+\n\nWhy: [\s\S]+What to do: [\s\S]+For example/)
    expect(text).toContain(`# parbake: allow ${id} REASON`)
  })

  it('explains without a recipe, and findings of shellcheck by their page', async () => {
    await using home = await cliHome()
    const { exitCode, stdout } = await runCli(['check', '--explain', 'SC2086'], home)
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^SC2086 \(shellcheck, https:\/\/www\.shellcheck\.net\/wiki\/SC2086\)/)
    expect(await runCli(['check', '--explain', 'x'], home)).toMatchObject({ exitCode: 2, stdout: '' })
  })
})

it('what comes with parbake passes, with reasons where it has to', async () => {
  await using home = await cliHome()
  const recipes = [
    'recipes/web',
    'bench/bake/recipe',
    'bench/plan/recipe',
    'test/fixtures/recipes-verify/sound',
    'test/fixtures/recipes-verify/unsafe',
  ]
  const folders = recipes.map((name) => join(repository, name))
  expect(await runCli(['check', '--strict', ...folders], home)).toMatchObject({ exitCode: 0, stderr: '' })
})

describe('README', async () => {
  const readme = await readFile(join(repository, 'README.md'), 'utf8')

  it('has all findings in its table, as the code says them', () => {
    const rows = [...readme.matchAll(/^\| `([a-z-]+)` +\| (error|warning|hint) +\| (.*?) +\|$/gm)]
    expect(rows.map(([, id, severity, finds]) => `${id} ${severity}: ${finds}`)).toEqual(
      ruleTexts.map(({ id, severity, finds }) => `${id} ${severity}: ${finds.replaceAll('|', '\\|')}`),
    )
  })

  it('has recipes that pass', async () => {
    const recipes = [...readme.matchAll(/^```yaml recipe\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '')
    expect(recipes.length).toBeGreaterThan(0)
    for (const text of recipes) {
      await using home = await cliHome()
      await using folder = await recipeFolder({ 'recipe.yaml': text })
      expect(await runCli(['check', '--strict', folder.path], home)).toMatchObject({ stderr: '', exitCode: 0 })
    }
  })
})
