import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inspectRecipe, loadRecipe, type LoadRecipeOptions } from '../../src/recipe/load.ts'
import { renderShown } from '../../src/recipe/show-render.ts'
import { recipeYaml, showRecipe, type Inspected } from '../../src/recipe/show.ts'
import { findings, recipeFolder, type Tree } from './support.ts'

const tree: Tree = {
  '../base/recipe.yaml': `params: {port: 80}
steps:
  - {name: base, type: script, file: go.sh, inputs: [data, tool], env: {PORT: '{{port}}'}}
`,
  '../base/go.sh': 'echo {{port}}\n',
  '../base/tool*': '#!/bin/sh\n\techo  \n\n',
  '../base/data/bytes': Buffer.from([0, 255, 10]),
  '../base/data/dos': 'a\r\nb',
  '../base/data/odd': '  leading\n---\n# no comment\n...\nkey: [\nno end',
  '../base/data/empty': '',
  '../other/recipe.yaml': `extends: [{recipe: ../base, params: {port: 81}}]
steps:
  - {name: other, type: template, template: t, destination: /etc/x, needs: []}
params: {port: 82, text: '1.10'}
`,
  '../other/t': '{{port}} {{sh text}} \\{{port}}',
  'recipe.yaml': `description: all of it
every: 1h
extends: [../other]
params:
  flag: true
steps:
  - name: own
    type: script
    run: |2
        deep
      shallow
    if: {os: [debian, ubuntu], tag: a}
    bake: never
    env: {FLAG: '{{flag}} {{mine}}', N: 1}
    params: {mine: "it's mine"}
    inline: {a/x: x, a/y: {base64: AP8=, executable: true}}
    inputs: [a]
`,
}

async function inspected(path: string, options: LoadRecipeOptions = {}): Promise<Inspected> {
  const found = await inspectRecipe(path, options)
  if (!found.ok) throw new Error(JSON.stringify(found.problems))
  return found
}

describe('the YAML of a resolved recipe', () => {
  it('loads anywhere to the same steps, digests and interval', async () => {
    await using folder = await recipeFolder(tree)
    const found = await inspected(folder.path, { params: { flag: 'false' } })
    const text = recipeYaml(found)
    await using alone = await recipeFolder({ 'recipe.yaml': text })
    const again = await loadRecipe(alone.path)
    expect(again.steps).toEqual(found.recipe.steps)
    expect({ ...again, folder: '', file: '', params: {} }).toEqual({
      ...found.recipe,
      ...{ folder: '', file: '', params: {} },
    })
    expect(recipeYaml(await inspected(alone.path)).replaceAll(/^ *#.*\n/gm, '')).toBe(text.replaceAll(/^ *#.*\n/gm, ''))
  })

  it.each(["schedule: '30 3 * * mon-fri'\nsplay: 10m\nparallel: 3", 'schedule: 2h', 'every: 90m\nparallel: 1', ''])(
    'keeps when and how steps run: %j',
    async (keys) => {
      const steps = 'steps: [{name: a, type: script, run: ls}]\n'
      await using folder = await recipeFolder({ 'recipe.yaml': `${keys}\n${steps}` })
      const found = await inspected(folder.path)
      await using alone = await recipeFolder({ 'recipe.yaml': recipeYaml(found) })
      const { everyMinutes, schedule, parallel } = await loadRecipe(alone.path)
      const { recipe } = found
      expect([everyMinutes, schedule, parallel]).toEqual([recipe.everyMinutes, recipe.schedule, recipe.parallel])
      const { steps: _steps, files: _files, params: _params, ...head } = showRecipe(found)
      expect(head).toMatchObject({ everyMinutes, ...(schedule && { schedule }), ...(parallel && { parallel }) })
    },
  )

  it('shows them', async () => {
    const text = "schedule: '30 3 * * *'\nparallel: 2\nsteps: [{name: a, type: script, run: ls}]\n"
    await using folder = await recipeFolder({ 'recipe.yaml': text })
    expect(renderShown(showRecipe(await inspected(folder.path)), { colour: false })).toMatch(
      /^web, at 30 3 \* \* \*, hosts spread over 300 s, at most 2 steps at a time\n/,
    )
  })

  it('says where each step and parameter comes from', async () => {
    await using folder = await recipeFolder(tree)
    const text = recipeYaml(await inspected(folder.path)).replaceAll(join(folder.path, '..'), '..')
    expect(text.match(/^ *# \.\..*$/gm)?.map((line) => line.trim())).toEqual([
      '# ../web/recipe.yaml, with all that it extends',
      '# ../other/recipe.yaml:4',
      '# ../other/recipe.yaml:4',
      '# ../web/recipe.yaml:5',
      '# ../base/recipe.yaml:3',
      '# ../other/recipe.yaml:3',
      '# ../web/recipe.yaml:7',
    ])
    // What the base was given is not what the others have.
    expect(text).toContain('params:\n      port: 81\n')
  })
})

it('shows steps and values with their places', async () => {
  await using folder = await recipeFolder(tree)
  const shown = showRecipe(await inspected(folder.path, { params: { flag: 'false' } }))
  const text = renderShown(shown, { colour: false }).replaceAll(join(folder.path, '..'), '..')
  expect(text.replaceAll(/digest [0-9a-f]{12}/g, 'digest …').replaceAll(/ {2,}(?=\.\.|--)/g, '  ')).toBe(
    `web, every 60 minutes
  all of it

params
  port: 82  ../other/recipe.yaml:4
  text: 1.10  ../other/recipe.yaml:4
  flag: false  --param

base (script)
  digest …; needs nothing  ../base/recipe.yaml:3
  with port: 81  ../other/recipe.yaml:1
  file: go.sh  ../base/recipe.yaml:3
  inputs: data, tool  ../base/recipe.yaml:3
  env.PORT: 81  ../base/recipe.yaml:3

other (template)
  digest …; needs nothing  ../other/recipe.yaml:3
  template: t  ../other/recipe.yaml:3
  destination: /etc/x  ../other/recipe.yaml:3

own (script)
  digest …; needs base, other  ../web/recipe.yaml:7
  only where os is debian or ubuntu
  only where tag is a
  run: deep (2 lines)  ../web/recipe.yaml:9
  bake: never  ../web/recipe.yaml:13
  env.FLAG: false it's mine  ../web/recipe.yaml:14
  env.N: 1  ../web/recipe.yaml:14
  params.mine: it's mine  ../web/recipe.yaml:15
  inline.a/x: x  ../web/recipe.yaml:16
  inline.a/y.base64: AP8=  ../web/recipe.yaml:16
  inline.a/y.executable: true  ../web/recipe.yaml:16
  inputs: a  ../web/recipe.yaml:17`,
  )
  expect(shown.params['flag']).toEqual({ value: false, type: 'boolean', origin: { option: '--param' } })
})

describe('files that stand in the recipe', () => {
  const step = (inline: string, more = 'inputs: [x]') =>
    `steps:\n  - {name: one, type: script, run: 'true', inline: ${inline}, ${more}}\n`

  it('come before those of the folder, and change the digest as those do', async () => {
    await using folder = await recipeFolder({ 'recipe.yaml': step('{x: new}'), x: 'old' })
    await using plain = await recipeFolder({
      'recipe.yaml': "steps: [{name: one, type: script, run: 'true', inputs: [x]}]",
      x: 'new',
    })
    expect((await loadRecipe(folder.path)).steps[0]?.digest).toBe((await loadRecipe(plain.path)).steps[0]?.digest)
  })

  it.each([
    [step('{../x: a}'), 'steps[0].inline.../x must be a relative path without . and .. parts'],
    [step('{/x: a}'), 'must be a relative path'],
    [step('{a//x: a}'), 'must be a relative path'],
    [step('{x: {base64: "*"}}'), 'steps[0].inline.x.base64 '],
    [step('{x: [1]}'), 'steps[0].inline.x must be a text, or a mapping with content or base64, and executable'],
    [step('{y: a}'), "steps[0].inputs[0] names 'x', which does not exist"],
    [step('{x: a}', 'params: {p: [1]}, inputs: [x]'), 'steps[0].params.p must be a text, a number, true or false'],
  ])('%s', async (yaml, expected) => {
    expect(await findings(yaml)).toContain(expected)
  })
})
