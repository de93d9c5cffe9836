import { mkdir, open, readdir, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { pruneCache, readCache, type CacheContent } from '../../src/cache/cache.ts'
import { formatAge, renderCache, renderRemoved } from '../../src/cache/render.ts'
import { build } from '../../src/commands/cache.ts'
import type { CommandContext } from '../../src/commands/app.ts'
import { openStepCache } from '../../src/step-cache/cache.ts'
import type { StateEntry } from '../../src/step-cache/entry.ts'
import { tempDir } from '../../src/system/temp.ts'
import { parseSize } from '../../src/util/size.ts'
import { contextIn, keepState } from '../step-cache/support.ts'

const day = 86_400_000

async function cacheFolder(): Promise<string> {
  const dir = await tempDir('cache-test')
  onTestFinished(() => dir[Symbol.asyncDispose]())
  return dir.path
}

async function addFile(path: string, bytes: number, ageDays: number): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, Buffer.alloc(bytes))
  const when = new Date(Date.now() - ageDays * day)
  await utimes(path, when, when)
}

/** Two states, two packages, two images with a base's link beside them, two logs: each one new and one old. */
async function filledCache(): Promise<string> {
  const dir = await cacheFolder()
  {
    await using cache = await openStepCache(contextIn(dir))
    const base = await keepState(cache, [], undefined, { seconds: 30, sizeBytes: 4 * 1024 ** 2 })
    await keepState(cache, ['nginx'], base, { seconds: 1.5, sizeBytes: 1024 ** 2 })
  }
  for (const [name, ageDays] of [
    ['a', 40],
    ['b', 0],
  ] as const) {
    await addFile(join(dir, 'packages', name.repeat(64)), 1000, ageDays)
    await addFile(join(dir, 'images', `${name.repeat(64)}.qcow2`), 2000, ageDays)
    await addFile(join(dir, 'logs', `bake-${name}.log`), 10, ageDays)
  }
  await symlink('/nonexistent', join(dir, 'images', 'base-x.qcow2'))
  await addFile(join(dir, 'images', 'being-fetched', 'part'), 10, 40)
  await addFile(join(dir, 'raw', 'x.raw'), 3000, 0)
  await truncate(join(dir, 'raw', 'x.raw'), 100_000_000)
  await addFile(join(dir, 'raw', 'x.json'), 10, 0)
  return dir
}

/** A git revision, a compiled command and findings, last used so long ago. */
async function addQuicklyHad(dir: string, ageDays: number): Promise<void> {
  const revision = join(dir, 'git', 'c'.repeat(40))
  await addFile(join(revision, 'recipe.yaml'), 100, ageDays)
  await addFile(join(revision, '.git', 'HEAD'), 41, ageDays + 10)
  await addFile(join(dir, 'compiled', 'check-v1'), 5000, ageDays)
  await addFile(join(dir, 'lint', 'shellcheck.json'), 20, ageDays)
  await addFile(join(dir, 'lint', 'answers', 'one.json'), 30, ageDays)
  const when = new Date(Date.now() - ageDays * day)
  for (const folder of [join(revision, '.git'), revision, join(dir, 'lint', 'answers')])
    await utimes(folder, when, when)
}

describe('readCache', () => {
  test('counts everything', async () => {
    const dir = await filledCache()
    await addQuicklyHad(dir, 0)
    const content = await readCache(contextIn(dir, 99))
    expect(content).toMatchObject({
      steps: { count: 2, bytes: 5 * 1024 ** 2, maxBytes: 99 },
      packages: { count: 2, bytes: 2000, maxBytes: 1024 ** 3 },
      bases: { count: 0, bytes: 0 },
      images: { count: 2, bytes: 4000 },
      logs: { count: 2, bytes: 20 },
      unpackedBases: { count: 1 },
      revisions: { count: 1, bytes: 141 },
      compiled: { count: 1, bytes: 5000 },
      findings: { count: 2, bytes: 50 },
    })
    expect(content.unpackedBases.bytes).toBeLessThan(1_000_000)
  })

  test('of nothing is nothing', async () => {
    const content = await readCache(contextIn(join(await cacheFolder(), 'new')))
    expect(content.states).toEqual([])
    expect(content.steps.count).toBe(0)
  })
})

describe('pruneCache', () => {
  const rest = { images: false, logs: false, dryRun: false }
  const kinds = async (dir: string, options: Parameters<typeof pruneCache>[1]) =>
    (await pruneCache(contextIn(dir), options)).map(
      ({ kind, name }) => `${kind} ${name.replace(/^[0-9a-f]{12} /, '').replace(/^([ab])\1{63}/, '$1')}`,
    )

  test('below the bounds removes nothing', async () => {
    expect(await kinds(await filledCache(), rest)).toEqual([])
  })

  test('removes by age, images and logs only where asked to', async () => {
    const dir = await filledCache()
    const olderThanMs = 20 * day
    expect(await kinds(dir, { ...rest, olderThanMs, dryRun: true })).toEqual(['package a'])
    const all = ['package a', 'image a.qcow2', 'log bake-a.log']
    expect(await kinds(dir, { ...rest, olderThanMs, images: true, logs: true, dryRun: true })).toEqual(all)
    expect(await kinds(dir, { ...rest, olderThanMs, images: true, logs: true })).toEqual(all)
    expect((await readdir(join(dir, 'images'))).toSorted()).toEqual(
      ['base-x.qcow2', 'being-fetched', `${'b'.repeat(64)}.qcow2`].toSorted(),
    )
    expect(await readdir(join(dir, 'logs'))).toEqual(['bake-b.log'])
  })

  test('removes what is quickly had again when it is old, folders as a whole', async () => {
    const dir = await filledCache()
    await addQuicklyHad(dir, 29)
    expect(await kinds(dir, rest)).toEqual([])
    const all = [`git ${'c'.repeat(40)}`, 'compiled check-v1', 'lint shellcheck.json', 'lint answers']
    const options = { ...rest, olderThanMs: 28 * day }
    await mkdir(join(dir, 'git', 'parbake-git-1'))
    const handle = await open(join(dir, 'git', 'c'.repeat(40), 'recipe.yaml'))
    expect((await kinds(dir, options)).filter((line) => !line.startsWith('package')).toSorted()).toEqual(
      all.slice(1).toSorted(),
    )
    await handle.close()
    expect(await kinds(dir, options)).toEqual(all.slice(0, 1))
    expect(await readdir(join(dir, 'git'))).toEqual(['parbake-git-1'])
    expect(await readdir(join(dir, 'lint'))).toEqual([])
  })

  test('takes 30 days as old where nothing is said', async () => {
    expect(await kinds(await filledCache(), { ...rest, logs: true })).toEqual(['log bake-a.log'])
  })

  test('leaves what a process has open', async () => {
    const dir = await filledCache()
    const handle = await open(join(dir, 'images', `${'a'.repeat(64)}.qcow2`))
    expect(await kinds(dir, { ...rest, images: true })).toEqual([])
    await handle.close()
    expect(await kinds(dir, { ...rest, images: true })).toEqual(['image a.qcow2'])
  })

  test('to nothing removes all states, what builds on others first, and all packages', async () => {
    const dir = await filledCache()
    const removed = await kinds(dir, { ...rest, maxBytes: 0, olderThanMs: 0 })
    expect(removed).toEqual(['step (nginx)', 'step (booted base)', 'package a', 'package b'])
    expect(await readdir(join(dir, 'packages'))).toEqual([])
  })
})

describe('the listing', () => {
  const now = new Date('2026-11-20T12:00:00Z')
  const entry: StateEntry = {
    ...{ v: 1, id: 'aaaaaaaaaaaa', key: 'k', parent: null, engine: 'vm', base: 'd', stepName: null, stepDigest: null },
    ...{ seconds: 41.6, sizeBytes: 300 * 1024 ** 2, createdAt: '2026-11-17T12:00:00Z', bootId: 'x', durable: true },
    ...{ payload: [], note: null },
  }
  const state = { entry, usedAt: '2026-11-20T11:48:00Z', uses: 2, children: 1, inUse: true, trusted: true }
  const content: CacheContent = {
    cacheDir: '/cache',
    states: [
      state,
      {
        ...{ ...state, children: 0, inUse: false, usedAt: '2026-11-20T11:59:20Z' },
        entry: {
          ...entry,
          id: 'bbbbbbbbbbbb',
          parent: 'aaaaaaaaaaaa',
          stepName: 'nginx',
          base: '0123456789abcdef',
          seconds: 3,
        },
      },
    ],
    baseNames: { d: 'debian-12' },
    steps: { count: 2, bytes: 600 * 1024 ** 2, maxBytes: 20 * 1024 ** 3 },
    packages: { count: 3, bytes: 1024, maxBytes: 4 * 1024 ** 3 },
    bases: { count: 1, bytes: 1024 },
    unpackedBases: { count: 1, bytes: 2048 },
    images: { count: 0, bytes: 0 },
    logs: { count: 0, bytes: 0 },
    revisions: { count: 1, bytes: 4096 },
    compiled: { count: 2, bytes: 1024 },
    findings: { count: 0, bytes: 0 },
  }

  test('shows states below what they build on', () => {
    expect(renderCache(content, now, { colour: false })).toBe(`\
state         base          engine  step         age    used     size   saves  used by
aaaaaaaaaaaa  debian-12     vm      booted base  3 d  12 min  300 MiB  41.6 s  a running bake, 1 state
bbbbbbbbbbbb  0123456789ab  vm        nginx      3 d    40 s  300 MiB  3.00 s  -

what                  how many     size     bound
kept states of bakes         2  600 MiB  20.0 GiB
packages                     3  1.0 KiB   4.0 GiB
bases                        1  1.0 KiB
bases, unpacked              1  2.0 KiB
images                       0      0 B
logs                         0      0 B
revisions from git           1  4.0 KiB
compiled commands            2  1.0 KiB
findings of checks           0      0 B
in /cache`)
  })

  test('sums packages up', () => {
    const removed = [
      { kind: 'step', name: 'x (nginx)', bytes: 1024 },
      { kind: 'package', name: 'y', bytes: 512 },
      { kind: 'package', name: 'z', bytes: 512 },
    ] as const
    expect(renderRemoved(removed, true, { colour: false })).toBe(`\
what        which         size
kept state  x (nginx)  1.0 KiB
packages    2 files    1.0 KiB

would free 2.0 KiB`)
    expect(renderRemoved([], false)).toBe('nothing to remove')
  })

  test.each([
    [-5, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [3_600_000, '1 h'],
    [47 * 3_600_000, '47 h'],
    [48 * 3_600_000, '2 d'],
  ])('%d ms ago is %s', (ms, text) => {
    expect(formatAge(ms)).toBe(text)
  })
})

describe('the command', () => {
  const run = async (dir: string, ...words: readonly string[]) => {
    const printed: string[] = []
    const context: CommandContext = {
      ...contextIn(dir),
      json: words.includes('--json'),
      completed: () => {},
      print: (text) => printed.push(text),
      printJson: (value) => printed.push(JSON.stringify(value)),
    }
    const command = build({ open: () => Promise.resolve(context) })
    for (const each of command.commands)
      each
        .option('--json')
        .exitOverride()
        .configureOutput({ writeErr: () => {} })
    await command.exitOverride().parseAsync(words, { from: 'user' })
    return printed.join('\n')
  }

  test('lists, prunes and clears', async () => {
    const dir = await filledCache()
    expect(await run(dir, 'list')).toMatch(/container +booted base[^]*container +nginx[^]*kept states of bakes +2/)
    expect(JSON.parse(await run(dir, 'list', '--json'))).toMatchObject({ steps: { count: 2 }, cacheDir: dir })
    expect(await run(dir, 'prune')).toBe('nothing to remove')
    expect(JSON.parse(await run(dir, 'prune', '--max-bytes', '4MiB', '--dry-run', '--json'))).toMatchObject({
      ...{ dryRun: true, freedBytes: 1024 ** 2, removed: [{ kind: 'step' }] },
    })
    expect(await run(dir, 'prune', '--older-than', '20d')).toMatch(/packages +1 file\b/)
    expect(await run(dir, 'clear')).toMatch(/booted base[^]*freed 5\.0 MiB/)
    expect(JSON.parse(await run(dir, 'list', '--json'))).toMatchObject({
      states: [],
      packages: { count: 0 },
      images: { count: 2 },
    })
  })

  test.each([
    [['prune', '--max-bytes', 'much'], "'much' is no size for --max-bytes"],
    [['prune', '--older-than', 'long'], "'long' is no duration for --older-than"],
  ])('%j: %s', async (words, message) => {
    await expect(run('/nonexistent', ...words)).rejects.toMatchObject({ message, exitCode: 2 })
  })
})

test.each([
  ['5GiB', 5 * 1024 ** 3],
  ['1.5G', 1.5 * 1024 ** 3],
  ['200 MiB', 200 * 1024 ** 2],
  ['12', 12],
  [12, 12],
  ['12B', 12],
  ['5GB', undefined],
  ['-1', undefined],
  ['', undefined],
  ['9999999T', undefined],
])('parseSize(%j) is %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes)
})
