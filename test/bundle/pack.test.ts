import { mkdir, readdir, readFile, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadMeasure } from '../../src/bundle/agent.ts'
import { parseIndex, renderIndex, stepId } from '../../src/bundle/index-file.ts'
import { packBundle } from '../../src/bundle/pack.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { recipeFolder, writeTree, type Tree } from '../recipe/support.ts'

const deep = `${'long-folder-name/'.repeat(6)}a-file-with-a-long-name.txt`
const tree: Tree = {
  'recipe.yaml': `name: web
every: 30
steps:
  - {name: install, type: script, run: 'true', timeout: 900, retries: 2}
  - {name: app, type: script, run: 'cat data/x', inputs: [data, tool], needs: [install, late], env: {Z: 'a=b c', A: '1'}}
  - {name: late, type: template, content: hi, destination: /etc/x, when: always, needs: []}
`,
  'data/x': 'X',
  'data-more': 'not packed',
  [`data/${deep}`]: 'deep',
  'tool*': '#!/bin/sh\n',
}

describe('packBundle', () => {
  it('packs what the format says', async () => {
    await using folder = await recipeFolder(tree)
    const recipe = await loadRecipe(folder.path)
    const { bytes, index, sha256: digest } = await packBundle(recipe)
    expect(digest).toBe(sha256(bytes))
    const file = join(folder.path, 'b.tar.gz')
    await writeTree(folder.path, { 'b.tar.gz': bytes })
    const { stdout } = await run('tar', ['--numeric-owner', '-tvzf', file], { env: { TZ: 'UTC', LC_ALL: 'C' } })
    const folders = deep.split('/').slice(0, -1)
    expect(stdout.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
      `-rw-r--r-- 0/0 ${index.length} 1970-01-01 00:00 index`,
      `-rw-r--r-- 0/0 ${loadMeasure().length} 1970-01-01 00:00 measure`,
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 steps',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 steps/01',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 steps/01/files',
      '-rwxr-xr-x 0/0 23 1970-01-01 00:00 steps/01/run',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 steps/02',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 steps/02/files',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 steps/02/files/.parbake',
      '-rw-r--r-- 0/0 2 1970-01-01 00:00 steps/02/files/.parbake/content',
      expect.stringMatching(/^-rwxr-xr-x 0\/0 \d+ 1970-01-01 00:00 steps\/02\/run$/),
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 steps/03',
      '-rw-r--r-- 0/0 12 1970-01-01 00:00 steps/03/env',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 steps/03/files',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 steps/03/files/data',
      ...folders.map(
        (_, position) =>
          `drwxr-xr-x 0/0 0 1970-01-01 00:00 steps/03/files/data/${folders.slice(0, position + 1).join('/')}`,
      ),
      `-rw-r--r-- 0/0 4 1970-01-01 00:00 steps/03/files/data/${deep}`,
      '-rw-r--r-- 0/0 1 1970-01-01 00:00 steps/03/files/data/x',
      '-rwxr-xr-x 0/0 10 1970-01-01 00:00 steps/03/files/tool',
      '-rwxr-xr-x 0/0 29 1970-01-01 00:00 steps/03/run',
    ])
  })

  it.each([['tar'], ['busybox', 'tar']])('is unpacked by %s', async (...command) => {
    await using folder = await recipeFolder(tree)
    const { bytes, index } = await packBundle(await loadRecipe(folder.path))
    await using target = await tempDir('unpack-test')
    await writeTree(target.path, { 'b.tar.gz': bytes })
    const [program = '', ...args] = command
    await run(program, [...args, '-xzf', 'b.tar.gz'], { cwd: target.path })
    const text = (name: string) => readFile(join(target.path, name), 'utf8')
    expect(await text('index')).toBe(index)
    expect(await text('steps/03/env')).toBe('A=1\nZ=a=b c\n')
    expect(await text('steps/03/run')).toBe('#!/bin/sh\nset -eu\ncat data/x\n')
    expect(await text(`steps/03/files/data/${deep}`)).toBe('deep')
    expect(await readdir(join(target.path, 'steps/01/files'))).toEqual([])
    expect((await stat(join(target.path, 'steps/03/files/tool'))).mode & 0o111).toBe(0o111)
  })

  it('marks the steps that are to be traced', async () => {
    await using folder = await recipeFolder({
      'recipe.yaml': `name: web
steps:
  - {name: plain, type: script, run: 'true'}
  - {name: traced, type: script, run: 'true', trace: true}
`,
    })
    const { bytes } = await packBundle(await loadRecipe(folder.path))
    await writeTree(folder.path, { 'b.tar.gz': bytes })
    const { stdout } = await run('tar', ['-tzf', join(folder.path, 'b.tar.gz')])
    expect(stdout.split('\n').filter((name) => name.endsWith('/trace'))).toEqual(['steps/02/trace'])
  })

  it('is plain ustar in gzip with a fixed header', async () => {
    await using folder = await recipeFolder(tree)
    const { bytes } = await packBundle(await loadRecipe(folder.path))
    expect(bytes.subarray(0, 10).toString('hex')).toBe('1f8b08000000000002ff')
    const { stdout } = await run('python3', [
      '-c',
      'import sys,tarfile,io,base64\n' +
        't=tarfile.open(fileobj=io.BytesIO(base64.b64decode(sys.argv[1])))\n' +
        'print(sorted({(m.type.decode(), m.mtime, m.uid, m.gid, m.uname, m.gname, bool(m.pax_headers)) for m in t}))',
      bytes.toString('base64'),
    ])
    expect(stdout.trim()).toBe("[('0', 0, 0, 0, '', '', False), ('5', 0, 0, 0, '', '', False)]")
  })

  it('gives the same bytes for the same recipe in another folder, with other times', async () => {
    await using one = await recipeFolder(tree)
    await using two = await tempDir('pack-test')
    const other = join(two.path, 'x', 'y')
    await mkdir(other, { recursive: true })
    await writeTree(other, Object.fromEntries(Object.entries(tree).toReversed()))
    for (const name of await readdir(other, { recursive: true })) await utimes(join(other, name), 5, 5)
    const [first, second] = [await packBundle(await loadRecipe(one.path)), await packBundle(await loadRecipe(other))]
    expect(second.sha256).toBe(first.sha256)
    await writeTree(other, { 'data/x': 'Y' })
    expect((await packBundle(await loadRecipe(other))).sha256).not.toBe(first.sha256)
  })

  it('refuses a path that ustar cannot hold', async () => {
    const name = `${'a'.repeat(110)}`
    await using folder = await recipeFolder({
      'recipe.yaml': `steps: [{name: a, type: script, run: 'true', inputs: [${name}]}]`,
      [name]: '',
    })
    await expect(packBundle(await loadRecipe(folder.path))).rejects.toThrow(`'steps/01/files/${name}' is too long`)
  })
})

describe('the index', () => {
  it('is as the format says, and reads back', async () => {
    await using folder = await recipeFolder(tree)
    const recipe = await loadRecipe(folder.path)
    const [first, second, third] = recipe.steps.map((step) => step.digest)
    const text = renderIndex(recipe)
    expect(text).toBe(
      `parbake-bundle 1\nrecipe web\nevery 30\n` +
        `step 01 install ${first} change 900 2 - -\n` +
        `step 02 late ${second} always 900 0 - -\n` +
        `step 03 app ${third} change 900 0 install,late -\n`,
    )
    expect(parseIndex(text)).toEqual({
      recipe: 'web',
      everyMinutes: 30,
      steps: recipe.steps.map((step, position) => ({
        id: stepId(position),
        name: step.name,
        digest: step.digest,
        when: step.when,
        timeoutSeconds: step.timeoutSeconds,
        retries: step.retries,
        needs: step.needs,
        flags: [],
      })),
    })
  })

  it('says how many steps may run at a time, and what is special about one', async () => {
    const steps = `steps:
  - {name: a, type: packages, install: [jq], needs: []}
  - {name: b, type: script, run: apt-get -q update, reboot: true, needs: []}
  - {name: c, type: script, run: 'true', needs: []}
`
    await using folder = await recipeFolder({ 'recipe.yaml': `name: web\nparallel: 2\n${steps}` })
    const index = parseIndex(renderIndex(await loadRecipe(folder.path)))
    expect(index.parallel).toBe(2)
    expect(index.steps.map((step) => step.flags)).toEqual([['packages'], ['packages', 'reboot'], []])
    await using whole = await recipeFolder({ 'recipe.yaml': `name: web\n${steps}` })
    expect(parseIndex(renderIndex(await loadRecipe(whole.path)))).not.toHaveProperty('parallel')
  })

  it('numbers more than 99 steps', () => {
    expect([0, 98, 99].map(stepId)).toEqual(['01', '99', '100'])
  })

  const digest = sha256('x')
  const good = `parbake-bundle 1\nrecipe web\nevery 15\nstep 01 a ${digest} change 900 0 -\n`
  it.each<[string, string]>([
    ['', "the bundle's index begins with '', not with 'parbake-bundle 1'"],
    [good.replace('bundle 1', 'bundle 2'), "begins with 'parbake-bundle 2'"],
    [good.slice(0, -1), 'in line 4: the last line has no end'],
    [good.replace('recipe web', 'recipe ../x'), 'in line 2: not a recipe line'],
    [good.replace('every 15', 'every 0'), 'in line 3: not an every line'],
    [good.replace(digest, digest.toUpperCase()), 'in line 4: not a step line'],
    [good.replace('15\n', '15\nparallel 0\n'), 'in line 4: not a step line'],
    [good.replace('change', 'never'), 'in line 4: not a step line'],
    [good.replace('step 01', 'step 02'), 'in line 4: step 02 stands where 01 belongs'],
    [good.replace('0 -', '0 b'), "in line 4: needs 'b', which is not before it"],
    [`${good}step 02 a ${digest} change 900 0 -\n`, "in line 5: a second step 'a'"],
  ])('%j is refused', (text, message) => {
    expect(() => parseIndex(text)).toThrow(message)
  })
})
