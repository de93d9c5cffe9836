import { describe, expect, it } from 'vitest'
import type { PlanDefaults } from '../../src/config.ts'
import type { Plan } from '../../src/plan/model.ts'
import { smallestShare } from '../../src/plan/settings.ts'
import type { Step } from '../../src/recipe/model.ts'
import { step } from '../profile/support.ts'
import { random } from '../../bench/random.ts'
import { closuresOf, randomNeeds, sumOfMask } from './random.ts'
import { baked, MiB, planWorld, stepOf, type Measured, type World } from './support.ts'

const steps = [
  step('lib'),
  step('tool', { needs: ['lib'] }),
  step('huge'),
  step('quick'),
  step('own', { bake: 'never' }),
]
const measured: Record<string, Measured> = {
  lib: { seconds: 0.2, mib: 40 },
  tool: { seconds: 30, mib: 80 },
  huge: { seconds: 12, mib: 4000 },
  quick: { seconds: 0.3, mib: 0 },
  own: { seconds: 9 },
}
const plan = (settings: PlanDefaults, more: Partial<World> = {}) => planWorld({ steps, measured, settings, ...more })

describe('the objective', () => {
  it.each<[string, PlanDefaults, string[]]>([
    ['balanced bakes what pays', {}, ['lib', 'tool', 'huge']],
    ['balanced leaves what its bytes delay more than it saves', { secondsPerGiB: 20 }, ['lib', 'tool']],
    ['fastest bakes whatever saves time', { objective: 'fastest' }, ['lib', 'tool', 'huge', 'quick']],
    ['fastest heeds a least saving that is asked for', { objective: 'fastest', minSavingSeconds: 20 }, ['lib', 'tool']],
    ['smallest leaves what brings little for its bytes', { objective: 'smallest', secondsPerGiB: 9 }, ['lib', 'tool']],
    ['target bakes the fewest bytes that reach it', { objective: 'target', targetSeconds: 175 }, ['lib', 'tool']],
    ['target takes what is small first', { objective: 'target', targetSeconds: 199.8 }, ['quick']],
    ['target bakes nothing where nothing is to do', { objective: 'target', targetSeconds: 250 }, []],
    ['a limit on growth takes what fits', { maxImageGrowthBytes: 40 * MiB }, ['lib', 'tool']],
    ['a smaller limit leaves more', { maxImageGrowthBytes: 29 * MiB, objective: 'fastest' }, ['lib', 'quick']],
  ])('%s', (_, settings, expected) => {
    const of = plan(settings)
    expect(baked(of)).toEqual(expected)
    expect(of.optimum).toMatchObject({ exact: true, gap: 0 })
  })

  it('target says where it cannot be reached, and comes as near as it can', () => {
    const of = plan({ objective: 'target', targetSeconds: 100 })
    expect(baked(of)).toEqual(['lib', 'tool', 'huge', 'quick'])
    expect(of.notes[0]).toBe('the target of 100.0 s cannot be reached: 2 min 38 s is the least')
    const limited = plan({ objective: 'target', targetSeconds: 160, maxImageGrowthBytes: 100 * MiB })
    expect(baked(limited)).toEqual(['lib', 'tool', 'quick'])
    expect(limited.notes[0]).toMatch(/cannot be reached within the limit on growth: /)
  })

  it('a limit that the recipe itself exceeds leaves what is forced, and says so', () => {
    const forced = steps.map((each) => (each.name === 'huge' ? { ...each, bake: 'always' as const } : each))
    const of = plan({ maxImageGrowthBytes: 100 * MiB }, { steps: forced })
    expect(baked(of)).toEqual(['huge'])
    expect(of.notes[0]).toBe('what the recipe forces adds more than the 100 MiB that are allowed')
  })

  it('what is left says why', () => {
    const why = (settings: PlanDefaults, name: string) => stepOf(plan(settings), name).reason
    expect(why({}, 'quick')).toBe('quick')
    expect(why({ secondsPerGiB: 20 }, 'huge')).toBe('not-worth')
    expect(why({ maxImageGrowthBytes: 40 * MiB }, 'huge')).toBe('no-room')
    expect(why({ objective: 'target', targetSeconds: 175 }, 'huge')).toBe('not-asked')
    expect(stepOf(plan({ maxImageGrowthBytes: 40 * MiB }), 'huge')).toMatchObject({
      explanation:
        'median 12.0 s over 30 cold boots, but its 1000 MiB do not fit into 40.0 MiB beside what brings more',
      wouldChange: 'would fit beside the others with 990 MiB more of plan.maxImageGrowth',
    })
  })
})

interface RandomWorld {
  readonly world: World
  readonly needs: readonly (readonly number[])[]
}

function randomWorld(seed: number): RandomWorld {
  const next = random(seed)
  const size = 1 + Math.floor(next() * 8)
  const needs = randomNeeds(size, next() * 0.5, next)
  const names = needs.map((_, index) => `s${index}`)
  const of: Step[] = needs.map((each, index) =>
    step(names[index] as string, {
      needs: each.map((need) => names[need] as string),
      bake: next() < 0.1 ? 'always' : 'auto',
    }),
  )
  const values = Object.fromEntries(
    names.map((name) => [name, { seconds: next() ** 3 * 20, mib: Math.round(next() ** 2 * 3000) }]),
  )
  const earlier = Object.fromEntries(names.map((name) => [name, next() < 0.3 ? Math.floor(next() * 12) : 0]))
  const boots = 1 + Math.floor(next() ** 2 * 60)
  const settings: PlanDefaults = { minSavingSeconds: next() < 0.5 ? 0.5 : 0, secondsPerGiB: next() * 6 }
  return { needs, world: { steps: of, measured: values, earlier, boots, settings } }
}

/** Of all closures with what is forced: the mask of greatest `value` among those that `fit`. */
function brute(
  { world, needs }: RandomWorld,
  value: (mask: number) => number,
  fits: (mask: number) => boolean,
): number {
  const forced = world.steps.reduce((mask, each, index) => mask | (each.bake === 'always' ? 1 << index : 0), 0)
  const masks = closuresOf(needs).filter((mask) => (mask & forced) === forced && fits(mask))
  return masks.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...masks.map(value))
}

const numbersOf = (of: Plan, pick: (costs: Plan['steps'][number]['costs']) => number) =>
  of.steps.map((each) => pick(each.costs))
const maskOf = (of: Plan) =>
  of.steps.reduce((mask, each, index) => mask | (each.decision === 'bake' ? 1 << index : 0), 0)
const seeds = Array.from({ length: 700 }, (_, index) => index + 1)

describe('no other set of steps is better, on random recipes,', () => {
  const always = () => true

  it('for balanced: seconds a day', () => {
    let some = 0
    for (const seed of seeds) {
      const each = randomWorld(seed)
      const of = planWorld(each.world)
      const net = numbersOf(of, (costs) => costs.gainPerDay - costs.costPerDay)
      const own = sumOfMask(net, maskOf(of))
      expect([seed, own]).toEqual([
        seed,
        expect.closeTo(
          brute(each, (mask) => sumOfMask(net, mask), always),
          6,
        ),
      ])
      if (maskOf(of) !== 0) some += 1
    }
    expect(some).toBeGreaterThan(300)
  })

  it('for balanced within a limit: none is better, and none is too large', () => {
    let limited = 0
    for (const seed of seeds) {
      const each = randomWorld(seed)
      const maxImageGrowthBytes = Math.round(random(seed + 5000)() * 1500) * MiB
      const free = planWorld(each.world)
      const of = planWorld({ ...each.world, settings: { ...each.world.settings, maxImageGrowthBytes } })
      const net = numbersOf(of, (costs) => costs.gainPerDay - costs.costPerDay)
      const bytes = numbersOf(of, (costs) => Math.ceil((costs.imageBytes ?? 0) / 1024) * 1024)
      const fits = (mask: number) => sumOfMask(bytes, mask) <= maxImageGrowthBytes
      const best = brute(each, (mask) => sumOfMask(net, mask), fits)
      if (best === Number.NEGATIVE_INFINITY) {
        expect(of.notes.join()).toContain('what the recipe forces adds more')
        continue
      }
      expect([seed, fits(maskOf(of))]).toEqual([seed, true])
      const slack = 1e-6 * net.reduce((sum, value) => sum + Math.abs(value), 1)
      expect(sumOfMask(net, maskOf(of))).toBeGreaterThanOrEqual(best - slack)
      if (maskOf(of) !== maskOf(free)) limited += 1
    }
    expect(limited).toBeGreaterThan(100)
  })

  it('for smallest and target: none with fewer bytes brings as much', () => {
    let reached = 0
    for (const seed of seeds) {
      const each = randomWorld(seed)
      const targetSeconds = 200 - random(seed + 9000)() * 30
      const of = planWorld({ ...each.world, settings: { objective: 'target', targetSeconds } })
      const saved = numbersOf(of, (costs) => costs.savedSeconds)
      const size = numbersOf(of, (costs) => Math.ceil((costs.imageBytes ?? 0) / 1024) + 4)
      const enough = (mask: number) => sumOfMask(saved, mask) >= 200 - targetSeconds
      const best = brute(each, (mask) => -sumOfMask(size, mask), enough)
      if (best === Number.NEGATIVE_INFINITY) {
        expect(of.notes.join()).toContain('cannot be reached')
      } else {
        reached += 1
        expect([seed, sumOfMask(size, maskOf(of))]).toEqual([seed, -best])
        expect(of.prediction?.bakedSeconds).toBeLessThanOrEqual(targetSeconds + 1e-4)
      }
      const small = planWorld({ ...each.world, settings: { ...each.world.settings, objective: 'smallest' } })
      const fast = planWorld({ ...each.world, settings: { ...each.world.settings, objective: 'fastest' } })
      const gains = numbersOf(small, (costs) => costs.gainPerDay / small.model.launchesPerDay.value)
      const most = brute(each, (mask) => sumOfMask(gains, mask), always)
      expect(sumOfMask(gains, maskOf(small))).toBeGreaterThanOrEqual(most - (1 - smallestShare) * Math.abs(most) - 1e-4)
      expect(small.economics.imageBytes).toBeLessThanOrEqual(fast.economics.imageBytes)
    }
    expect(reached).toBeGreaterThan(100)
  })
})

describe('steps side by side', () => {
  const parallel = (world: World, settings: PlanDefaults) =>
    planWorld({ ...world, settings: { ...world.settings, ...settings }, execution: 'parallel' })

  it('save only what the longest chain loses', () => {
    const world: World = {
      steps: [step('a'), step('b'), step('c', { needs: ['b'] })],
      measured: { a: { seconds: 30 }, b: { seconds: 20 }, c: { seconds: 5 } },
    }
    const of = parallel(world, {})
    expect(baked(of)).toEqual(['a', 'b', 'c'])
    expect(of.optimum.method).toBe('critical-path')
    expect(of.economics.savedPerLaunch).toBeCloseTo(30 - 0.06, 6)
    const target = parallel(world, { objective: 'target', targetSeconds: 195.5 })
    expect(baked(target)).toEqual(['a'])
    expect(target.prediction?.bakedSeconds).toBeCloseTo(195.02, 6)
  })

  it('are chosen as brute force would choose, on random recipes', () => {
    let some = 0
    for (const seed of seeds) {
      const each = randomWorld(seed)
      const of = parallel(each.world, { objective: 'fastest' })
      const walls = of.steps.map((one) => one.medianSeconds ?? 0)
      const residual = numbersOf(of, (costs) => costs.residualSeconds.value)
      const ready = (mask: number) => longestChain(each.needs, walls, mask) + sumOfMask(residual, mask)
      const best = brute(
        each,
        (mask) => -ready(mask),
        () => true,
      )
      expect([seed, ready(maskOf(of))]).toEqual([seed, expect.closeTo(-best, 6)])
      expect(
        of.economics.savedPerLaunch + (of.model.secondsPerGiB.value * of.economics.imageBytes) / 1024 ** 3,
      ).toBeCloseTo(ready(0) - ready(maskOf(of)), 6)
      if (maskOf(of) !== 0) some += 1
    }
    expect(some).toBeGreaterThan(300)
  })
})

/** Seconds of the longest chain of needs through steps that are not in the mask. */
function longestChain(needs: readonly (readonly number[])[], walls: readonly number[], mask: number): number {
  const end = (item: number): number =>
    (((mask >> item) & 1) === 1 ? 0 : (walls[item] as number)) + Math.max(0, ...(needs[item] ?? []).map(end))
  return Math.max(0, ...needs.map((_, item) => end(item)))
}
