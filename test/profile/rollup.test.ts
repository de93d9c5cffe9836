import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { documentsOf, writeDocuments, type FleetOptions } from '../../bench/fleet/synthetic.ts'
import type { FleetStatistics } from '../../src/profile/fleet.ts'
import type { Report } from '../../src/profile/report.ts'
import { FleetBuilder } from '../../src/profile/rollup/fleet-builder.ts'
import { readDays } from '../../src/profile/rollup/read.ts'
import { rollUp, type RollUpOptions } from '../../src/profile/rollup/roll-up.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { keys } from '../../src/store/keys.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { tempDir } from '../../src/system/temp.ts'
import { storeWith } from '../support/store-with.ts'
import { report, stepReport } from './support.ts'

const dayMs = 86_400_000
const noon = Date.UTC(2026, 10, 20, 12)

async function withStore(work: (store: ObjectStore) => Promise<void>): Promise<void> {
  await using dir = await tempDir('rollup')
  await work(openDirectoryStore(dir.path))
}

async function upload(store: ObjectStore, day: string, changes: Partial<Report> = {}): Promise<Report> {
  const document = report([stepReport('a', 5)], { startedAt: Date.parse(day) / 1000 + 3600, ...changes })
  await store.put(keys.report('web', day, document.host, document.run), JSON.stringify(document))
  return document
}

async function statistics(store: ObjectStore, recipe = 'web', now = noon): Promise<FleetStatistics> {
  const builder = new FleetBuilder()
  for await (const { day, tally, rolledUp } of readDays(store, recipe, { now })) builder.add(day, tally, rolledUp)
  return builder.build(recipe)
}

/** The same store, with the reports that were read by name, as often as they were. */
function watched(store: ObjectStore): { store: ObjectStore; reads: string[] } {
  const reads: string[] = []
  const get: ObjectStore['get'] = (key, options) => {
    if (key.startsWith('reports/')) reads.push(key)
    return store.get(key, options)
  }
  return { store: storeWith(store, { get }), reads }
}

/** What must not depend on how the counting went. */
function figures(fleet: FleetStatistics): unknown {
  const { rolledUp: _, ...reports } = fleet.reports
  return JSON.parse(
    JSON.stringify({ ...fleet, reports }, (name, value: unknown) =>
      // Sums of floating-point numbers depend on their order.
      typeof value === 'number' && ['mean', 'stddev'].includes(name) ? Number(value.toPrecision(9)) : value,
    ),
  )
}

const synthetic: FleetOptions = { recipe: 'web', seed: 3, perHour: 8, hours: 60, end: Date.UTC(2026, 10, 20, 12) }

/** Written as files, for a put of each would take longer than the test. */
function uploadSynthetic(store: ObjectStore, from = 0, to = synthetic.hours): number {
  return writeDocuments(fileURLToPath(store.url), documentsOf(synthetic, from, to))
}

describe('rollUp', () => {
  it('reads every report once, and then only new ones', () =>
    withStore(async (plain) => {
      const count = uploadSynthetic(plain, 0, 50)
      const { store, reads } = watched(plain)
      const first = await rollUp(store, 'web', { now: noon })
      expect(first).toMatchObject({ documents: count, conflicts: 0 })
      expect(new Set(reads).size).toBe(count)
      expect(reads.length).toBe(count)
      expect(await rollUp(store, 'web', { now: noon })).toMatchObject({ documents: 0, changed: 0 })
      expect(reads.length).toBe(count)
      const more = uploadSynthetic(plain, 50, 51)
      expect(await rollUp(store, 'web', { now: noon })).toMatchObject({ documents: more })
      expect(reads.length).toBe(count + more)
    }))

  it('gives what reading everything gives', () =>
    withStore(async (store) => {
      const count = uploadSynthetic(store)
      const unread = await statistics(store)
      expect(unread.reports.rolledUp).toBe(0)
      await rollUp(store, 'web', { now: noon, batch: 7 })
      const rolledUp = await statistics(store)
      expect(rolledUp.reports.rolledUp).toBe(count)
      expect(figures(rolledUp)).toEqual(figures(unread))
    }))

  it('lets a profile add what came since', () =>
    withStore(async (store) => {
      const counted = uploadSynthetic(store, 0, 55)
      await rollUp(store, 'web', { now: noon })
      uploadSynthetic(store, 55)
      const mixed = await statistics(store)
      expect(mixed.reports.rolledUp).toBe(counted)
      const again = await tempDir('rollup-all')
      const all = openDirectoryStore(again.path)
      uploadSynthetic(all)
      expect(figures(mixed)).toEqual(figures(await statistics(all)))
      await again[Symbol.asyncDispose]()
    }))

  it.each([1, 3, 10, 100])('goes on where it was stopped after %i saves, and counts nothing twice', (stopAfter) =>
    withStore(async (plain) => {
      const count = uploadSynthetic(plain)
      const expected = figures(await statistics(plain))
      const stop = new AbortController()
      let saves = 0
      const { store, reads } = watched(
        storeWith(plain, {
          // The put took effect, and then the process died.
          put: async (key, body, options) => {
            const result = await plain.put(key, body, options)
            if (++saves === stopAfter) stop.abort(new Error('killed'))
            return result
          },
        }),
      )
      const options: RollUpOptions = { now: noon, batch: 20 }
      const outcome = await rollUp(store, 'web', { ...options, signal: stop.signal }).catch((error: unknown) => error)
      const wasStopped = outcome instanceof Error
      expect(wasStopped).toBe(stop.signal.aborted)
      const before = reads.length
      const rest = await rollUp(store, 'web', options)
      expect(figures(await statistics(plain))).toEqual(expected)
      expect((await statistics(plain)).reports.rolledUp).toBe(count)
      // Of what was read before, only the unsaved batch was read again.
      if (wasStopped) expect(reads.length - before).toBe(rest.documents)
      expect(reads.length - count).toBeLessThanOrEqual(20 + 16)
    }),
  )

  it('counts once what two runs read at the same time', () =>
    withStore(async (store) => {
      const count = uploadSynthetic(store)
      const expected = figures(await statistics(store))
      const results = await Promise.all([7, 11, 13].map((batch) => rollUp(store, 'web', { now: noon, batch })))
      expect(results.reduce((sum, { documents }) => sum + documents, 0)).toBe(count)
      expect(figures(await statistics(store))).toEqual(expected)
    }))

  it('notices that another run was faster', () =>
    withStore(async (store) => {
      const count = uploadSynthetic(store)
      const expected = figures(await statistics(store))
      let isFirst = true
      const overtaken = storeWith(store, {
        put: async (key, body, options) => {
          if (isFirst) await rollUp(store, 'web', { now: noon })
          isFirst = false
          return store.put(key, body, options)
        },
      })
      expect(await rollUp(overtaken, 'web', { now: noon })).toMatchObject({ documents: 0, conflicts: 1 })
      expect((await statistics(store)).reports.rolledUp).toBe(count)
      expect(figures(await statistics(store))).toEqual(expected)
    }))

  it('counts reports that come late', () =>
    withStore(async (store) => {
      const yesterday = '2026-11-19'
      const longAgo = '2026-09-01'
      // The time of the object says when a day was looked at, so this happens now.
      const now = Date.now()
      for (const day of [yesterday, longAgo]) await upload(store, day)
      await rollUp(store, 'web', { now })
      for (const day of [yesterday, longAgo]) await upload(store, day)
      await rollUp(store, 'web', { now: Date.parse(yesterday) + 1.5 * dayMs })
      expect((await statistics(store, 'web', now)).history.map(({ launches }) => launches)).toEqual([1, 2])
      expect(await rollUp(store, 'web', { now: now + 60 * dayMs })).toMatchObject({ documents: 1 })
      await upload(store, longAgo)
      expect(await rollUp(store, 'web', { now, all: true })).toMatchObject({ documents: 1 })
    }))

  it('keeps what it counted when the store deletes old reports', () =>
    withStore(async (store) => {
      const document = await upload(store, '2026-09-01')
      await upload(store, '2026-11-19')
      await rollUp(store, 'web', { now: noon })
      await store.delete(keys.report('web', '2026-09-01', document.host, document.run))
      expect((await statistics(store)).reports.fleet).toBe(2)
    }))

  it('counts broken documents once, apart', () =>
    withStore(async (store) => {
      await upload(store, '2026-11-19')
      await store.put('reports/web/dt=2026-11-19/torn.json', '{"v": 1,')
      const skipped: string[] = []
      const options = { now: noon, onSkipped: ({ key }: { key: string }) => void skipped.push(key) }
      expect(await rollUp(store, 'web', options)).toMatchObject({ documents: 2 })
      expect(await rollUp(store, 'web', options)).toMatchObject({ documents: 0 })
      expect(skipped).toEqual(['reports/web/dt=2026-11-19/torn.json'])
      expect((await statistics(store)).reports).toMatchObject({ fleet: 1, skipped: 1 })
    }))

  it('finds hosts whose clock is wrong', () =>
    withStore(async (store) => {
      for (const day of ['1970-01-01', '2026-11-20', '2099-12-31']) await upload(store, day)
      expect(await rollUp(store, 'web', { now: noon })).toMatchObject({ documents: 3 })
      expect((await statistics(store)).history.map(({ day }) => day)).toEqual([
        '1970-01-01',
        '2026-11-20',
        '2099-12-31',
      ])
    }))

  it('does nothing where there is nothing', () =>
    withStore(async (store) => {
      expect(await rollUp(store, 'web')).toMatchObject({ looked: 0, documents: 0 })
    }))

  it('leaves the rollup as it was where the store fails', () =>
    withStore(async (store) => {
      uploadSynthetic(store)
      let reads = 0
      const failing = storeWith(store, {
        get: (key, options) =>
          key.startsWith('reports/') && ++reads > 100 ? Promise.reject(new Error('no route')) : store.get(key, options),
      })
      await expect(rollUp(failing, 'web', { now: noon })).rejects.toThrow('no route')
      await rollUp(store, 'web', { now: noon })
      const fresh = await statistics(store)
      expect(fresh.reports.rolledUp).toBe(synthetic.hours * synthetic.perHour)
    }))

  it.each([
    ['no JSON', 'x'],
    ['JSON of another shape', '{"v":1}\n{"seen":""}\n'],
    ['no fingerprints', undefined],
  ])('says which rollup is broken: %s', (_, text) =>
    withStore(async (store) => {
      await upload(store, '2026-11-20')
      await rollUp(store, 'web', { now: noon })
      const key = keys.rollup('web', '2026-11-20')
      const whole = await store.get(key)
      const chunks: Buffer[] = []
      for await (const chunk of whole!.body) chunks.push(chunk as Buffer)
      const [head] = Buffer.concat(chunks).toString('utf8').split('\n')
      await store.put(key, text ?? `${head}\n{"seen":"?"}\n`)
      await expect(rollUp(store, 'web', { now: noon })).rejects.toMatchObject({
        code: 'rollup-broken',
        message: `the rollup ${key} is broken`,
      })
    }),
  )
})
