import { describe, expect, it } from 'vitest'
import { publishRecipe } from '../../src/bundle/publish.ts'
import { listHosts, type ListHostsOptions } from '../../src/hosts/list.ts'
import { hostOfKey, latestOfHosts } from '../../src/profile/latest.ts'
import type { ObjectInfo } from '../../src/store/object-store.ts'
import { storeWith } from '../support/store-with.ts'
import { recipeOf, rig } from '../rollout/support.ts'

const options: ListHostsOptions = {
  recipe: 'web',
  days: 2,
  schedule: { everyMinutes: 15, cron: '', splaySeconds: 0 },
  filters: [],
}
const run = '0f0e0d0c-1111-4222-8333-444455556666'

describe('hosts from the store', () => {
  it('are those that report, with what their channel gives them', async () => {
    await using test = await rig()
    const { bundle } = await publishRecipe(recipeOf('a'), test.ctx)
    await test.report({ host: 'one', bundle, channel: 'stable' })
    await test.report({ host: 'two', bundle: '', channel: 'stable', outcome: 'failed', error: 'no store' })
    await test.report({ host: 'other', bundle, channel: 'canary' })
    await test.store.put('reports/web/dt=2026-01-01/nonsense.txt', 'x')
    const [list] = await listHosts(test.ctx, options)
    expect(list?.hosts.map(({ host, bundleState, failing }) => [host, bundleState, failing])).toEqual([
      ['two', 'unknown', true],
      ['one', 'current', false],
    ])
    const [failed] = await listHosts(test.ctx, { ...options, filters: ['failed'] })
    expect(failed?.hosts.map(({ host }) => host)).toEqual(['two'])
    expect(failed?.counts.hosts).toBe(2)
  })

  it('are those of all recipes where none is named', async () => {
    await using test = await rig()
    expect(
      await listHosts(test.ctx, { days: 2, schedule: { everyMinutes: 15, cron: '', splaySeconds: 0 }, filters: [] }),
    ).toEqual([])
    await publishRecipe(recipeOf('a'), test.ctx)
    await publishRecipe({ ...recipeOf('a'), name: 'db' }, test.ctx)
    const lists = await listHosts(test.ctx, {
      days: 2,
      schedule: { everyMinutes: 15, cron: '', splaySeconds: 0 },
      filters: [],
    })
    expect(lists.map(({ recipe }) => recipe)).toEqual(['db', 'web'])
  })

  it('are shown also where the channel cannot be trusted', async () => {
    await using test = await rig()
    await test.store.put('channels/web/stable', 'nonsense')
    await test.report({ host: 'one', channel: 'stable' })
    const [list] = await listHosts(test.ctx, options)
    expect(list?.hosts).toMatchObject([{ host: 'one', bundleState: 'unknown' }])
    expect(test.events).toContainEqual(expect.objectContaining({ type: 'warning' }))
  })
})

describe('the newest reports of each host', () => {
  it.each([
    [`reports/web/dt=2026-11-21/web-1-a1b2c3d4-${run}.json`, 'web-1-a1b2c3d4'],
    [`reports/web/dt=2026-11-21/a-${run}.json`, 'a'],
    ['reports/web/dt=2026-11-21/presigned-0011223344556677.json', 'presigned-0011223344556677'],
  ])('%s is one of %s', (key, host) => {
    expect(hostOfKey('web', key)).toBe(host)
  })

  it('are found among many more in bounded memory', async () => {
    await using test = await rig()
    const day = new Date().toISOString().slice(0, 10)
    const perPage = 1000
    const hosts = 500
    let kept = 0
    // 100,000 reports of 500 hosts, a page at a time, the newest anywhere.
    const objectsOf = (page: number): ObjectInfo[] =>
      Array.from({ length: perPage }, (_, index) => {
        const at = page * perPage + index
        const id = at.toString(16).padStart(8, '0')
        const key = `reports/web/dt=${day}/host-${at % hosts}-${id}-0000-4000-8000-000000000000.json`
        return { key, sizeBytes: 1, etag: id, modifiedMs: (at * 7919) % 100_003 }
      })
    const store = storeWith(test.store, {
      list: async ({ prefix = '', after } = {}) => {
        if (!prefix.includes(day)) return { objects: [] }
        const page = Number(after ?? 0)
        return { objects: objectsOf(page), ...(page === 99 ? {} : { next: String(page + 1) }) }
      },
    })
    const found = await latestOfHosts(store, 'web', { since: new Date(), perHost: 3 })
    expect(found.size).toBe(hosts)
    for (const each of found.values()) {
      kept += each.objects.length
      expect(each.count).toBe(200)
      expect(each.lastMs).toBe(Math.max(...each.objects.map(({ modifiedMs }) => modifiedMs)))
    }
    expect(kept).toBe(3 * hosts)
    const own = Array.from({ length: 100 }, (_, page) => objectsOf(page))
      .flat()
      .filter(({ key }) => key.includes('/host-7-'))
      .map(({ modifiedMs }) => modifiedMs)
      .toSorted((a, b) => b - a)
    expect(found.get('host-7')?.objects.map(({ modifiedMs }) => modifiedMs)).toEqual(own.slice(0, 3))
  })
})
