import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Event } from '../../src/report/events.ts'
import { openStepCache, type StepCache } from '../../src/step-cache/cache.ts'
import { listStates, pruneStates } from '../../src/step-cache/prune.ts'
import { tempDir } from '../../src/system/temp.ts'
import { repository } from '../support/source-files.ts'
import { contextIn, keepState, keysOf } from './support.ts'

const mib = 1024 ** 2

async function cacheFolder(): Promise<string> {
  const dir = await tempDir('step-cache-test')
  onTestFinished(() => dir[Symbol.asyncDispose]())
  return dir.path
}

const close = (cache: StepCache) => cache[Symbol.asyncDispose]()
const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )
const stateFolders = async (dir: string) =>
  (await readdir(join(dir, 'steps'))).filter((name) => /^[0-9a-f]{12}$/.test(name))

/** Keeps the booted base and the state after each step, and closes the cache. */
async function fill(dir: string, ...steps: readonly string[]): Promise<readonly string[]> {
  await using cache = await openStepCache(contextIn(dir))
  let last = await keepState(cache, [], undefined)
  const folders = [last.folder]
  for (const index of steps.keys()) {
    last = await keepState(cache, steps.slice(0, index + 1), last)
    folders.push(last.folder)
  }
  return folders
}

describe('a state that was kept', () => {
  test('is found by later bakes, with all it builds on', async () => {
    const dir = await cacheFolder()
    const folders = await fill(dir, '1', '2')
    await using cache = await openStepCache(contextIn(dir))
    const state = await cache.longestPrefix(keysOf('1', '2', '3'))
    expect(state?.folder).toBe(folders[2])
    expect(state?.chain.map(({ folder }) => folder)).toEqual(folders)
    expect(state?.entry).toMatchObject({ stepName: '2', durable: true, seconds: 1, note: { share: 0.5 } })
    expect(await readFile(join(state?.folder ?? '', 'upper', 'file'), 'utf8')).toBe('1 2')
  })

  test('is found as far as the steps are the same', async () => {
    const dir = await cacheFolder()
    const folders = await fill(dir, '1', '2')
    await using cache = await openStepCache(contextIn(dir))
    expect((await cache.longestPrefix(keysOf('1', 'x')))?.folder).toBe(folders[1])
    expect((await cache.longestPrefix(keysOf('x')))?.folder).toBe(folders[0])
    expect(await cache.longestPrefix(['no such key'])).toBeUndefined()
  })

  test('is found by the process that kept it, before it is synced', async () => {
    await using cache = await openStepCache(contextIn(await cacheFolder()))
    const kept = await keepState(cache, [], undefined)
    expect((await cache.longestPrefix(keysOf()))?.folder).toBe(kept.folder)
  })

  test('gives way to a newer one with the same key', async () => {
    const dir = await cacheFolder()
    await fill(dir)
    const [newer] = await fill(dir)
    await using cache = await openStepCache(contextIn(dir))
    expect((await cache.longestPrefix(keysOf()))?.folder).toBe(newer)
  })

  test.each<[string, (folder: string) => Promise<unknown>]>([
    ['has no entry.json', (folder) => rm(join(folder, 'entry.json'))],
    ['has half an entry.json', (folder) => writeFile(join(folder, 'entry.json'), '{"v":1,"id"')],
    ['has an empty entry.json', (folder) => writeFile(join(folder, 'entry.json'), '')],
    ['has the entry.json of another version', (folder) => writeFile(join(folder, 'entry.json'), '{"v":2}')],
    [
      'has the entry.json of another folder',
      async (folder) => {
        const entry = JSON.parse(await readFile(join(folder, 'entry.json'), 'utf8')) as object
        await writeFile(join(folder, 'entry.json'), JSON.stringify({ ...entry, id: '000000000000' }))
      },
    ],
    ['lost its content', (folder) => rm(join(folder, 'upper'), { recursive: true })],
    [
      'was not synced when the machine went down',
      async (folder) => {
        const entry = JSON.parse(await readFile(join(folder, 'entry.json'), 'utf8')) as object
        await writeFile(join(folder, 'entry.json'), JSON.stringify({ ...entry, durable: false, bootId: 'before' }))
      },
    ],
  ])('and that %s is a miss, and is swept with what builds on it', async (_, damage) => {
    const dir = await cacheFolder()
    const folders = await fill(dir, '1', '2')
    await damage(folders[1] ?? '')
    await using cache = await openStepCache(contextIn(dir))
    expect((await cache.longestPrefix(keysOf('1', '2')))?.folder).toBe(folders[0])
    expect(await Promise.all(folders.map(isThere))).toEqual([true, false, false])
  })

  test('of a boot without a sync is made durable by the next bake in the same boot', async () => {
    const dir = await cacheFolder()
    const [folder = ''] = await fill(dir)
    const path = join(folder, 'entry.json')
    const entry = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    expect(entry['durable']).toBe(true)
    await writeFile(path, JSON.stringify({ ...entry, durable: false }))
    await close(await openStepCache(contextIn(dir)))
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(entry)
  })

  test('can be dropped: what builds on it is no use any more', async () => {
    const dir = await cacheFolder()
    const folders = await fill(dir, '1', '2')
    await using cache = await openStepCache(contextIn(dir))
    const state = await cache.longestPrefix(keysOf('1'))
    await cache.drop(state?.folder ?? '')
    expect((await cache.longestPrefix(keysOf('1', '2')))?.folder).toBe(folders[0])
  })
})

describe('a reserved folder', () => {
  test('is empty, and gone when it was not kept', async () => {
    const dir = await cacheFolder()
    const cache = await openStepCache(contextIn(dir))
    const [folder, other] = [await cache.reserve(), await cache.reserve()]
    expect(await readdir(folder)).toEqual([])
    await cache.drop(other)
    expect([await isThere(folder), await isThere(other)]).toEqual([true, false])
    await close(cache)
    expect(await stateFolders(dir)).toEqual([])
    expect(await readdir(join(dir, 'steps', 'users'))).toEqual([])
    expect(await readdir(join(dir, 'steps', 'trash'))).toEqual([])
  })

  test('is left alone by others while its owner runs', async () => {
    const dir = await cacheFolder()
    await using cache = await openStepCache(contextIn(dir))
    const folder = await cache.reserve()
    await close(await openStepCache(contextIn(dir)))
    await pruneStates(contextIn(dir), { maxBytes: 0, olderThanMs: 0, dryRun: false })
    expect(await isThere(folder)).toBe(true)
  })

  test('of many made at once are all written down', async () => {
    const dir = await cacheFolder()
    await using cache = await openStepCache(contextIn(dir))
    const folders = await Promise.all(Array.from({ length: 20 }, () => cache.reserve()))
    await close(await openStepCache(contextIn(dir)))
    expect(await Promise.all(folders.map(isThere))).toEqual(folders.map(() => true))
  })

  test('of a killed process is swept; what it kept stays', async () => {
    const dir = await cacheFolder()
    const child = spawn(
      join(repository, 'node_modules', '.bin', 'tsx'),
      [join(import.meta.dirname, 'holder.ts'), dir],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const { pid, reserved, kept } = JSON.parse(line.toString()) as { pid: number; reserved: string; kept: string }
    // While it lives, not even a bound of nothing touches what it uses.
    await pruneStates(contextIn(dir), { maxBytes: 0, olderThanMs: 0, dryRun: false })
    expect([await isThere(reserved), await isThere(kept)]).toEqual([true, true])
    const ended = once(child, 'close')
    process.kill(pid, 'SIGKILL')
    await ended
    await writeFile(join(dir, 'steps', 'ledger.json.0.tmp'), '{')
    await using cache = await openStepCache(contextIn(dir))
    expect([await isThere(reserved), await isThere(kept)]).toEqual([false, true])
    expect((await cache.longestPrefix(keysOf()))?.folder).toBe(kept)
    expect(await readdir(join(dir, 'steps', 'users'))).toHaveLength(1)
    expect((await readdir(join(dir, 'steps'))).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('that is none cannot be kept', async () => {
    const dir = await cacheFolder()
    await using cache = await openStepCache(contextIn(dir))
    const kept = await keepState(cache, [], undefined)
    await expect(cache.keep(kept.folder, { ...kept.entry })).rejects.toThrow(/was not reserved/)
    await expect(cache.drop('/tmp')).rejects.toThrow(/is not in/)
  })
})

describe('the bound', () => {
  test('holds after each bake; what a running one uses stays', async () => {
    const dir = await cacheFolder()
    const context = contextIn(dir, 2 * mib)
    const cache = await openStepCache(context)
    const base = await keepState(cache, [], undefined, { seconds: 50 })
    const first = await keepState(cache, ['1'], base, { seconds: 10 })
    const second = await keepState(cache, ['1', '2'], first, { seconds: 1 })
    const third = await keepState(cache, ['x'], base, { seconds: 20 })
    const all = [base, first, second, third].map(({ folder }) => folder)
    expect(await Promise.all(all.map(isThere))).toEqual([true, true, true, true])
    await close(cache)
    // The cheapest leaf, then what it built on, by then a leaf itself and cheaper than the other.
    expect(await Promise.all(all.map(isThere))).toEqual([true, false, false, true])
  })

  test('keeps what is used, with what it builds on, while another bake removes', async () => {
    const dir = await cacheFolder()
    const folders = await fill(dir, '1', '2')
    await using user = await openStepCache(contextIn(dir))
    await user.longestPrefix(keysOf('1'))
    await close(await openStepCache(contextIn(dir, 0)))
    expect(await Promise.all(folders.map(isThere))).toEqual([true, true, false])
  })

  test('a hit makes a state stay longer', async () => {
    const dir = await cacheFolder()
    await fill(dir)
    const other = await openStepCache(contextIn(dir))
    await keepState(other, ['other'], undefined, { seconds: 3 })
    await keepState(other, ['third'], undefined, { seconds: 2 })
    await close(other)
    // 1 s per MiB goes, then 2 s: whoever is used now starts from 2.
    await close(await openStepCache(contextIn(dir, mib)))
    const cache = await openStepCache(contextIn(dir))
    await keepState(cache, ['fresh'], undefined, { seconds: 1.5 })
    await close(cache)
    await close(await openStepCache(contextIn(dir, mib)))
    const { states } = await listStates(contextIn(dir))
    expect(states.map(({ entry }) => entry.stepName)).toEqual(['fresh'])
  })

  test('removes whatever a guest may leave in a tree', async () => {
    const dir = await cacheFolder()
    const events: Event[] = []
    const cache = await openStepCache(contextIn(dir, 0, events))
    const folder = await cache.reserve()
    await mkdir(join(folder, 'upper', 'sealed'), { recursive: true })
    await writeFile(join(folder, 'upper', 'sealed', 'file'), '')
    await chmod(join(folder, 'upper', 'sealed'), 0)
    if (process.getuid?.() === 0) {
      execFileSync('mknod', [join(folder, 'upper', 'whiteout'), 'c', '0', '0'])
      await writeFile(join(folder, 'upper', 'immutable'), '')
      try {
        execFileSync('chattr', ['+i', join(folder, 'upper', 'immutable')], { stdio: 'ignore' })
      } catch {
        // A file system without such flags.
      }
    }
    await cache.keep(folder, {
      ...{ key: keysOf()[0], parent: null, engine: 'container', base: 'b', stepName: null, stepDigest: null },
      ...{ seconds: 1, sizeBytes: mib, note: null },
    })
    await close(cache)
    expect(await stateFolders(dir)).toEqual([])
    expect(await readdir(join(dir, 'steps', 'trash'))).toEqual([])
    expect(events).toEqual([])
  })
})

test('many bakes at once, in one cache with a small bound, never break a chain', async () => {
  const dir = await cacheFolder()
  const bakeOnce = async (index: number) => {
    await using cache = await openStepCache(contextIn(dir, 6 * mib))
    const steps = ['1', `${index % 2}`, `${index % 3}`]
    const keys = keysOf(...steps)
    const found = await cache.longestPrefix(keys)
    let last = found
    const done = found === undefined ? 0 : keys.findIndex((key) => key === found.entry.key) + 1
    for (let count = done; count <= steps.length; count += 1) last = await keepState(cache, steps.slice(0, count), last)
    // All that it builds on must be there to the end.
    for (const { folder } of last?.chain ?? []) await access(join(folder, 'upper', 'file'))
    return last?.chain.length
  }
  const depths = await Promise.all(Array.from({ length: 12 }, (_, index) => bakeOnce(index)))
  expect(depths).toEqual(depths.map(() => 4))
  const { states } = await listStates(contextIn(dir))
  expect(states.reduce((sum, { entry }) => sum + entry.sizeBytes, 0)).toBeLessThanOrEqual(6 * mib)
  const ids = new Set(states.map(({ entry }) => entry.id))
  expect(states.filter(({ entry }) => entry.parent !== null && !ids.has(entry.parent))).toEqual([])
  expect((await stateFolders(dir)).toSorted()).toEqual([...ids].toSorted())
})

describe('pruneStates', () => {
  test('a dry run says what would go and changes nothing', async () => {
    const dir = await cacheFolder()
    const folders = await fill(dir, '1', '2')
    const before = await readFile(join(dir, 'steps', 'ledger.json'), 'utf8')
    const removed = await pruneStates(contextIn(dir), { maxBytes: mib, dryRun: true })
    expect(removed.map(({ stepName }) => stepName)).toEqual(['2', '1'])
    expect(await Promise.all(folders.map(isThere))).toEqual([true, true, true])
    expect(await readFile(join(dir, 'steps', 'ledger.json'), 'utf8')).toBe(before)
    expect(await pruneStates(contextIn(dir), { maxBytes: mib, dryRun: false })).toEqual(removed)
    expect(await Promise.all(folders.map(isThere))).toEqual([true, false, false])
  })

  test('removes what was not used for long', async () => {
    const dir = await cacheFolder()
    await fill(dir, '1', '2')
    const path = join(dir, 'steps', 'ledger.json')
    const ledger = JSON.parse(await readFile(path, 'utf8')) as { uses: Record<string, { usedAt: string }> }
    const { states } = await listStates(contextIn(dir))
    for (const { entry } of states) {
      const use = ledger.uses[entry.id]
      if (use !== undefined && entry.stepName !== '1') use.usedAt = '2020-01-01T00:00:00.000Z'
    }
    await writeFile(path, JSON.stringify(ledger))
    const removed = await pruneStates(contextIn(dir), { olderThanMs: 86_400_000, dryRun: false })
    // The booted base is as old, but what is newer builds on it.
    expect(removed.map(({ stepName }) => stepName)).toEqual(['2'])
  })
})

test('listStates shows what builds on what', async () => {
  const dir = await cacheFolder()
  await fill(dir, '1', '2')
  await using cache = await openStepCache(contextIn(dir))
  await cache.longestPrefix(keysOf('1'))
  const { states, maxBytes } = await listStates(contextIn(dir, 5))
  expect(maxBytes).toBe(5)
  expect(states.map(({ entry, children, inUse, uses }) => [entry.stepName, children, inUse, uses])).toEqual([
    [null, 1, true, 2],
    ['1', 1, true, 2],
    ['2', 0, false, 1],
  ])
})
