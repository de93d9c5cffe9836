import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatUserError, UserError } from '../../src/errors.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { recipeFolder } from './support.ts'

const yaml = `description: a demo
every: 1h
params:
  port: 8080
  flag: {default: false, description: a switch}
  size: {default: '1', type: string}
steps:
  - name: late
    description: runs last
    type: script
    run: echo late
    needs: [early, middle]
    when: boot
    bake: never
    timeout: 10m
    retries: 2
    env: {PORT: '{{port}}', FLAG: '{{flag}}', SIZE: 'a{{size}}', N: 3, T: true, RAW: 'a ''b'' <&>'}
  - {name: middle, type: script, file: bin/go, inputs: [data, bin/tool, data/a], needs: []}
  - {name: early, type: template, content: 'x', destination: /etc/x, needs: []}
  - {name: all, type: packages, install: [nginx, curl=7.88.1-10+deb12u8], update: false}
`
const tree = {
  'recipe.yaml': yaml,
  'bin/go': '#!/usr/bin/env python3\nprint(1)',
  'bin/tool*': '#!/bin/sh\n',
  'data/a': 'A',
  'data/sub/b': Buffer.from([0, 255]),
  'data/.git/config': 'ignored',
  'data/__pycache__/x': 'ignored',
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work
  } catch (error) {
    if (error instanceof UserError) return `${error.exitCode} ${formatUserError(error)}`
    throw error
  }
  return 'no error'
}

describe('loadRecipe', () => {
  it('gives steps in the order in which they run, with all their fields', async () => {
    await using folder = await recipeFolder(tree)
    const recipe = await loadRecipe(folder.path)
    expect({ ...recipe, steps: recipe.steps.map(({ digest: _digest, ...step }) => step) }).toEqual({
      name: 'web',
      description: 'a demo',
      folder: folder.path,
      file: join(folder.path, 'recipe.yaml'),
      params: { port: 8080, flag: false, size: '1' },
      everyMinutes: 60,
      steps: [
        {
          name: 'middle',
          type: 'script',
          needs: [],
          when: 'change',
          bake: 'auto',
          timeoutSeconds: 900,
          retries: 0,
          rendered: {
            script: '#!/usr/bin/env python3\nprint(1)\n',
            env: {},
            files: [
              { path: 'bin/tool', executable: true, content: Buffer.from('#!/bin/sh\n') },
              { path: 'data/a', executable: false, content: Buffer.from('A') },
              { path: 'data/sub/b', executable: false, content: Buffer.from([0, 255]) },
            ],
          },
        },
        expect.objectContaining({ name: 'early', type: 'template', needs: [] }),
        {
          name: 'late',
          description: 'runs last',
          type: 'script',
          needs: ['middle', 'early'],
          when: 'boot',
          bake: 'never',
          timeoutSeconds: 600,
          retries: 2,
          rendered: {
            script: '#!/bin/sh\nset -eu\necho late\n',
            env: { PORT: '8080', FLAG: 'false', SIZE: 'a1', N: '3', T: 'true', RAW: "a 'b' <&>" },
            files: [],
          },
        },
        expect.objectContaining({ name: 'all', type: 'packages', needs: ['late', 'middle', 'early'] }),
      ],
    })
  })

  it('takes a file as well as a folder, and other values of parameters', async () => {
    await using folder = await recipeFolder(tree)
    const recipe = await loadRecipe(join(folder.path, 'recipe.yaml'), {
      params: { port: '90', flag: 'true', size: '7' },
    })
    expect(recipe.params).toEqual({ port: 90, flag: true, size: '7' })
    expect(recipe.steps[2]?.rendered.env).toMatchObject({ PORT: '90', FLAG: 'true', SIZE: 'a7' })
  })

  it('changes only the digests of steps that use a parameter, and of what needs them', async () => {
    await using folder = await recipeFolder(tree)
    const digests = async (params: Record<string, string>) =>
      (await loadRecipe(folder.path, { params })).steps.map((step) => step.digest)
    const [before, after] = [await digests({}), await digests({ port: '1' })]
    expect(before.map((digest, index) => digest === after[index])).toEqual([true, true, false, false])
  })

  it('follows symbolic links that stay inside', async () => {
    await using folder = await recipeFolder({
      'recipe.yaml': "steps: [{name: a, type: script, run: 'true', inputs: [link]}]",
      'real/x': '1',
    })
    await symlink('real', join(folder.path, 'link'))
    const recipe = await loadRecipe(folder.path)
    expect(recipe.steps[0]?.rendered.files).toEqual([{ path: 'link/x', executable: false, content: Buffer.from('1') }])
  })

  it.each([
    [{ prot: '1' }, "has no parameter 'prot'\n  did you mean 'port'?"],
    [{ port: 'x' }, "the parameter 'port' must be a number, but is 'x'"],
    [{ flag: 'yes' }, "the parameter 'flag' must be true or false, but is 'yes'"],
  ])('refuses the parameters %j', async (params, message) => {
    await using folder = await recipeFolder(tree)
    const text = await failure(loadRecipe(folder.path, { params }))
    expect(text.startsWith('2 ')).toBe(true)
    expect(text.endsWith(message)).toBe(true)
  })

  it('says where there is no recipe', async () => {
    await using folder = await recipeFolder({ 'other.txt': '' })
    expect(await failure(loadRecipe(folder.path))).toBe(
      `2 there is no recipe at ${folder.path}\n  name a folder that holds a recipe.yaml`,
    )
    expect(await failure(loadRecipe(join(folder.path, 'gone')))).toContain('there is no recipe at ')
  })

  it('throws one error that carries all problems', async () => {
    await using folder = await recipeFolder({ 'recipe.yaml': 'nmae: x\nsteps: 1\n' })
    const text = await failure(loadRecipe(folder.path))
    expect(text.replaceAll(`${folder.path}/`, '')).toBe(
      "2 recipe.yaml:1:1: unknown key 'nmae'\n    nmae: x\n    ^\n  did you mean 'name'?\n" +
        'recipe.yaml:2:8: steps must be a list, but is the number 1\n    steps: 1\n           ^\nrecipe.yaml has 2 problems',
    )
  })
})
