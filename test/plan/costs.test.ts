import { describe, expect, it } from 'vitest'
import { changesOf, overheadOf, secondsPerGiBOf, storedShareOf } from '../../src/plan/evidence.ts'
import { planSettings } from '../../src/plan/settings.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { report, step, stepReport } from '../profile/support.ts'
import { image, MiB, planWorld, profileOfWorld, stepOf, type World } from './support.ts'

const steps = [step('base'), step('app', { needs: ['base'] })]
const world: World = {
  steps,
  measured: { base: { seconds: 40, mib: 400 }, app: { seconds: 10, mib: 8 } },
  days: 30,
  boots: 90,
  earlier: { app: 4 },
}

describe('what a step costs', () => {
  it('follows the formulas of the README', () => {
    const plan = planWorld(world)
    const { costs } = stepOf(plan, 'app')
    const changes = (4 + 0.5) / (30 + 15)
    const own = changes - 0.5 / 45
    const fresh = Math.exp((-changes * 3600) / 86_400)
    expect(costs.changesPerDay).toEqual({ value: expect.closeTo(changes, 12) as number, source: 'measured' })
    expect(costs.freshShare).toBeCloseTo(fresh, 12)
    expect(costs.savedSeconds).toBeCloseTo(10 - 0.02, 12)
    expect(costs.imageBytes).toBe(2 * MiB)
    expect(plan.model.launchesPerDay).toEqual({ value: 3, source: 'measured' })
    expect(costs.gainPerDay).toBeCloseTo(3 * (fresh * 9.98 - 2 / 1024), 9)
    expect(costs.costPerDay).toBeCloseTo(0.1 * (own * 120 + changes * 10), 9)
  })

  it('adds up to what the plan brings', () => {
    const { economics } = planWorld(world)
    const changes = { base: 0.5 / 45, app: 4.5 / 45 }
    const delay = 102 / 1024
    expect(economics.imageBytes).toBe(102 * MiB)
    expect(economics.savedPerLaunch).toBeCloseTo(49.96 - delay, 9)
    expect(economics.bakesPerDay).toBeCloseTo(changes.app, 9)
    expect(economics.bakeSecondsPerDay).toBeCloseTo(changes.app * 120 + changes.base * 40 + changes.app * 10, 9)
    expect(economics.staleShare).toBeCloseTo(1 - Math.exp(-changes.app / 24), 9)
    expect(economics).not.toHaveProperty('money')
  })

  it('is money at the prices that are given, and only then', () => {
    const prices = { currency: 'EUR', launchHour: 0.4, bakeHour: 0.1, storageGiBMonth: 0.05 }
    const { economics, model } = planWorld({ ...world, settings: { prices } })
    expect(model.bakeWeight).toEqual({ value: 0.25, source: 'setting' })
    expect(economics.money).toEqual({
      currency: 'EUR',
      savedPerMonth: expect.closeTo((economics.savedPerDay * 30 * 0.4) / 3600, 9) as number,
      bakesPerMonth: expect.closeTo((economics.bakeSecondsPerDay * 30 * 0.1) / 3600, 9) as number,
      storagePerMonth: expect.closeTo((102 / 1024) * 0.05, 9) as number,
    })
  })

  it('comes from settings before measurements, and from measurements before assumptions', () => {
    const { model } = planWorld({ ...world, settings: { launchesPerDay: 7, secondsPerGiB: 0, rebakeSeconds: 60 } })
    expect(model).toMatchObject({
      launchesPerDay: { value: 7, source: 'setting' },
      secondsPerGiB: { value: 0, source: 'setting' },
      rebakeSeconds: { value: 60, source: 'setting' },
      storedShare: { value: 0.25, source: 'assumed' },
    })
    expect(planWorld({ ...world, days: 0.1, boots: 4 }).model.launchesPerDay).toEqual({ value: 4, source: 'assumed' })
    expect(planWorld({ ...world, evidence: { launchesPerDay: 2.5 } }).model.launchesPerDay).toEqual({
      value: 2.5,
      source: 'measured',
    })
  })

  it('takes the residual from hosts that time stamped steps', () => {
    const stamped = (startUptime: number) =>
      [0.1, 0.3, 0.2].map((wall) =>
        report([stepReport('app', wall, { outcome: 'stamped', baked: true, startUptime })], { image: 'web-1' }),
      )
    const residual = (boots: ReturnType<typeof stamped>) =>
      stepOf(planWorld({ ...world, evidence: { boots } }), 'app').costs.residualSeconds
    expect(residual(stamped(30))).toEqual({ value: 0.2, source: 'measured' })
    expect(residual(stamped(0))).toEqual({ value: 0.02, source: 'assumed' })
    expect(residual(stamped(30).slice(1))).toEqual({ value: 0.02, source: 'assumed' })
  })
})

describe('settings', () => {
  it('count every step where speed is all that is asked for', () => {
    expect(planSettings({})).toEqual({ objective: 'balanced', minSavingSeconds: 0.5, minShare: 0.01 })
    expect(planSettings({ objective: 'fastest' })).toMatchObject({ minSavingSeconds: 0, minShare: 0 })
    expect(planSettings({ objective: 'fastest', minSavingSeconds: 2 })).toMatchObject({ minSavingSeconds: 2 })
  })
})

describe('images tell', () => {
  const grown = { steps: [{ name: 'base', digest: steps[0]?.digest ?? '', seconds: 100, diskBytes: 400 * MiB }] }

  it('how often steps change', () => {
    const old = image(steps, ['base', 'app'], {
      createdAt: '2023-10-01T00:00:00.000Z',
      digests: { base: sha256('older base') },
    })
    const changes = changesOf(steps, profileOfWorld(world), [old])
    expect(changes.get('base')).toEqual({ count: 1, days: expect.closeTo(74.926, 2) as number })
    expect(changes.get('app')?.count).toBe(4)
  })

  it('what a byte on the disk takes in the image', () => {
    expect(storedShareOf(image(steps, [], { ...grown, addedBytes: 80 * MiB }))).toBe(0.2)
    expect(storedShareOf(image(steps, [], { ...grown, addedBytes: -5 }))).toBeUndefined()
    const images = [image(steps, [], { ...grown, addedBytes: 80 * MiB })]
    expect(planWorld({ ...world, evidence: { images } }).model.storedShare).toEqual({ value: 0.2, source: 'measured' })
  })

  it('what a bake takes besides its steps', () => {
    const at = { imageId: 'web-20261101T101500Z-0a1b2c3d', createdAt: '2026-11-01T10:20:00.000Z' }
    const step1 = { name: 'base', digest: sha256('b'), seconds: 100 }
    const step2 = { name: 'app', digest: sha256('a'), seconds: 30 }
    const known = {
      ...at,
      steps: [
        { ...step1, cached: true },
        { ...step2, cached: false },
      ],
    }
    expect(overheadOf(image(steps, [], known))).toBe(270)
    expect(overheadOf(image(steps, [], { ...at, steps: [step1, step2] }))).toBeUndefined()
    expect(overheadOf(image(steps, [], { ...known, imageId: 'imported' }))).toBeUndefined()
    expect(planWorld({ ...world, evidence: { images: [image(steps, [], known)] } }).model.bakeOverheadSeconds).toEqual({
      value: 270,
      source: 'measured',
    })
  })

  it('how long a GiB delays a launch, where three sizes were launched', () => {
    const sizes = [0.5, 1, 2].map((gib, index) =>
      image(steps, [], { imageId: `web-${index}`, addedBytes: gib * 1024 ** 3 }),
    )
    const boots = sizes.flatMap(({ imageId, addedBytes }) =>
      [-1, 0, 1].map((noise) =>
        report([stepReport('app', 9)], {
          image: imageId,
          readyUptime: 40 + 9 + noise + 3 * (addedBytes / 1024 ** 3),
        }),
      ),
    )
    expect(secondsPerGiBOf(sizes, boots)).toBeCloseTo(3, 9)
    expect(secondsPerGiBOf(sizes.slice(1), boots)).toBeUndefined()
    expect(secondsPerGiBOf(sizes, boots.slice(2))).toBeUndefined()
    expect(planWorld({ ...world, evidence: { images: sizes, boots } }).model.secondsPerGiB.source).toBe('measured')
  })
})
