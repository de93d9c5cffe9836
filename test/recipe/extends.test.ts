import { execFileSync } from 'node:child_process'
import { rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatUserError, UserError } from '../../src/errors.ts'
import { inspectRecipe, loadRecipe, type LoadRecipeOptions } from '../../src/recipe/load.ts'
import { findings, recipeFolder, render, type Tree } from './support.ts'

const base = `params: {port: 80, mode: {default: fast, type: string}}
steps:
  - {name: base-one, type: script, file: one.sh, env: {PORT: '{{port}}', MODE: '{{mode}}'}}
  - {name: base-two, type: script, run: 'true', inputs: [data], needs: []}
`
const baseTree: Tree = { '../base/recipe.yaml': base, '../base/one.sh': 'echo base\n', '../base/data/x': 'X' }
const own =
  "  - {name: own, type: script, file: one.sh}\n  - {name: last, type: script, run: 'false', needs: [base-two]}\n"

async function load(tree: Tree, options: LoadRecipeOptions = {}) {
  await using folder = await recipeFolder(tree)
  const paramsFile = options.paramsFile
  return await loadRecipe(folder.path, {
    ...options,
    ...(paramsFile === undefined ? {} : { paramsFile: join(folder.path, paramsFile) }),
  })
}

async function failure(tree: Tree, options: LoadRecipeOptions = {}): Promise<string> {
  try {
    await load(tree, options)
  } catch (error) {
    if (error instanceof UserError) return `${error.exitCode} ${formatUserError(error)}`
    throw error
  }
  return 'no error'
}

const portOf = (recipe: { steps: readonly { name: string; rendered: { env: Readonly<Record<string, string>> } }[] }) =>
  recipe.steps.find(({ name }) => name === 'base-one')?.rendered.env

describe('extends', () => {
  it('puts the steps of other recipes first, each with the files of its own folder', async () => {
    const recipe = await load({
      ...baseTree,
      'recipe.yaml': `extends: [../base]\nsteps:\n${own}`,
      'one.sh': 'echo own\n',
    })
    expect(
      recipe.steps.map(({ name, needs, rendered }) => [name, needs, rendered.script, rendered.files.length]),
    ).toEqual([
      ['base-one', [], '#!/bin/sh\nset -eu\necho base\n', 0],
      ['base-two', [], '#!/bin/sh\nset -eu\ntrue\n', 1],
      ['own', ['base-one', 'base-two'], '#!/bin/sh\nset -eu\necho own\n', 0],
      ['last', ['base-two'], '#!/bin/sh\nset -eu\nfalse\n', 0],
    ])
    expect(recipe.name).toBe('web')
  })

  it('gives an extended recipe the digests that it has by itself', async () => {
    await using folder = await recipeFolder({ ...baseTree, 'recipe.yaml': 'extends: [../base]\n' })
    const [alone, extended] = await Promise.all([loadRecipe(join(folder.path, '../base')), loadRecipe(folder.path)])
    expect(extended.steps.map(({ digest }) => digest)).toEqual(alone.steps.map(({ digest }) => digest))
  })

  it('takes a recipe once that is extended on two ways', async () => {
    const recipe = await load({
      ...baseTree,
      '../left/recipe.yaml': "extends: [../base]\nsteps: [{name: left, type: script, run: 'true'}]\n",
      '../right/recipe.yaml': "extends: [../base]\nsteps: [{name: right, type: script, run: 'true'}]\n",
      'recipe.yaml': 'extends: [../left, ../right]\n',
    })
    expect(recipe.steps.map(({ name }) => name)).toEqual(['base-one', 'base-two', 'left', 'right'])
  })

  it.each<[string, string, Tree, LoadRecipeOptions, Record<string, string>]>([
    ['defaults', 'extends: [../base]\n', {}, {}, { PORT: '80', MODE: 'fast' }],
    ['a default of the same name', 'extends: [../base]\nparams: {port: 81}\n', {}, {}, { PORT: '81', MODE: 'fast' }],
    [
      'what is passed on',
      "extends: [{recipe: ../base, params: {port: '{{number}}', mode: 'very {{port}}'}}]\nparams: {port: 81, number: 82}\n",
      {},
      {},
      { PORT: '82', MODE: 'very 81' },
    ],
    [
      'the environment',
      'extends: [{recipe: ../base, params: {port: 82}}]\n',
      { 'params/prod.yaml': 'port: 83\nmode: slow\n' },
      { environment: 'prod' },
      { PORT: '83', MODE: 'slow' },
    ],
    [
      'a file before the environment',
      'extends: [../base]\n',
      { 'params/prod.yaml': 'port: 83\nmode: slow\n', 'p.yaml': 'port: 84\n' },
      { environment: 'prod', paramsFile: 'p.yaml' },
      { PORT: '84', MODE: 'slow' },
    ],
    [
      'the command line before all',
      'extends: [../base]\n',
      { 'p.yaml': 'port: 84\n' },
      { paramsFile: 'p.yaml', params: { port: '85' } },
      { PORT: '85', MODE: 'fast' },
    ],
    [
      'what came through a recipe between',
      'extends: [../between]\nparams: {port: 86}\n',
      { '../between/recipe.yaml': 'extends: [../base]\n' },
      {},
      { PORT: '86', MODE: 'fast' },
    ],
  ])('takes parameters from %s', async (_from, yaml, tree, options, expected) => {
    expect(portOf(await load({ ...baseTree, ...tree, 'recipe.yaml': yaml }, options))).toEqual(expected)
  })
})

describe('what is wrong', () => {
  it.each<[string, Tree, string]>([
    [
      'a missing recipe',
      { 'recipe.yaml': 'extends:\n  - ../gone\n' },
      'recipe.yaml:2:5: extends[0] leads nowhere: there is no recipe at ../gone\n      - ../gone\n        ^\n' +
        '  name a folder that holds a recipe.yaml',
    ],
    [
      'a cycle',
      {
        'recipe.yaml': 'extends: [../one]\n',
        '../one/recipe.yaml': 'extends: [../two]\n',
        '../two/recipe.yaml': 'extends: [../one]\n',
      },
      '../two/recipe.yaml:1:11: extends[0] leads back to where it came from: ../one/recipe.yaml -> ../two/recipe.yaml -> ' +
        '../one/recipe.yaml\n    extends: [../one]\n              ^\n  remove one of these extends',
    ],
    [
      'a name in two recipes',
      { ...baseTree, 'recipe.yaml': "extends: [../base]\nsteps: [{name: base-two, type: script, run: 'x'}]\n" },
      "recipe.yaml:2:16: there are two steps named 'base-two'\n    steps: [{name: base-two, type: script, run: 'x'}]\n" +
        '                   ^\n  the first is in line 4 of ../base/recipe.yaml',
    ],
    [
      'a parameter that the other recipe does not have',
      { ...baseTree, 'recipe.yaml': 'extends: [{recipe: ../base, params: {prot: 1}}]\n' },
      "recipe.yaml:1:44: ../base/recipe.yaml has no parameter 'prot'\n    extends: [{recipe: ../base, params: {prot: 1}}]\n" +
        "                                               ^\n  did you mean 'port'?",
    ],
    [
      'a parameter of another type',
      { ...baseTree, 'recipe.yaml': 'extends: [{recipe: ../base, params: {mode: 1}}]\n' },
      "recipe.yaml:1:44: the parameter 'mode' must be a text, but is the number 1\n" +
        '    extends: [{recipe: ../base, params: {mode: 1}}]\n                                               ^\n  quote it',
    ],
    [
      'an unknown parameter in what is passed on',
      { ...baseTree, 'recipe.yaml': "extends: [{recipe: ../base, params: {mode: '{{x}}'}}]\n" },
      "recipe.yaml:1:44: there is no parameter 'x'\n    extends: [{recipe: ../base, params: {mode: '{{x}}'}}]\n" +
        '                                               ^',
    ],
    [
      'a mistake in the other recipe',
      {
        'recipe.yaml': 'extends: [../base]\n',
        '../base/recipe.yaml': 'steps: [{name: a, type: script, file: gone}]\n',
      },
      "../base/recipe.yaml:1:39: steps[0].file names 'gone', which does not exist\n" +
        '    steps: [{name: a, type: script, file: gone}]\n                                          ^',
    ],
    [
      'a file outside of the folder that names it',
      {
        'recipe.yaml': 'extends: [../base]\n',
        one: '',
        '../base/recipe.yaml': "steps: [{name: a, type: script, run: 'x', inputs: [../web/one]}]\n",
      },
      "../base/recipe.yaml:1:52: steps[0].inputs[0] leaves the recipe folder: '../web/one'\n" +
        "    steps: [{name: a, type: script, run: 'x', inputs: [../web/one]}]\n" +
        '                                                       ^',
    ],
    [
      'bad YAML in the other recipe',
      { 'recipe.yaml': 'extends: [../base]\n', '../base/recipe.yaml': '[' },
      '../base/recipe.yaml:1:2: bad YAML: unexpected end of the stream within a flow collection\n    [\n     ^',
    ],
    [
      'an absolute path',
      { 'recipe.yaml': 'extends: [/srv/base]\n' },
      "recipe.yaml:1:11: extends[0] must be relative to the folder of this recipe, but is '/srv/base'\n" +
        '    extends: [/srv/base]\n              ^\n  it must work on other machines',
    ],
    [
      'neither steps nor extends',
      { 'recipe.yaml': 'extends: []\n' },
      'recipe.yaml:1:1: steps is missing (a list)\n    extends: []\n    ^',
    ],
    [
      'an entry that is neither',
      { 'recipe.yaml': 'extends: [{recip: ../base}]\n' },
      'recipe.yaml:1:11: extends[0].recipe is missing (a text)\n    extends: [{recip: ../base}]\n              ^\n' +
        "recipe.yaml:1:12: unknown key 'recip' in extends[0]\n    extends: [{recip: ../base}]\n               ^\n" +
        "  did you mean 'recipe'?",
    ],
  ])('%s', async (_what, tree, expected) => {
    await using folder = await recipeFolder(tree)
    const result = await inspectRecipe(folder.path)
    const text = result.ok ? '' : render(result.problems, folder.path)
    expect(text.replaceAll(join(folder.path, '..'), '..')).toBe(expected)
  })

  it.each<[string, Tree, LoadRecipeOptions, string]>([
    [
      'an environment that is not there',
      { 'params/dev.yaml': '', 'params/prod.yaml': '' },
      { environment: 'prd' },
      "there is no environment 'prd': web/params/prd.yaml does not exist\n  did you mean 'prod'?",
    ],
    ['an environment that is a path', {}, { environment: '../x' }, "'../x' is no name of an environment\n"],
    ['a file that is not there', {}, { paramsFile: 'gone.yaml' }, 'there is no file of parameters web/gone.yaml'],
    [
      'a name that nobody declares, in a file',
      { 'p.yaml': 'prt: 1\n' },
      { paramsFile: 'p.yaml' },
      "web/p.yaml:1:6: web/recipe.yaml has no parameter 'prt'\n    prt: 1\n         ^\n  did you mean 'port'?",
    ],
    [
      'a value of another type, in a file',
      { 'p.yaml': 'port: "81"\n' },
      { paramsFile: 'p.yaml' },
      `web/p.yaml:1:7: the parameter 'port' must be a number, but is '81'`,
    ],
    [
      'a list for a value',
      { 'p.yaml': 'port: [1]\n' },
      { paramsFile: 'p.yaml' },
      'web/p.yaml:1:7: port must be a text,',
    ],
    [
      'a list for a file',
      { 'p.yaml': '[1]\n' },
      { paramsFile: 'p.yaml' },
      'the document must be a mapping of parameters',
    ],
  ])('%s', async (_what, tree, options, expected) => {
    await using folder = await recipeFolder({ ...baseTree, ...tree, 'recipe.yaml': 'extends: [../base]\n' })
    const parent = join(folder.path, '..')
    const given = options.paramsFile === undefined ? {} : { paramsFile: join(folder.path, options.paramsFile) }
    const error = await loadRecipe(folder.path, { ...options, ...given }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof UserError)) throw error
    expect(error.exitCode).toBe(2)
    expect(formatUserError(error).replaceAll(`${parent}/`, '')).toContain(expected)
  })

  it('an unknown parameter on the command line, with the names of all recipes', async () => {
    const text = await failure({ ...baseTree, 'recipe.yaml': 'extends: [../base]\n' }, { params: { prot: '1' } })
    expect(text).toMatch(/^2 .*has no parameter 'prot'\n {2}did you mean 'port'\?$/)
  })

  it('a git revision without a folder to keep it in', async () => {
    const yaml = `extends: [{git: 'https://git.example/x', commit: ${'a'.repeat(40)}}]\n`
    expect(await findings(yaml)).toContain('extends[0] needs a folder to keep git revisions in, and none is given')
  })
})

describe('a git repository', () => {
  const git = (folder: string, ...args: readonly string[]) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args], {
      encoding: 'utf8',
      env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null' },
    }).trim()

  /** A repository beside the recipe folder, and its first commit; a second one moved its branch and left its tag. */
  async function repository(yaml: (url: string, commit: string) => string) {
    const folder = await recipeFolder({
      '../lib/base/recipe.yaml': `extends: [../common]\n${base}`,
      '../lib/base/one.sh': 'echo base\n',
      '../lib/base/data/x': 'X',
      '../lib/common/recipe.yaml': "steps: [{name: common, type: script, run: 'true'}]\n",
      '../lib/escape/recipe.yaml': 'extends: [../../../../web]\n',
    })
    const lib = join(folder.path, '../lib')
    await symlink('/etc', join(lib, 'outside'))
    git(lib, 'init', '--quiet', '--initial-branch=main')
    git(lib, 'add', '.')
    git(lib, 'commit', '--quiet', '--message=one')
    git(lib, 'tag', '--annotate', '--message=x', 'v1')
    const commit = git(lib, 'rev-parse', 'HEAD')
    await writeFile(join(lib, 'base/one.sh'), 'echo newer\n')
    git(lib, 'commit', '--quiet', '--all', '--message=two')
    await writeFile(join(folder.path, 'recipe.yaml'), yaml(lib, commit))
    return { folder, lib, commit, cacheDir: join(folder.path, '../cache') }
  }

  it('is fetched at a commit, works without it afterwards, and is fetched again where the copy was changed', async () => {
    const { folder, lib, commit, cacheDir } = await repository(
      (url, pinned) => `extends: [{git: '${url}', commit: ${pinned}, path: base, params: {port: 9}}]\n`,
    )
    await using _ = folder
    const first = await loadRecipe(folder.path, { cacheDir })
    expect(first.steps.map(({ name }) => name)).toEqual(['common', 'base-one', 'base-two'])
    expect(first.steps[1]?.rendered).toMatchObject({ script: '#!/bin/sh\nset -eu\necho base\n', env: { PORT: '9' } })
    const copy = join(cacheDir, 'git', commit, 'base', 'one.sh')
    await writeFile(copy, 'echo evil and longer\n')
    expect(await loadRecipe(folder.path, { cacheDir })).toEqual(first)
    await rm(lib, { recursive: true })
    expect(await loadRecipe(folder.path, { cacheDir })).toEqual(first)
    await writeFile(join(cacheDir, 'git', commit, 'base', 'data', 'more'), 'x')
    const result = await inspectRecipe(folder.path, { cacheDir })
    expect(result.ok ? '' : render(result.problems, folder.path)).toContain('extends[0] cannot be fetched: ')
  })

  it.each<[string, (url: string, commit: string) => string, string]>([
    ['a branch', (url) => `{git: '${url}', commit: main}`, "extends[0] must have a 'commit' of 40 hex digits"],
    ['a tag', (url) => `{git: '${url}', tag: v1}`, 'v1 is now: commit: COMMIT'],
    [
      'a commit that is not there',
      (url) => `{git: '${url}', commit: ${'a'.repeat(40)}}`,
      'extends[0] cannot be fetched: ',
    ],
    ['a transport that runs commands', () => "{git: 'ext::sh -c x', commit: x}", "'ext::sh -c x' is no URL"],
    ['a URL that is an option', () => "{git: '--upload-pack=x', commit: x}", "'--upload-pack=x' is no URL"],
    [
      'a path out of it',
      (url, commit) => `{git: '${url}', commit: ${commit}, path: ../x}`,
      "extends[0] has a path that leaves the repository: '../x'",
    ],
    [
      'a recipe that leads out of it',
      (url, commit) => `{git: '${url}', commit: ${commit}, path: escape}`,
      'extends[0] leaves the git repository that it came with',
    ],
  ])('is refused by %s', async (_what, entry, expected) => {
    const { folder, commit, cacheDir } = await repository((url, pinned) => `extends: [${entry(url, pinned)}]\n`)
    await using _ = folder
    const result = await inspectRecipe(folder.path, { cacheDir })
    expect(result.ok ? '' : render(result.problems, folder.path)).toContain(expected.replace('COMMIT', commit))
  })
})
