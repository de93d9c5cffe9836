import { describe, expect, it } from 'vitest'
import { findBoot } from '../../src/profile/boot.ts'
import { recordLaunch } from '../../src/profile/launches.ts'
import type { Report } from '../../src/profile/report.ts'
import { openStore } from '../../src/store/open.ts'
import { tempDir } from '../../src/system/temp.ts'
import { realBoot } from './support.ts'

const real = realBoot()
const day = (back: number) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10)

/** A store with these reports, oldest first, and the launch record of the real boot. */
async function world(reports: readonly (readonly [string, Report])[]) {
  const dir = await tempDir('boot')
  const store = await openStore(`file://${dir.path}/store`)
  for (const [date, report] of reports) {
    await store.put(`reports/probe/dt=${date}/${report.host}-${report.run}.json`, JSON.stringify(report))
  }
  await recordLaunch(dir.path, real.launch)
  return {
    find: (run: string) => findBoot({ store, recipe: 'probe', run, stateDir: dir.path }),
    [Symbol.asyncDispose]: async () => {
      store.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

const other = (run: string, changes: Partial<Report> = {}): Report => ({ ...real.report, run, ...changes })

describe('findBoot', () => {
  it('finds a run with its launch record, wherever it lies', async () => {
    await using here = await world([
      [day(40), real.report],
      [day(0), other('elsewhere')],
    ])
    const { waterfall, report } = await here.find(real.report.run)
    expect(report).toEqual(real.report)
    expect(waterfall.launchToReady).toBe(real.launch.launchSeconds)
    expect((await here.find('elsewhere')).waterfall.launchToReady).toBe(real.report.readyUptime)
  })

  it('takes as last the newest first converge of a boot of the fleet', async () => {
    await using here = await world([
      [day(3), other('old')],
      [day(1), other('wanted')],
      [day(1), other('cron', { first: false, trigger: 'cron' })],
      [day(0), other('verify', { purpose: 'verify' })],
      [day(0), other('nothing-fetched', { bundle: '' })],
    ])
    expect((await here.find('last')).report.run).toBe('wanted')
  })

  it.each([
    ['last', /^no host has reported a boot of probe in the last 31 days$/],
    ['nope', /^there is no report of a run nope of probe$/],
    ['cron', /^run cron of probe was not the first converge of a boot$/],
  ])('says what is wrong with %s', async (run, message) => {
    await using here = await world([[day(0), other('cron', { first: false, trigger: 'cron' })]])
    await expect(here.find(run)).rejects.toMatchObject({ code: 'no-boot', message: expect.stringMatching(message) })
  })
})
