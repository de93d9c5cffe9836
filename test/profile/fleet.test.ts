import { describe, expect, it } from 'vitest'
import { documentsOf } from '../../bench/fleet/synthetic.ts'
import type { FleetStatistics } from '../../src/profile/fleet.ts'
import { fleetOf } from '../../src/profile/load.ts'
import { outliersOf } from '../../src/profile/outliers.ts'
import { reportSchema, type Report } from '../../src/profile/report.ts'
import { dayOf, daysOfMonth, isDue } from '../../src/profile/rollup/days.ts'
import { FleetBuilder } from '../../src/profile/rollup/fleet-builder.ts'
import { profileOfTally } from '../../src/profile/rollup/profile.ts'
import { Tally, type TallyJson } from '../../src/profile/rollup/tally.ts'
import { Sketch } from '../../src/profile/sketch.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import { trendOf } from '../../src/profile/trend.ts'
import type { Sha256 } from '../../src/util/sha256.ts'
import { digestOf, fixture, fixtureNames, launch, recipe, report, step, stepReport } from './support.ts'

const web = recipe([step('a'), step('b')])

/** Good reports of a synthetic fleet. */
function syntheticReports(perHour: number, hours: number): Report[] {
  const options = { recipe: 'web', seed: 5, perHour, hours, end: Date.UTC(2026, 10, 20) }
  return [...documentsOf(options)].flatMap(({ text }) => {
    try {
      const parsed = reportSchema.safeParse(JSON.parse(text))
      return parsed.success && parsed.data.recipe === 'web' ? [parsed.data] : []
    } catch {
      return []
    }
  })
}

function tallyOf(reports: readonly Report[]): Tally {
  const tally = new Tally()
  for (const each of reports) tally.add(each)
  return tally
}

const at = (day: string) => Date.parse(`${day}T12:00:00Z`) / 1000

/** As text: absent and undefined are the same there. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('small fleets', () => {
  it.each([
    ['the fixtures', fixtureNames.map(fixture)],
    ['a synthetic fleet', syntheticReports(4, 25)],
  ])('have the same figures as their profile: %s', (_, reports) => {
    const launches = [launch({ run: reports[0]!.run, launchSeconds: reports[0]!.readyUptime + 4 })]
    const profile = profileOf(reports, web, launches)
    const fleet = fleetOf(reports, web, launches)
    expect(fleet.reports).toMatchObject({ fleet: profile.reports.fleet, cold: profile.reports.cold })
    expect(fleet.failures.count).toBe(profile.reports.failed)
    const cold = fleet.steps.filter(({ cold: runs }) => runs.count + runs.failures + runs.baked > 0)
    expect(cold.map(({ digest }) => digest)).toEqual(
      profile.steps.filter(({ count, failures, baked }) => count + failures + baked > 0).map(({ digest }) => digest),
    )
    for (const { digest, cold: runs } of cold) {
      const same = profile.steps.find((each) => each.digest === digest)!
      expect(runs).toMatchObject(
        plain({
          count: same.count,
          few: same.few,
          failures: same.failures,
          baked: same.baked,
          wall: same.wall,
          cpu: same.cpu,
          rxBytes: same.rxBytes,
          diskBytes: same.diskBytes,
          share: same.share === undefined ? undefined : { median: same.share },
        }) as object,
      )
    }
    const images = fleet.groups.image.flatMap(({ value, launchToReady }) =>
      launchToReady === undefined ? [] : [[value, launchToReady.median]],
    )
    expect(new Map(images as [string, number][])).toEqual(
      new Map(
        profileOf(reports, undefined, launches).ready.images.map((each) => [each.image, each.launchToReady.median]),
      ),
    )
  })

  it('give the same profile from a tally', () => {
    const reports = syntheticReports(4, 25)
    for (const of of [
      undefined,
      recipe(reports.find(({ cold }) => cold)!.steps.map((each) => step(each.name, { digest: each.digest as Sha256 }))),
    ]) {
      const launches = [launch({ launchSeconds: 45, readyUptime: 40 })]
      const { relativeError, ...profile } = profileOfTally(tallyOf(reports), 'web', of, launches)
      expect(relativeError).toBeGreaterThan(0)
      const exact = profileOf(reports, of, launches)
      const steps = exact.steps.filter(({ count, failures, baked }) => count + failures + baked > 0)
      // Shares are of launch-to-ready as the guests know it.
      const loose = (each: object) => ({ ...each, share: 0 })
      expect(plain({ ...profile, steps: profile.steps.map(loose) })).toEqual(
        plain({ ...exact, steps: steps.map(loose) }),
      )
    }
  })
})

describe('a tally', () => {
  const reports = syntheticReports(10, 60)

  it('is the same merged from parts, in any order, and after JSON', () => {
    const parts = [reports.slice(0, 50), reports.slice(50, 51), reports.slice(51, 300), reports.slice(300)].map(tallyOf)
    const whole = statistics(tallyOf(reports))
    for (const order of [parts, parts.toReversed()]) {
      const merged = new Tally()
      for (const part of order) merged.merge(Tally.fromJSON(plain(part.toJSON()) as TallyJson))
      expect(statistics(merged)).toEqual(whole)
    }
  })

  it('stays bounded whatever hosts call themselves', () => {
    const tally = new Tally()
    for (let index = 0; index < 3000; index++) {
      const name = `x${index}`.padEnd(1000, 'y')
      tally.add(report([stepReport(name, 1, { digest: digestOf(name) })], { region: name, image: name, error: name }))
    }
    expect(tally.counts).toMatchObject({ fleet: 3000, cold: 3000 })
    expect(tally.counts.dropped).toBe(2 * 1000)
    expect(tally.groups.get('region')!.size).toBe(201)
    expect([...tally.groups.get('region')!.values()].reduce((sum, { cold }) => sum + cold, 0)).toBe(3000)
    expect(JSON.stringify(tally).length).toBeLessThan(10_000_000)
  })
})

function statistics(tally: Tally): unknown {
  const builder = new FleetBuilder()
  builder.add('2026-11-20', tally)
  return JSON.parse(
    JSON.stringify(builder.build('web'), (name, value: unknown) =>
      typeof value === 'number' && ['mean', 'stddev'].includes(name) ? Number(value.toPrecision(9)) : value,
    ),
  )
}

describe('fleetOf', () => {
  it('keeps cold and warm runs apart', () => {
    const fleet = fleetOf(
      [report([stepReport('a', 10)]), report([stepReport('a', 4)], { cold: false, trigger: 'cron' })],
      web,
    )
    expect(fleet.reports).toMatchObject({ fleet: 2, cold: 1, warm: 1 })
    const [a] = fleet.steps
    expect([a?.cold.wall?.median, a?.warm.wall?.median]).toEqual([10, 4])
    expect([a?.cold.share?.count, a?.warm.share]).toEqual([1, undefined])
    expect(fleet.launchToReady?.count).toBe(1)
  })

  it('counts failures of both kinds, and no launch-to-ready of failed boots', () => {
    const bad = (cold: boolean) =>
      report([stepReport('a', 4, { outcome: 'failed', exit: 1 })], { outcome: 'failed', error: 'no', cold })
    const fleet = fleetOf([bad(true), bad(false), bad(false)], web)
    expect(fleet.reports).toMatchObject({ cold: 1, failed: 1, warmFailed: 2 })
    expect(fleet.failures).toMatchObject({ count: 1, steps: [{ name: 'a', count: 3 }] })
    expect(fleet.failures.boots).toHaveLength(1)
    expect(fleet.launchToReady).toBeUndefined()
    expect(fleet.steps[0]?.cold).toMatchObject({ count: 0, failures: 1, few: true })
  })

  it('tells groups apart and puts what is not known under its own name', () => {
    const fleet = fleetOf(
      [
        report([stepReport('a', 1)], { instanceType: 'small', region: 'eu', readyUptime: 50 }),
        report([stepReport('a', 2)], { instanceType: 'small', readyUptime: 70 }),
        report([stepReport('a', 9)], { image: 'web-1', readyUptime: 20 }),
      ],
      web,
    )
    const brief = (dimension: keyof FleetStatistics['groups']) =>
      fleet.groups[dimension].map(({ value, cold, launchToReady }) => [value, cold, launchToReady?.median])
    expect(brief('instanceType')).toEqual([
      ['small', 2, 60],
      ['unknown', 1, 20],
    ])
    expect(brief('region')).toEqual([
      ['unknown', 2, 45],
      ['eu', 1, 50],
    ])
    expect(brief('image')).toEqual([
      ['', 2, 60],
      ['web-1', 1, 20],
    ])
    expect(brief('distribution')).toEqual([['debian-12', 3, 50]])
    expect(fleet.steps[0]?.cold.by.instanceType.map(({ value, median }) => [value, median])).toEqual([
      ['small', 1.5],
      ['unknown', 9],
    ])
  })

  it('follows a step through its digests', () => {
    const versions = [
      ['one', 10, '2026-11-01'],
      ['two', 20, '2026-11-05'],
      ['three', 5, '2026-11-09'],
    ] as const
    const fleet = fleetOf(
      versions.map(([digest, wall, day]) =>
        report([stepReport('a', wall, { digest: digestOf(digest) })], { startedAt: at(day) }),
      ),
      web,
    )
    expect(fleet.names).toHaveLength(1)
    expect(fleet.names[0]?.versions.map(({ digest, change }) => [digest, change])).toEqual([
      [digestOf('one'), undefined],
      [digestOf('two'), 1],
      [digestOf('three'), -0.75],
    ])
  })

  it('marks the days on which recipe and image changed, by day and by week', () => {
    const boot = (day: string, bundle: string, image = '', readyUptime = 50) =>
      report([stepReport('a', 1)], { startedAt: at(day), bundle: digestOf(bundle), image, readyUptime })
    const fleet = fleetOf(
      // A Thursday, the Sunday after it and the Monday after that.
      [
        boot('2026-11-05', 'one'),
        boot('2026-11-08', 'one'),
        boot('2026-11-08', 'two', 'web-1', 30),
        boot('2026-11-09', 'two', 'web-1', 20),
      ],
      web,
    )
    expect(fleet.history).toMatchObject([
      { day: '2026-11-05', launches: 1, newBundles: [], newImages: [] },
      {
        day: '2026-11-08',
        launches: 2,
        newBundles: [digestOf('two')],
        newImages: ['web-1'],
        launchToReady: { median: 40 },
      },
      { day: '2026-11-09', launches: 1, newBundles: [], newImages: [] },
    ])
    expect(fleet.history[1]?.versions).toHaveLength(2)
    expect(fleet.weeks).toMatchObject([
      { day: '2026-11-02', launches: 3, launchToReady: { median: 50 }, newImages: [] },
      { day: '2026-11-09', launches: 1 },
    ])
    expect(fleet.launches).toEqual({ launches: 4, days: 5, perDay: 0.8, perDayLastWeek: 0.8 })
  })

  it('is empty without reports', () => {
    expect(fleetOf([], web)).toMatchObject({
      reports: { fleet: 0 },
      history: [],
      weeks: [],
      steps: [],
      launches: { launches: 0, days: 0, perDay: undefined },
      launchToReady: undefined,
    })
  })

  it('is plain JSON', () => {
    const fleet = fleetOf(fixtureNames.map(fixture), web)
    expect(plain(fleet)).toEqual(plain(plain(fleet)))
  })
})

describe('trendOf', () => {
  const days = (values: readonly number[]) =>
    values.map((value, index) => ({ day: dayOf(Date.UTC(2026, 9, 1 + index)), value }))

  it.each([
    ['a steady rise', [10, 11, 12, 13, 14, 15, 16], 'rising', 7 / 13],
    ['a fall', [16, 15, 14, 13, 12, 11], 'falling', -7 / 13.5],
    ['one outlier', [10, 10, 10, 99, 10, 10, 10], 'steady', 0],
    ['noise', [10, 12, 9, 11, 10, 12, 9, 11], 'steady', undefined],
    ['nothing measurable', [0, 0, 0, 0, 0], 'steady', 0],
  ] as const)('of %s', (_, values, direction, perWeek) => {
    const trend = trendOf(days(values))
    expect(trend).toMatchObject({ days: values.length, direction })
    if (perWeek !== undefined) expect(trend?.perWeek).toBeCloseTo(perWeek, 10)
  })

  it('needs five days, and looks at the last 28', () => {
    expect(trendOf(days([1, 2, 3, 4]))).toBeUndefined()
    const rise = Array.from({ length: 50 }, (_, index) => index)
    expect(trendOf(days([...rise, ...Array.from({ length: 28 }, () => 9)]))).toMatchObject({
      days: 28,
      direction: 'steady',
    })
  })
})

describe('outliersOf', () => {
  const sketchOf = (values: readonly number[]) => {
    const sketch = new Sketch()
    for (const value of values) sketch.add(value)
    return sketch
  }

  it('are far out, and named', () => {
    const slow = { run: 'r', host: 'h', seconds: 100 }
    const values = [...Array.from({ length: 20 }, (_, index) => 10 + index / 10), 100]
    expect(outliersOf(sketchOf(values), [slow, { ...slow, seconds: 11 }])).toMatchObject({ count: 1, slowest: [slow] })
  })

  it('are none of few samples, nor where all are alike', () => {
    expect(outliersOf(sketchOf([1, 1, 1, 50]), [])).toBeUndefined()
    expect(outliersOf(sketchOf(Array.from({ length: 50 }, (_, index) => 1 + index / 1000)), [])).toBeUndefined()
  })
})

describe('days', () => {
  const now = Date.parse('2026-11-20T12:00:00Z')
  const hour = 3_600_000
  it.each([
    ['2026-11-20', 1, true],
    ['2026-11-19', 1, true],
    ['2026-11-18', 1, false],
    ['2026-11-18', 5, true],
    ['2026-10-20', 24, false],
    ['2026-10-20', 24 * 4, true],
    ['2026-10-20', undefined, true],
    ['2026-12-24', 1, true],
  ])('%s, looked at %s hours ago: due %s', (day, hours, due) => {
    expect(isDue(day, hours === undefined ? undefined : now - hours * hour, now)).toBe(due)
  })

  it.each([
    ['2026-02', 28],
    ['2028-02', 29],
    ['2026-12', 31],
  ])('%s has %i', (month, count) => {
    const days = daysOfMonth(month)
    expect([days.length, days[0], days.at(-1)]).toEqual([count, `${month}-01`, `${month}-${count}`])
  })
})
