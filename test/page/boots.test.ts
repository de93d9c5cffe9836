import { describe, expect, test } from 'vitest'
import { bootGroups, daysToRead, timeShares, typicalBoot } from '../../src/page/boots.ts'
import type { FleetDay, FleetStatistics } from '../../src/profile/fleet.ts'
import type { Report } from '../../src/profile/report.ts'
import { launch, recipe, report, step, stepReport } from '../profile/support.ts'

const web = recipe([step('a'), step('b')])

/** A boot that was ready after `ready` seconds of uptime, its steps at the end. */
function boot(run: string, ready: number, changes: Partial<Report> = {}): Report {
  const steps = [stepReport('a', 4, { startUptime: ready - 6 }), stepReport('b', 2, { startUptime: ready - 2 })]
  return report(steps, { run, image: '', startUptime: ready - 7, readyUptime: ready, ...changes })
}

const machine = {
  clock: 'uptime',
  kernelSeconds: 1,
  initrdSeconds: 2,
  units: [],
  cloudInit: [],
} as const satisfies Report['boot']

describe('bootGroups', () => {
  test('takes successful first boots, each once, of the recipe as it is now where there are any', () => {
    const old = boot('old', 30, { steps: [stepReport('a', 9, { startUptime: 20 })] })
    const good = boot('good', 30)
    const all = [
      old,
      good,
      good,
      boot('warm', 30, { cold: false }),
      boot('failed', 30, { outcome: 'failed' }),
      boot('check', 30, { purpose: 'verify' }),
      boot('half', 30, { steps: [stepReport('a', 0, { outcome: 'stamped' }), stepReport('b', 2)] }),
      boot('image', 30, { image: 'i1' }),
      boot('other', 30, { image: 'i2' }),
    ]
    const groups = bootGroups(all, [], web, 'i1')
    expect(groups.before.map(({ report: { run } }) => run)).toEqual(['good'])
    expect(groups.after.map(({ report: { run } }) => run)).toEqual(['image'])
    expect(bootGroups([old], [], web, undefined).before.map(({ report: { run } }) => run)).toEqual(['old'])
  })
})

describe('typicalBoot', () => {
  test('is the one nearest to the median', () => {
    const { before } = bootGroups([boot('x', 20), boot('y', 31), boot('z', 90)], [], web, undefined)
    expect(typicalBoot(before)).toMatchObject({ waterfall: { run: 'y' }, of: 3, fromPowerOn: false, detailed: false })
    expect(typicalBoot([])).toBeUndefined()
  })

  test('prefers what was measured in more detail', () => {
    const launches = [launch({ run: 'timed', launchSeconds: 95, readyUptime: 90 })]
    const timed = bootGroups([boot('x', 30), boot('y', 31), boot('timed', 90)], launches, web, undefined)
    expect(typicalBoot(timed.before)).toMatchObject({
      waterfall: { run: 'timed', launchToReady: 95 },
      fromPowerOn: true,
    })
    const whole = bootGroups([boot('timed', 90), boot('whole', 40, { boot: machine })], launches, web, undefined)
    expect(typicalBoot(whole.before)).toMatchObject({ waterfall: { run: 'whole' }, detailed: true, fromPowerOn: false })
  })
})

describe('timeShares', () => {
  test('adds up to the mean', () => {
    const { before } = bootGroups(
      [boot('x', 20, { boot: machine }), boot('y', 40, { boot: machine })],
      [],
      web,
      undefined,
    )
    const shares = timeShares(before)
    expect(shares).toMatchObject({ count: 2, mean: 30, fromPowerOn: false })
    const sum = (pick: (part: { seconds: number; share: number }) => number) =>
      (shares?.parts ?? []).reduce((total, part) => total + pick(part), 0)
    expect(sum((part) => part.seconds)).toBeCloseTo(30, 9)
    expect(sum((part) => part.share)).toBeCloseTo(1, 9)
    expect(shares?.parts.filter((part) => part.step !== undefined)).toMatchObject([
      { step: 'a', seconds: 4 },
      { step: 'b', seconds: 2 },
    ])
    expect(shares?.parts[0]).toMatchObject({ category: 'kernel', seconds: 1 })
  })

  test('mixes no boots that know their firmware with those that do not', () => {
    const launches = [launch({ run: 'timed', launchSeconds: 45, readyUptime: 40 })]
    const { before } = bootGroups([boot('x', 20), boot('timed', 40)], launches, web, undefined)
    expect(timeShares(before)).toMatchObject({ count: 1, mean: 45, fromPowerOn: true })
    expect(timeShares([])).toBeUndefined()
  })
})

describe('daysToRead', () => {
  const day = (name: string, counts: Readonly<Record<string, number>>): FleetDay => ({
    day: name,
    launches: 0,
    failed: 0,
    launchToReady: undefined,
    versions: Object.entries(counts).map(([image, count]) => ({
      image,
      bundle: '',
      launches: count,
      failed: 0,
      launchToReady: { count, few: false, median: 1, p95: 1, min: 1, max: 1, mean: 1, stddev: 0 },
    })),
    newBundles: [],
    newImages: [],
  })
  const fleet = (history: readonly FleetDay[]) => ({ history }) as unknown as FleetStatistics

  test('goes back until it has enough of both', () => {
    const history = [
      day('2026-01-01', { '': 500 }),
      day('2026-01-02', { '': 150 }),
      day('2026-01-03', { '': 60, i1: 10 }),
      day('2026-01-04', { i2: 10 }),
      day('2026-01-05', { i1: 190 }),
    ]
    expect(daysToRead(fleet(history), 'i1')).toEqual(['2026-01-02', '2026-01-03', '2026-01-05'])
    expect(daysToRead(fleet(history), undefined)).toEqual(['2026-01-02', '2026-01-03'])
    expect(daysToRead(fleet([]), 'i1')).toEqual([])
  })
})
