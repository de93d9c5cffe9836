import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { lintRecipes } from '../../src/lint/lint.ts'
import { inspectRecipe } from '../../src/recipe/load.ts'
import { findTool } from '../../src/system/tools.ts'
import { recipeFolder } from '../recipe/support.ts'
import { lint, lintContext, lintSteps, places, recipeOf, scriptStep } from './support.ts'

const only = ['shellcheck']

describe('findings of shellcheck', () => {
  it('stand where the user wrote the line, with their own severities', async () => {
    const { findings } = await lint(
      {
        'recipe.yaml': recipeOf(`${scriptStep('x="a b"\nrm $x')}\n- name: b\n  type: script\n  file: b.sh`),
        'b.sh': '#!/bin/bash\nset -e\nif true; then\n  cd /x\n',
      },
      { only },
    )
    const [first, ...others] = findings
    expect(others.length).toBeGreaterThan(0)
    for (const { id, severity, step, location } of others) {
      expect({ id, severity, step, file: location.file }).toMatchObject({ severity: 'error', step: 'b', file: 'b.sh' })
      expect(location.line).toBeLessThanOrEqual(5)
    }
    expect(first).toMatchObject({
      id: 'SC2086',
      severity: 'hint',
      step: 'a',
      fix: 'see https://www.shellcheck.net/wiki/SC2086',
      location: { file: 'recipe.yaml', line: 7, column: 8, sourceLine: '    rm $x' },
    })
  })

  it.each<[string, string]>([
    ['what parbake puts before a script', 'echo "$1"'],
    ['sourced files', '. /etc/os-release'],
    ['local, which every sh has', 'f() { local x=1; echo "$x"; }; f'],
    ['names from the environment', 'echo "$port"'],
    ['other languages', '#!/usr/bin/python3\nif x: y()'],
  ])('leave out %s', async (_, script) => {
    const { findings } = await lintSteps(scriptStep(script, '  env: {port: 1}\n'), { only })
    expect(findings).toEqual([])
  })

  it('are allowed by their own id, or all at once', async () => {
    const script = (id: string) => scriptStep(`# parbake: allow ${id} it is one word\nrm $1`)
    for (const id of ['SC2086', 'shellcheck']) {
      const { findings, allowed } = await lintSteps(script(id), { except: [] })
      expect(findings).toEqual([])
      expect(allowed.map((finding) => finding.id)).toEqual(['SC2086'])
    }
    expect(places((await lintSteps(scriptStep('rm $1'), { only: ['SC2086'] })).findings)).toEqual(['SC2086 6:8'])
    expect((await lintSteps(scriptStep('rm $1'), { except: ['SC2086'] })).findings).toEqual([])
    expect((await lintSteps(scriptStep('rm $1'), { except: [], allow: { shellcheck: 'x' } })).findings).toEqual([])
    const unused = await lintSteps(scriptStep(': # parbake: allow SC2086 x'), { except: [] })
    expect(unused.findings.map(({ id }) => id)).toEqual(['allow-unused'])
  })

  it('fail in words where it cannot run', async () => {
    await using folder = await recipeFolder({ 'recipe.yaml': recipeOf(scriptStep('true')) })
    await writeFile(join(folder.path, 'shellcheck'), '#!/bin/sh\necho "unrecognized option --norc" >&2\nexit 3\n')
    await chmod(join(folder.path, 'shellcheck'), 0o755)
    const before = process.env['PATH']
    process.env['PATH'] = `${folder.path}:${before}`
    try {
      await expect(lint({ 'recipe.yaml': recipeOf(scriptStep('true')) }, { only })).rejects.toThrow(
        'shellcheck could not check the scripts:\n  unrecognized option --norc',
      )
    } finally {
      process.env['PATH'] = before
    }
  })

  it('come from one run for all scripts of all recipes, and from none the next time', async () => {
    await using folder = await recipeFolder({
      'a/recipe.yaml': recipeOf(`${scriptStep('rm $1')}\n${scriptStep('echo b').replace('name: a', 'name: b')}`),
      'b/recipe.yaml': recipeOf(scriptStep('rm -f $1')),
    })
    const real = await findTool('shellcheck')
    const bin = join(folder.path, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'shellcheck'), `#!/bin/sh\necho run >>${bin}/runs\nexec ${real} "$@"\n`)
    await chmod(join(bin, 'shellcheck'), 0o755)
    const context = await lintContext(folder.path)
    const before = process.env['PATH']
    process.env['PATH'] = `${bin}:${before}`
    try {
      for (let round = 0; round < 2; round += 1) {
        const found = await Promise.all(['a', 'b'].map((name) => inspectRecipe(join(folder.path, name))))
        const inputs = found.flatMap((one) => (one.ok ? [one] : []))
        const results = await lintRecipes(context, inputs, { allow: {}, only })
        expect(results.map(({ findings }) => places(findings))).toEqual([['SC2086 6:8'], ['SC2086 6:11']])
      }
      expect(await readFile(join(bin, 'runs'), 'utf8')).toBe('run\n')
    } finally {
      process.env['PATH'] = before
    }
    expect(context.events.filter(({ type }) => type === 'note')).toEqual([])
  })
})
