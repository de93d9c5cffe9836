import { describe, expect, it } from 'vitest'
import { medianOf, quantile, spreadOf } from '../../src/profile/quantile.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import { fixture, fixtureNames, launch, recipe, report, step, stepReport } from './support.ts'

describe('quantile', () => {
  // Expected values are numpy's: numpy.quantile(values, p).
  it.each([
    [[5], 0.95, 5],
    [[1, 2], 0.5, 1.5],
    [[1, 2, 3], 0.5, 2],
    [[1, 2, 3, 4], 0.5, 2.5],
    [[1, 2, 3, 4], 0.25, 1.75],
    [[10, 20, 30, 40, 50], 0.95, 48],
    [[10, 20, 30, 40, 50], 0, 10],
    [[10, 20, 30, 40, 50], 1, 50],
  ])('of %j at %d is %d', (values, p, expected) => {
    expect(quantile(values, p)).toBeCloseTo(expected, 10)
  })

  it('needs numbers', () => {
    expect(() => quantile([], 0.5)).toThrow(RangeError)
    expect(medianOf([])).toBeUndefined()
    expect(spreadOf([])).toBeUndefined()
  })

  it('takes numbers in any order and sorts them as numbers', () => {
    expect(spreadOf([100, 9, 20])).toEqual({ count: 3, median: 20, p95: 92, min: 9, max: 100 })
  })
})

describe('profileOf', () => {
  it('is empty without reports', () => {
    expect(profileOf([])).toEqual({
      v: 1,
      recipe: '',
      quantiles: 'type-7',
      reports: { fleet: 0, cold: 0, failed: 0, otherPurpose: 0 },
      from: undefined,
      to: undefined,
      steps: [],
      ready: { allRan: undefined, someBaked: undefined, images: [] },
      failedBoots: [],
    })
  })

  it('counts each fixture where it belongs', () => {
    const profile = profileOf(fixtureNames.map(fixture))
    expect(profile.reports).toEqual({ fleet: 4, cold: 3, failed: 1, otherPurpose: 0 })
    expect(profile.steps.map((each) => [each.name, each.count, each.failures, each.baked, each.few])).toEqual([
      ['packages', 2, 0, 1, true],
      ['app-venv', 1, 1, 1, true],
      ['compile', 2, 0, 1, true],
      ['nginx-site', 2, 0, 0, true],
      ['register', 3, 0, 0, false],
      ['heartbeat', 3, 0, 0, false],
    ])
    expect(profile.ready.allRan).toMatchObject({ count: 1, few: true, firmwareSeconds: undefined, current: false })
    expect(profile.ready.allRan?.readyUptime.median).toBe(fixture('runtime').readyUptime)
    expect(profile.ready.someBaked?.readyUptime.median).toBe(fixture('baked').readyUptime)
    expect(profile.ready.images.map((each) => each.image)).toEqual(['', fixture('baked').image])
    expect(profile.failedBoots).toEqual([
      {
        run: fixture('failed').run,
        host: fixture('failed').host,
        image: '',
        startedAt: fixture('failed').startedAt,
        error: 'step app-venv failed with exit status 1',
        steps: ['app-venv'],
      },
    ])
    expect([profile.from, profile.to]).toEqual([fixture('runtime').startedAt, fixture('failed').startedAt])
  })

  it('gives order statistics of every quantity', () => {
    const walls = [4, 1, 2, 3]
    const [profiled] = profileOf(
      walls.map((wall) =>
        report([stepReport('a', wall, { cpu: wall * 2, rxBytes: wall * 10, diskBytes: -wall })], { readyUptime: 10 }),
      ),
    ).steps
    expect(profiled).toMatchObject({ count: 4, few: false, share: 0.25 })
    expect(profiled?.wall).toEqual({ count: 4, median: 2.5, p95: 3.8499999999999996, min: 1, max: 4 })
    expect(profiled?.cpu).toMatchObject({ median: 5, min: 2, max: 8 })
    expect(profiled?.rxBytes).toMatchObject({ median: 25, max: 40 })
    expect(profiled?.diskBytes).toMatchObject({ median: -2.5, min: -4, max: -1 })
  })

  it.each([
    ['verification of a bake', { purpose: 'verify' as const }],
    ['a bake', { purpose: 'bake' as const }],
    ['later converges', { cold: false }],
  ])('takes no cost from %s', (_, changes) => {
    const profile = profileOf([report([stepReport('a', 5)], changes)])
    expect(profile.steps).toEqual([])
    expect(profile.ready.images).toEqual([])
  })

  it('counts a run once, however often it was uploaded', () => {
    const one = report([stepReport('a', 5)])
    expect(profileOf([one, one, { ...one }]).steps[0]?.count).toBe(1)
  })

  it('is the same for reports in any order', () => {
    const reports = [1, 2, 3, 4, 5].map((wall) =>
      report([stepReport('a', wall, { name: `a${wall}` }), stepReport('b', 1)], { startedAt: 1000 + wall }),
    )
    expect(profileOf(reports.toReversed())).toEqual(profileOf(reports))
    expect(profileOf(reports).steps[0]?.name).toBe('a5')
  })

  it('keeps the launch-to-ready of failed boots apart but counts their finished steps', () => {
    const failed = report([stepReport('a', 4), stepReport('b', 9, { outcome: 'failed', exit: 1 })], {
      outcome: 'failed',
      readyUptime: 500,
    })
    const profile = profileOf([failed])
    expect(profile.ready.allRan).toBeUndefined()
    expect(profile.steps[0]).toMatchObject({ name: 'a', count: 1, share: undefined })
    expect(profile.steps[0]?.wall?.median).toBe(4)
    expect(profile.steps[1]).toMatchObject({ name: 'b', count: 0, failures: 1, wall: undefined })
  })

  it('tells current digests from old ones and lists the current ones first, in the order of the recipe', () => {
    const old = report([stepReport('old', 7), stepReport('b', 2)], { startedAt: 100 })
    const now = report([stepReport('b', 4), stepReport('a', 1)], { startedAt: 200 })
    const profile = profileOf([old, now], recipe([step('a'), step('b'), step('new')]))
    expect(profile.steps.map((each) => [each.name, each.current])).toEqual([
      ['a', true],
      ['b', true],
      ['old', false],
    ])
    expect(profileOf([old]).steps.map((each) => each.current)).toEqual([undefined, undefined])
  })

  it('prefers boots of the recipe as it is now for launch-to-ready', () => {
    const old = report([stepReport('old', 7)], { readyUptime: 100 })
    const now = report([stepReport('a', 1)], { readyUptime: 20 })
    const ready = profileOf([old, now], recipe([step('a')])).ready
    expect(ready.allRan).toMatchObject({ count: 1, current: true })
    expect(ready.allRan?.launchToReady.median).toBe(20)
    expect(profileOf([old], recipe([step('a')])).ready.allRan).toMatchObject({ count: 1, current: false })
  })

  it('tells a step that was baked from one that was stamped by an earlier converge', () => {
    const stamped = { outcome: 'stamped' as const, wall: 0 }
    const baked = report([stepReport('a', 0, { ...stamped, baked: true })], { image: 'web-1' })
    const earlier = report([stepReport('a', 0, { ...stamped, baked: false })])
    const profile = profileOf([baked, earlier])
    expect(profile.steps[0]).toMatchObject({ baked: 1, count: 0 })
    expect([profile.ready.someBaked?.count, profile.ready.allRan?.count]).toEqual([1, undefined])
    expect(profile.ready.images.map((each) => each.count)).toEqual([1, 1])
  })
})

describe('firmware time', () => {
  const boots = [
    report([stepReport('a', 10)], { readyUptime: 40, run: 'measured' }),
    report([stepReport('a', 10)], { readyUptime: 40, run: 'other' }),
    report([stepReport('a', 0, { outcome: 'stamped', baked: true })], {
      readyUptime: 20,
      image: 'web-1',
      run: 'image',
    }),
  ]

  it('is the measured one of the same run, else the median of its image, else of all', () => {
    const launches = [
      launch({ run: 'measured', launchSeconds: 50, readyUptime: 40 }),
      launch({ run: 'x', launchSeconds: 46, readyUptime: 40 }),
    ]
    const profile = profileOf(boots, undefined, launches)
    expect(profile.ready.allRan).toMatchObject({ firmwareSeconds: 9 })
    expect(profile.ready.allRan?.launchToReady).toMatchObject({ min: 48, max: 50 })
    expect(profile.ready.allRan?.readyUptime).toMatchObject({ min: 40, max: 40 })
    expect(profile.ready.someBaked?.launchToReady.median).toBe(28)
    expect(profile.steps[0]?.share).toBeCloseTo((10 / 50 + 10 / 48) / 2, 10)
  })

  it('is left out where nothing was measured or the measurement is absurd', () => {
    for (const launches of [[], [launch({ launchSeconds: 10, readyUptime: 40 })]]) {
      const ready = profileOf(boots, undefined, launches).ready.allRan
      expect(ready?.firmwareSeconds).toBeUndefined()
      expect(ready?.launchToReady.median).toBe(40)
    }
  })
})
