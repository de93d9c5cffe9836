import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stepDigest, type DigestInput } from '../../src/recipe/digest.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import type { RenderedFile, RenderedStep, Step, StepHints } from '../../src/recipe/model.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { repository } from '../support/source-files.ts'
import { recipeFolder, writeTree, type Tree } from './support.ts'

const file: RenderedFile = { path: 'app/main.py', executable: false, content: Buffer.from('print(1)\n') }
const other: RenderedFile = { path: 'zlib.h', executable: true, content: Buffer.from('x') }
const rendered: RenderedStep = { script: '#!/bin/sh\ntrue\n', env: { B: '2', A: '1' }, files: [file, other] }
const input: DigestInput = { type: 'script', rendered, needs: [sha256('one'), sha256('two')] }
const digest = stepDigest(input)

const withFile = (change: Partial<RenderedFile>): DigestInput => ({
  ...input,
  rendered: { ...rendered, files: [{ ...file, ...change }, other] },
})

describe('the step digest', () => {
  it('is what it was when it was defined', () => {
    expect(digest).toBe('e0d62d734dfed743d35bd73530a68637955e920ff26e58ddf06afa35048717b6')
    expect(stepDigest({ type: 'script', rendered: { script: '', env: {}, files: [] }, needs: [] })).toBe(
      sha256('{"env":{},"files":[],"needs":[],"script":"","type":"script","v":1}'),
    )
  })

  // A field that is added to one of these types must be added here, or this does not compile.
  const inputChanges: Record<keyof DigestInput, readonly DigestInput[]> = {
    type: [{ ...input, type: 'packages' }],
    rendered: [],
    needs: [
      { ...input, needs: [] },
      { ...input, needs: [sha256('one')] },
      { ...input, needs: [sha256('one'), sha256('three')] },
    ],
  }
  const renderedChanges: Record<keyof RenderedStep, readonly DigestInput[]> = {
    script: [{ ...input, rendered: { ...rendered, script: '#!/bin/sh\nfalse\n' } }],
    env: [
      { ...input, rendered: { ...rendered, env: { A: '1' } } },
      { ...input, rendered: { ...rendered, env: { A: '1', B: '3' } } },
      { ...input, rendered: { ...rendered, env: { A: '1', C: '2' } } },
    ],
    files: [{ ...input, rendered: { ...rendered, files: [file] } }],
    secrets: [
      { ...input, rendered: { ...rendered, secrets: ['A'] } },
      { ...input, rendered: { ...rendered, secrets: ['B'] } },
    ],
    conditions: [
      { ...input, rendered: { ...rendered, conditions: ['os is debian'] } },
      { ...input, rendered: { ...rendered, conditions: ['os not debian'] } },
    ],
  }
  const fileChanges: Record<keyof RenderedFile, readonly DigestInput[]> = {
    path: [withFile({ path: 'app/main2.py' })],
    executable: [withFile({ executable: true })],
    content: [withFile({ content: Buffer.from('print(2)\n') })],
  }
  const changes = [inputChanges, renderedChanges, fileChanges].flatMap((group) => Object.entries(group))

  it.each(changes)('changes with %s', (_field, variants) => {
    for (const variant of variants) expect(stepDigest(variant)).not.toBe(digest)
  })

  it('tells all these apart', () => {
    const all = [input, ...changes.flatMap(([, variants]) => variants)].map(stepDigest)
    expect(new Set(all).size).toBe(all.length)
  })

  it('does not depend on the order of env, files and needs', () => {
    const reordered: DigestInput = {
      type: 'script',
      rendered: { ...rendered, env: { A: '1', B: '2' }, files: [other, file] },
      needs: input.needs.toReversed(),
    }
    expect(stepDigest(reordered)).toBe(digest)
  })
})

const recipe = (step: string) => `name: demo
steps:
  - {name: base, type: script, needs: [], run: 'true'}
  - {name: lone, type: script, needs: [], run: 'false'}
  - {type: script, run: echo hi, needs: [base]${step}}
  - {name: last, type: script, needs: [${/name: ([a-z-]+)/.exec(step)?.[1] ?? ''}], run: 'true'}
`

async function digests(yaml: string): Promise<readonly Step[]> {
  await using folder = await recipeFolder({ 'recipe.yaml': yaml })
  return (await loadRecipe(folder.path)).steps
}

describe('in a recipe', () => {
  const hintChanges: Record<Exclude<keyof StepHints, 'packages' | 'runtimeOnly'>, string> = {
    name: ', name: renamed',
    description: ', name: x, description: other words',
    when: ', name: x, when: boot',
    bake: ', name: x, bake: never',
    timeoutSeconds: ', name: x, timeout: 1h',
    retries: ', name: x, retries: 3',
    requires: ', name: x, requires: vm',
    reboot: ', name: x, reboot: true',
    trace: ', name: x, trace: true',
  }

  it.each(Object.entries(hintChanges))('%s is not in the digest', async (_hint, step) => {
    const [plain, changed] = [await digests(recipe(', name: x')), await digests(recipe(step))]
    const { digest: _one, rendered: _two, needs: _three, type: _four, ...hints } = changed[2]!
    const { digest: _five, rendered: _six, needs: _seven, type: _eight, ...plainHints } = plain[2]!
    expect(hints).not.toEqual(plainHints)
    expect([2, 3].map((index) => changed[index]!.digest)).toEqual([2, 3].map((index) => plain[index]!.digest))
  })

  it('a change travels along needs, and nowhere else', async () => {
    const before = await digests(recipe(', name: x'))
    const after = await digests(
      recipe(', name: x').replace(
        "name: base, type: script, needs: [], run: 'true'",
        "name: base, type: script, needs: [], run: 'true; true'",
      ),
    )
    const changed = [0, 1, 2, 3].filter((index) => before[index]!.digest !== after[index]!.digest)
    expect(changed.map((index) => before[index]!.name)).toEqual(['base', 'x', 'last'])
  })
})

const tree: Tree = {
  'recipe.yaml': `name: demo
params: {i: I}
steps:
  - {name: a, type: script, file: run.sh, inputs: [files, tool], env: {I: '{{i}}', i: x, Z: '1', z: '2'}}
  - {name: b, type: template, content: 'Title İı {{sh i}}', destination: /etc/x}
`,
  'run.sh': 'echo\n',
  'tool*': '#!/bin/sh\n',
  'files/I': '1',
  'files/i': '2',
  'files/a-b': '3',
  'files/a/b': '4',
  'files/a.b': '5',
  'files/Z': '6',
}

describe('on other machines', () => {
  it('is the same in another folder, with other times and another umask, and is what it always was', async () => {
    await using one = await recipeFolder(tree)
    await using two = await tempDir('elsewhere')
    const folder = join(two.path, 'deep', 'er')
    await mkdir(folder, { recursive: true })
    await writeTree(folder, tree)
    for (const name of await readdir(folder, { recursive: true })) await utimes(join(folder, name), 1, 1)
    await chmod(join(folder, 'files/Z'), 0o600)
    await chmod(join(folder, 'tool'), 0o700)
    const digestsOf = async (path: string) => (await loadRecipe(path)).steps.map((step) => step.digest)
    expect(await digestsOf(folder)).toEqual(await digestsOf(one.path))
    expect(await digestsOf(folder)).toEqual([
      'f72982da6bf7b3aa6f81199ce05129b9db878f8732c56ac86dbe78031010341c',
      'fa9fcd38cf2e77f15ecfa56bfdfc8ec5db436fc62d33334b7ee73587bd453868',
    ])
  })

  it('is the same in every locale', async () => {
    await using folder = await recipeFolder(tree)
    const code = `import { loadRecipe } from ${JSON.stringify(join(repository, 'src/recipe/load.ts'))}
      loadRecipe(${JSON.stringify(folder.path)}).then((recipe) => {
        process.stdout.write(JSON.stringify([Intl.DateTimeFormat().resolvedOptions().locale, ...recipe.steps.map((step) => step.digest)]))
      })`
    await writeTree(folder.path, { 'child.mts': code })
    const results = ['C', 'tr_TR.UTF-8', 'sv_SE.UTF-8'].map((locale) => {
      const child = spawnSync(
        process.execPath,
        ['--import', import.meta.resolve('tsx'), join(folder.path, 'child.mts')],
        {
          env: { PATH: process.env['PATH'], LC_ALL: locale, LANG: locale, TZ: 'Asia/Kathmandu' },
          encoding: 'utf8',
        },
      )
      expect(child.stderr).toBe('')
      return JSON.parse(child.stdout) as string[]
    })
    expect(results.map(([locale]) => locale)).toEqual(['en-US', 'tr-TR', 'sv-SE'])
    const [first, ...rest] = results.map((result) => result.slice(1))
    expect(first).toHaveLength(2)
    for (const result of rest) expect(result).toEqual(first)
  })
})
