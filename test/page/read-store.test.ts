import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readBoots, storeVersion } from '../../src/page/read-store.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { tempDir } from '../../src/system/temp.ts'
import { report } from '../profile/support.ts'
import { put } from './fleet.ts'

const { signal } = new AbortController()

async function withStore(work: (store: ObjectStore) => Promise<void>): Promise<void> {
  await using dir = await tempDir('page-store')
  const store = openDirectoryStore(join(dir.path, 'store'))
  await work(store)
  store.close()
}

const at = (day: string) => Date.parse(`${day}T12:00:00Z`) / 1000

describe('readBoots', () => {
  test('reads the newest days first, until it has enough of each image', () =>
    withStore(async (store) => {
      for (const [day, image, count] of [
        ['2026-01-01', '', 3],
        ['2026-01-02', '', 3],
        ['2026-01-02', 'i1', 1],
        ['2026-01-02', 'other', 5],
      ] as const) {
        for (let each = 0; each < count; each += 1) {
          await put(store, report([], { run: `${day}-${image}-${each}`, image, startedAt: at(day) }))
        }
      }
      await put(store, report([], { run: 'warm', image: '', cold: false, startedAt: at('2026-01-02') }))
      await store.put('reports/web/dt=2026-01-02/broken.json', '{')
      const days = ['2026-01-01', '2026-01-02']
      const read = async (images: readonly string[], enough: number, most?: number) =>
        (await readBoots(store, 'web', days, images, { signal, enough, ...(most === undefined ? {} : { most }) })).map(
          ({ run }) => run.slice(0, -2),
        )
      expect(await read(['', 'i1'], 2)).toEqual(['2026-01-02-', '2026-01-02-', '2026-01-02-i1'])
      expect(await read(['', 'i1'], 4)).toEqual([
        ...['2026-01-02-', '2026-01-02-', '2026-01-02-', '2026-01-01-'],
        '2026-01-02-i1',
      ])
      expect(await read(['i1'], 9)).toEqual(['2026-01-02-i1'])
      expect(await read([''], 9, 0)).toEqual([])
    }))
})

describe('storeVersion', () => {
  test('changes with new reports, images and channels, and with nothing else', () =>
    withStore(async (store) => {
      const look = () => storeVersion(store, 'web', 'stable', signal)
      const seen = [await look()]
      expect(await look()).toBe(seen[0])
      await put(store, report([], { run: 'now', startedAt: Math.floor(Date.now() / 1000) }))
      seen.push(await look())
      await store.put('images/web/i1/manifest.json', '{}')
      seen.push(await look())
      await store.put('channels/web/stable', '1')
      seen.push(await look())
      await store.put('channels/web/stable', '2')
      seen.push(await look())
      expect(new Set(seen).size).toBe(seen.length)
      await put(store, report([], { run: 'long-ago', startedAt: at('2026-01-01') }))
      await store.put('images/other/i1/manifest.json', '{}')
      expect(await look()).toBe(seen.at(-1))
    }))
})
