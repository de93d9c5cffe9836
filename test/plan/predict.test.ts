import { describe, expect, it } from 'vitest'
import { waitForKey } from '../../src/plan/host-keys.ts'
import { earlierPredictions, intervalOf } from '../../src/plan/predict.ts'
import { makePlan } from '../../src/plan/make-plan.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import type { Report } from '../../src/profile/report.ts'
import type { Recipe } from '../../src/recipe/model.ts'
import { launch, recipe, report, step, stepReport } from '../profile/support.ts'
import { random } from '../../bench/random.ts'
import { image } from './support.ts'

const steps = [step('big'), step('small'), step('check', { when: 'always' })]
/** One step at a time, so that what is taken away and added shows as it is. */
const ofRecipe: Recipe = { ...recipe(steps), parallel: 1 }
const settings = { minSavingSeconds: 1, minShare: 0 }

/** A boot of the plain base: everything ran. */
const onBase = (big: number, other: number, more: Partial<Report> = {}) =>
  report([stepReport('big', big), stepReport('small', 0.5), stepReport('check', 2, { when: 'always' })], {
    readyUptime: other + big + 2.5,
    ...more,
  })
/** A boot of an image that has `big`. */
const onImage = (other: number, imageId: string, startedAt: number) =>
  report(
    [
      stepReport('big', 0, { outcome: 'stamped', baked: true }),
      stepReport('small', 0.5),
      stepReport('check', 2, { when: 'always' }),
    ],
    { readyUptime: other + 2.5, image: imageId, startedAt },
  )

const predictionOf = (
  boots: readonly Report[],
  launches: Parameters<typeof profileOf>[2] = [],
  planned: Recipe = ofRecipe,
) =>
  makePlan({
    recipe: planned,
    profile: profileOf(boots, planned, launches),
    settings,
    evidence: { boots, images: [] },
  }).prediction

describe('a prediction', () => {
  it('takes from each boot what it ran and the image has done', () => {
    // A slow download is no reason to expect a slow image: boot by boot, it falls out.
    const boots = [onBase(30, 40), onBase(90, 41), onBase(35, 42)]
    expect(predictionOf(boots)).toMatchObject({
      basis: 'base',
      bakedSeconds: expect.closeTo(41 + 2.5 + 0.02, 9) as number,
      interval: { formula: 'student-t', samples: 3 },
    })
  })

  it.each([
    ['two processors', { cpus: 2 }, recipe(steps), 38 - 30 + 2 + 0.02],
    ['one processor', { cpus: 1 }, recipe(steps), 38 - 30 + 0.02],
    ['one at a time by the recipe', { cpus: 8 }, { ...recipe(steps), parallel: 1 }, 38 - 30 + 0.02],
  ])('counts by the schedule of %s', (_, host, planned, seconds) => {
    const boot = onBase(30, 0, { readyUptime: 38, ...host })
    expect(predictionOf([boot], [], planned)?.bakedSeconds).toBeCloseTo(seconds, 9)
  })

  it('takes boots of the image that was launched last where there are any', () => {
    const boots = [onBase(30, 60), onImage(50, 'web-1', 1_800_000_000), onImage(44, 'web-2', 1_800_000_100)]
    expect(predictionOf(boots)).toMatchObject({
      basis: 'images',
      bakedSeconds: expect.closeTo(44 + 2.5 + 0.02, 9) as number,
      interval: { samples: 1, formula: 'assumed' },
    })
  })

  it('adds what an image has done and the plan leaves, and drops what the recipe has no more', () => {
    const had = report(
      [stepReport('small', 0, { outcome: 'stamped', baked: true }), stepReport('gone', 7), stepReport('big', 30)],
      { readyUptime: 100, image: 'web-1', startedAt: 1_800_000_000 },
    )
    // 100 s, without big and gone, with small and check at their medians.
    expect(predictionOf([onBase(30, 40), had])?.bakedSeconds).toBeCloseTo(100 - 30 - 7 + 0.5 + 2 + 0.02, 9)
  })

  describe('with boot records', () => {
    const boot = {
      ...{ clock: 'uptime' as const, kernelSeconds: 2, initrdSeconds: 3 },
      units: [
        { name: 'cloud-init.service', start: 8, end: 15.5 },
        { name: 'cloud-config.service', start: 15.5, end: 25 },
        { name: 'cloud-final.service', start: 25, end: 80 },
      ],
      cloudInit: [
        { name: 'init-network', start: 10, end: 15, result: 'SUCCESS' },
        { name: 'init-network/config-ssh', start: 11, end: 15, result: 'SUCCESS' },
        { name: 'modules-config', start: 18, end: 24.5, result: 'SUCCESS' },
        { name: 'modules-final', start: 27, end: 80, result: 'running' },
      ],
    }
    const predicted = (tunings: readonly string[], record: Report['boot'] = boot) => {
      const steps = [
        { ...stepReport('big', 30), startUptime: 33 },
        stepReport('small', 0.5, { startUptime: 63 }),
        stepReport('check', 2, { when: 'always', startUptime: 64 }),
      ]
      const measured = report(steps, { startUptime: 29, readyUptime: 66, ...(record && { boot: record }) })
      const plan = makePlan({
        ...{ recipe: ofRecipe, profile: profileOf([measured], ofRecipe), settings },
        evidence: { boots: [measured], images: [] },
        tunings: tunings.map((name) => ({ name, title: '', apply: true, why: '' })),
      })
      return plan.prediction
    }
    const seconds = (...given: Parameters<typeof predicted>) => predicted(...given)?.bakedSeconds
    const rest = 66 - 30 + 0.02
    /** Of the four seconds of the ssh module, what is the RSA key's. */
    const rsa = 0.88 * 4
    /** What a host waits for it that began with systemd, at 5 s, and not at `start`. */
    const wait = (start: number) => waitForKey({ rsaSeconds: rsa, otherSeconds: 0 }, 0.6 * (start - 5))

    it.each<[string, string[], number]>([
      ['begins an image with the end of the config stage', [], 8],
      ['counts that Python is loaded once', ['cloud-init-fork'], 8 + 0.82 * (2 + 2.5)],
      ['counts that the RSA key is made beside', ['ssh-rsa-ahead'], 8 + rsa - wait(11).seconds],
      ['counts no key where none is made', ['ssh-ed25519'], 8 + rsa],
      [
        'begins with the key where the stage will',
        ['cloud-init-fork', 'ssh-rsa-ahead'],
        8 + 0.82 * 4.5 + rsa - wait(11 - 0.82 * 2).seconds,
      ],
      ['counts no tuning that does not show', ['cpu-share', 'initrd-trim'], 8],
    ])('%s', (_, tunings, sooner) => {
      expect(seconds(tunings)).toBeCloseTo(rest - sooner, 9)
    })

    it.each([
      ['nearly all of it where there is time', 9, 10, 0.82],
      ['as much as there is time for', 7, 11, 0.75 * 2],
      ['nothing where a stage begins before its unit', 8, 7, 0],
    ])('counts for Python loaded ahead %s', (_, unit, stage, sooner) => {
      const local = {
        ...boot,
        units: [{ name: 'cloud-init-local.service', start: unit, end: 12 }, ...boot.units],
        cloudInit: [{ name: 'init-local', start: stage, end: 12, result: 'SUCCESS' }, ...boot.cloudInit],
      }
      expect(seconds(['cloud-init-fork'], local)).toBeCloseTo(rest - (8 + 0.82 * (2 + 2.5)) - sooner, 9)
      expect(seconds([], local)).toBeCloseTo(rest - 8, 9)
    })

    it('widens the interval by what making the RSA host key varies', () => {
      const halfWidth = (record?: Report['boot']) => {
        const { bakedSeconds = NaN, interval: { highSeconds } = { highSeconds: NaN } } = predicted([], record) ?? {}
        return { centre: bakedSeconds, half: highSeconds - bakedSeconds }
      }
      const without = halfWidth({ ...boot, cloudInit: boot.cloudInit.filter(({ name }) => !name.endsWith('ssh')) })
      expect(without.half).toBeCloseTo(2.132 * Math.SQRT2 * 0.05 * without.centre, 9)
      const { centre, half } = halfWidth()
      // t for four boots that are assumed and none more.
      expect(half).toBeCloseTo(2.132 * Math.SQRT2 * Math.hypot(0.05 * centre, (0.8 * rsa) / Math.SQRT2), 9)
    })

    it('leaves out what one boot was lucky with', () => {
      const withKey = (end: number) => ({
        ...boot,
        cloudInit: boot.cloudInit.map((each) => (each.name.endsWith('ssh') ? { ...each, end } : each)),
      })
      const at = (record: Report['boot'], readyUptime: number) =>
        report([{ ...stepReport('big', 30), startUptime: 33 }], { readyUptime, ...(record && { boot: record }) })
      const [quick, slow] = [at(withKey(12.5), 60), at(withKey(19.5), 67)]
      const { interval, bakedSeconds } = predictionOf([quick, slow]) ?? {}
      // Both say the same but for the key, which is taken at its mean.
      expect(interval?.highSeconds).toBeCloseTo(
        (bakedSeconds ?? NaN) +
          2.015 *
            Math.sqrt((4 * ((0.05 * (bakedSeconds ?? NaN)) ** 2 + (0.8 * 0.88 * 5) ** 2 / 2)) / 5) *
            Math.sqrt(1.5),
        9,
      )
    })

    it('takes stages where units are missing, and nothing where both are', () => {
      expect(seconds([], { ...boot, units: [] })).toBeCloseTo(rest - 8.5, 9)
      expect(seconds(['cloud-init-fork'], { ...boot, units: [], cloudInit: [] })).toBeCloseTo(rest, 9)
    })
  })

  it('counts from power-on where launches were timed from outside', () => {
    const boots = [onBase(30, 40, { run: 'r' })]
    const launches = [launch({ run: 'r', launchSeconds: 77.5, readyUptime: 72.5 })]
    expect(predictionOf(boots, launches)).toMatchObject({
      fromPowerOn: true,
      bakedSeconds: expect.closeTo(45 + 2.5 + 0.02, 9) as number,
    })
  })
})

describe('the interval', () => {
  it('is that of Student for one more launch', () => {
    const { lowSeconds, highSeconds } = intervalOf([10, 12, 14], 12)
    // s = 2, t(0.95, 6) = 1.943, and four boots' worth of 5 % of 12 s
    const half = 1.943 * Math.sqrt((4 * 0.6 ** 2 + 2 * 2 ** 2) / 6) * Math.sqrt(4 / 3)
    expect([lowSeconds, highSeconds]).toEqual([expect.closeTo(12 - half, 9), expect.closeTo(12 + half, 9)])
    expect(intervalOf([1, 99], 50).lowSeconds).toBe(0)
  })

  it('is an assumption for one boot, and the quantiles of many', () => {
    expect(intervalOf([40], 40)).toMatchObject({
      lowSeconds: expect.closeTo(40 - 2.132 * 2 * Math.SQRT2, 9) as number,
      formula: 'assumed',
    })
    const many = Array.from({ length: 101 }, (_, index) => index)
    expect(intervalOf(many, 50)).toMatchObject({
      lowSeconds: expect.closeTo(5, 9) as number,
      highSeconds: expect.closeTo(95, 9) as number,
      formula: 'empirical',
    })
  })

  it.each([1, 2, 4, 10, 30, 100])('holds nine of ten next launches of %i', (count) => {
    const next = random(count)
    const gauss = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())
    let inside = 0
    const rounds = 4000
    for (let round = 0; round < rounds; round += 1) {
      // Machines differ in how much launches spread: as assumed, 5 % with the certainty of four boots.
      const chiSquared = -2 * Math.log((1 - next()) * (1 - next()))
      const deviation = 0.05 * 50 * Math.sqrt(4 / chiSquared)
      const normal = () => 50 + deviation * gauss()
      const samples = Array.from({ length: count }, normal)
      const mean = samples.reduce((sum, value) => sum + value, 0) / count
      const { lowSeconds, highSeconds } = intervalOf(samples, mean)
      const seconds = normal()
      if (seconds >= lowSeconds && seconds <= highSeconds) inside += 1
    }
    expect(inside / rounds).toBeGreaterThan(0.875)
    expect(inside / rounds).toBeLessThan(0.925)
  })
})

it('earlier predictions are held against what was measured', () => {
  const predicted = { unbakedSeconds: 200, bakedSeconds: 50, measuredSeconds: 45 }
  const each = { readyUptime: 40, launchSeconds: 45 }
  const images = [
    image(steps, [], { imageId: 'a' }),
    image(steps, [], { imageId: 'b', predicted: { unbakedSeconds: 200, bakedSeconds: 40 } }),
    image(steps, [], {
      ...{ imageId: 'c', predicted },
      verification: { readyUptime: 40, launchSeconds: 45, launches: [each, each, each], checks: [] },
    }),
  ]
  expect(earlierPredictions(images)).toEqual([
    { imageId: 'b', predictedSeconds: 40, measuredSeconds: 45, launches: 1, error: 0.125 },
    { imageId: 'c', predictedSeconds: 50, measuredSeconds: 45, launches: 3, error: -0.1 },
  ])
})
