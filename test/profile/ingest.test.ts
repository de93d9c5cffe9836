import { describe, expect, it } from 'vitest'
import { collectReports, readReports, type SkippedReport } from '../../src/profile/ingest.ts'
import type { Report } from '../../src/profile/report.ts'
import type { Event } from '../../src/report/events.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { keys } from '../../src/store/keys.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { tempDir } from '../../src/system/temp.ts'
import { storeWith } from '../support/store-with.ts'
import { report, stepReport } from './support.ts'

const dayMs = 86_400_000

async function upload(store: ObjectStore, document: Report): Promise<string> {
  const day = new Date(document.startedAt * 1000).toISOString().slice(0, 10)
  const key = keys.report(document.recipe, day, document.host, document.run)
  await store.put(key, JSON.stringify(document))
  return key
}

async function all(reports: AsyncIterable<Report>): Promise<string[]> {
  const runs: string[] = []
  for await (const each of reports) runs.push(each.run)
  return runs
}

const at = (run: string, startedAtMs: number) =>
  report([stepReport('a', 1)], { run, host: 'h', startedAt: Math.floor(startedAtMs / 1000) })

describe('readReports', () => {
  it('hands out the reports of one recipe by day', async () => {
    await using dir = await tempDir('reports')
    const store = openDirectoryStore(dir.path)
    await upload(store, at('b', Date.UTC(2026, 10, 2)))
    await upload(store, at('c', Date.UTC(2026, 10, 3)))
    await upload(store, at('a', Date.UTC(2026, 9, 31)))
    await upload(store, { ...at('x', Date.UTC(2026, 9, 31)), recipe: 'web2' })
    expect(await all(readReports(store, 'web'))).toEqual(['a', 'b', 'c'])
  })

  it('hands out nothing where there is nothing', async () => {
    await using dir = await tempDir('reports')
    expect(await all(readReports(openDirectoryStore(dir.path), 'web'))).toEqual([])
  })

  it.each([
    ['a list per day', 3],
    ['one walk over all keys', 200],
  ])('leaves out what began before `since`, by %s', async (_, days) => {
    await using dir = await tempDir('reports')
    const store = openDirectoryStore(dir.path)
    const since = Date.now() - days * dayMs
    await upload(store, at('long-before', since - 40 * dayMs))
    await upload(store, at('just-before', since - 5000))
    await upload(store, at('just-after', since + 5000))
    await upload(store, at('now', Date.now()))
    await upload(store, at('clock-ahead', Date.now() + 3_600_000))
    const runs = await all(readReports(store, 'web', { since: new Date(since) }))
    expect(runs.toSorted()).toEqual(['clock-ahead', 'just-after', 'now'])
  })

  it('takes the newest where there is a limit', async () => {
    await using dir = await tempDir('reports')
    const store = openDirectoryStore(dir.path)
    for (const [index, run] of ['a', 'b', 'c'].entries()) await upload(store, at(run, Date.UTC(2026, 10, 1 + index)))
    expect(await all(readReports(store, 'web', { limit: 2 }))).toEqual(['b', 'c'])
    expect(await all(readReports(store, 'web', { limit: 0 }))).toEqual([])
    expect(await all(readReports(store, 'web', { limit: 9 }))).toEqual(['a', 'b', 'c'])
  })

  it('says what it skipped and why, and goes on', async () => {
    await using dir = await tempDir('reports')
    const store = openDirectoryStore(dir.path)
    const prefix = 'reports/web/dt=2026-11-20'
    await store.put(`${prefix}/1-torn.json`, '{"v": 1, "run"')
    await store.put(`${prefix}/2-other-version.json`, JSON.stringify({ ...at('v9', 0), v: 9 }))
    await store.put(`${prefix}/3-foreign.json`, JSON.stringify({ ...at('f', 0), recipe: 'db' }))
    await store.put(`${prefix}/4-notes.txt`, 'hello')
    await store.put(`${prefix}/5-huge.json`, ' '.repeat(1024 * 1024 + 1))
    await store.put(`${prefix}/6-null.json`, 'null')
    await store.put(`${prefix}/7-good.json`, JSON.stringify(at('good', 0)))
    const skipped: SkippedReport[] = []
    expect(await all(readReports(store, 'web', { onSkipped: (each) => skipped.push(each) }))).toEqual(['good'])
    expect(skipped.map((each) => each.key.slice(prefix.length + 1))).toEqual([
      '1-torn.json',
      '2-other-version.json',
      '3-foreign.json',
      '4-notes.txt',
      '5-huge.json',
      '6-null.json',
    ])
    expect(skipped[1]?.reason).toMatch(/^v: /)
    expect(skipped[2]?.reason).toBe('it is a report of "db"')
    expect(skipped[3]?.reason).toBe('not named .json')
  })

  it('reads at most 16 at once, and more than one', async () => {
    await using dir = await tempDir('reports')
    const store = openDirectoryStore(dir.path)
    const runs = Array.from({ length: 50 }, (_, index) => `run-${String(index).padStart(2, '0')}`)
    for (const run of runs) await upload(store, at(run, Date.UTC(2026, 10, 20)))
    let running = 0
    let most = 0
    const counting = storeWith(store, {
      get: async (key, options) => {
        running += 1
        most = Math.max(most, running)
        await new Promise((resolve) => setTimeout(resolve, 2))
        const object = await store.get(key, options)
        running -= 1
        return object
      },
    })
    expect(await all(readReports(counting, 'web'))).toEqual(runs)
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(16)
  })

  it('passes on what the store cannot do', async () => {
    await using dir = await tempDir('reports')
    const store = openDirectoryStore(dir.path)
    await upload(store, at('a', 0))
    const broken = storeWith(store, { get: () => Promise.reject(new Error('no route to host')) })
    await expect(all(readReports(broken, 'web'))).rejects.toThrow('no route to host')
  })

  it('skips what was deleted after it was listed', async () => {
    await using dir = await tempDir('reports')
    const store = openDirectoryStore(dir.path)
    await upload(store, at('a', 0))
    const gone = storeWith(store, { get: () => Promise.resolve(undefined) })
    expect(await all(readReports(gone, 'web'))).toEqual([])
  })

  it('can be left early', async () => {
    await using dir = await tempDir('reports')
    const store = openDirectoryStore(dir.path)
    for (const run of ['a', 'b', 'c']) await upload(store, at(run, 0))
    const seen: string[] = []
    for await (const each of readReports(store, 'web')) {
      seen.push(each.run)
      break
    }
    expect(seen).toEqual(['a'])
  })
})

describe('collectReports', () => {
  it('warns once about everything it skipped', async () => {
    await using dir = await tempDir('reports')
    const store = openDirectoryStore(dir.path)
    await upload(store, at('a', 0))
    await store.put('reports/web/dt=2026-11-20/x.json', '[]')
    await store.put('reports/web/dt=2026-11-20/y.json', '{')
    const events: Event[] = []
    const reporter = { emit: (event: Event) => void events.push(event), close: () => {} }
    const { reports, skipped } = await collectReports(store, 'web', { reporter })
    expect([reports.length, skipped.length]).toEqual([1, 2])
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({
      type: 'warning',
      text: expect.stringMatching(
        /^2 documents are no report of web and not counted, e\.g\. reports\/web\/dt=2026-11-20\/x\.json: /,
      ),
    })
  })
})
