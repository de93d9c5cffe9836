import { describe, expect, it } from 'vitest'
import { sha256 } from '../../src/util/sha256.ts'
import { step } from '../profile/support.ts'
import { baked, image, planWorld, stepOf, type Measured, type World } from './support.ts'

const steps = [step('big'), step('edge'), step('other')]
const measured = (edge: Measured): Record<string, Measured> => ({
  big: { seconds: 30 },
  edge,
  other: { seconds: 0.1 },
})
const settings = { minSavingSeconds: 1 }
const world = (edge: Measured, more: Partial<World> = {}): World => ({
  steps,
  measured: measured(edge),
  settings,
  ...more,
})
const having = (...names: string[]) => ({ evidence: { inForce: image(steps, names) } })

describe('a plan with an image in force', () => {
  it.each<[string, Measured, string[], string, string]>([
    ['keeps what fell a little below the threshold', { seconds: 0.85, p95: 0.86 }, ['big', 'edge'], 'bake', 'kept'],
    ['drops what fell clearly below it', { seconds: 0.6, p95: 0.61 }, ['big', 'edge'], 'runtime', 'quick'],
    ['takes up what is surely above it', { seconds: 1.1, p95: 1.11 }, ['big'], 'bake', 'slow'],
    ['leaves what is above it by less than noise', { seconds: 1.1, p95: 3 }, ['big'], 'runtime', 'unsettled'],
    ['takes up what is above it by more than noise', { seconds: 2.5, p95: 4 }, ['big'], 'bake', 'slow'],
    ['does not drop a step for two samples', { seconds: 0.6, count: 2 }, ['big', 'edge'], 'bake', 'kept'],
    [
      'does not take up one for two samples at the threshold',
      { seconds: 1.1, count: 2 },
      ['big'],
      'runtime',
      'unsettled',
    ],
    ['takes up one for two samples far above it', { seconds: 20, count: 2 }, ['big'], 'bake', 'slow'],
  ])('%s', (_, edge, names, decision, reason) => {
    // Another base, so that a bake is due anyway, and only the threshold's band decides.
    const changed = [...steps, step('new')]
    const of = planWorld({
      ...world(edge, { evidence: { inForce: image(steps, names, { digests: { big: sha256('old big') } }) } }),
      steps: changed,
    })
    expect(stepOf(of, 'edge')).toMatchObject({ decision, reason })
  })

  it('does the same as without one where nothing is near', () => {
    const plain = planWorld(world({ seconds: 9 }))
    expect(baked(planWorld(world({ seconds: 9 }, having('big', 'edge'))))).toEqual(baked(plain))
  })

  it('does not follow noise from one plan to the next', () => {
    const flips = (more: (names: string[]) => Partial<World>) => {
      let names = ['big']
      let count = 0
      for (const seconds of [1.04, 0.97, 1.02, 0.95, 1.06, 0.99]) {
        const next = baked(planWorld(world({ seconds, p95: seconds * 1.3 }, more(names))))
        if (next.join() !== names.join()) count += 1
        names = next
      }
      return count
    }
    expect(flips(() => ({}))).toBe(6)
    expect(flips((names) => having(...names))).toBe(0)
  })

  it('stays with it where another choice gains less than the bake for it costs', () => {
    const inForce = having('big')
    const of = planWorld(world({ seconds: 1.3, p95: 1.31 }, { ...inForce, boots: 40, days: 40 }))
    expect(baked(of)).toEqual(['big'])
    expect(stepOf(of, 'edge')).toMatchObject({ reason: 'unsettled', inForce: 'no' })
    expect(of.inForce).toEqual({ imageId: image(steps, []).imageId, added: [], removed: [], changed: [], kept: true })
    expect(baked(planWorld(world({ seconds: 20, p95: 21 }, { ...inForce, boots: 40, days: 40 })))).toEqual([
      'big',
      'edge',
    ])
  })

  it('shows what would be different', () => {
    const inForce = image(steps, ['big', 'other'], { digests: { big: sha256('old big') } })
    const of = planWorld(world({ seconds: 9 }, { evidence: { inForce } }))
    expect(of.inForce).toMatchObject({ added: ['edge'], removed: ['other'], changed: ['big'], kept: false })
    expect(of.steps.map((each) => each.inForce)).toEqual(['another', 'no', 'this-version'])
  })

  it('does not count an image of another base', () => {
    const more = { ...having('big', 'edge'), base: sha256('another base') }
    expect(stepOf(planWorld(world({ seconds: 0.85, p95: 0.86 }, more)), 'edge').reason).toBe('quick')
  })

  it('measures a step that changed by its earlier version', () => {
    const now = [step('big', { digest: sha256('big now') }), ...steps.slice(1)]
    const of = (earlier: Record<string, number>) =>
      stepOf(planWorld({ steps: now, measured: { edge: { seconds: 0.1 } }, earlier, settings }), 'big')
    expect(of({})).toMatchObject({ decision: 'runtime', reason: 'not-measured' })
    expect(of({ big: 1 })).toMatchObject({ decision: 'bake', reason: 'slow', costs: { measured: 'earlier' } })
    expect(of({ big: 1 }).explanation).toBe(
      'median 1.00 s over 30 cold boots of its earlier version reaches the threshold of 1.00 s',
    )
  })
})

describe('a step is dropped again', () => {
  const often = (count: number, more: Partial<World> = {}) =>
    planWorld(
      world(
        { seconds: 2, p95: 2.1 },
        { earlier: { edge: count }, days: 5, boots: 5, ...having('big', 'edge'), ...more },
      ),
    )

  it('where it changes too often to pay', () => {
    expect(stepOf(often(0), 'edge')).toMatchObject({ decision: 'bake', reason: 'slow' })
    const of = often(200)
    expect(stepOf(of, 'edge')).toMatchObject({ decision: 'runtime', reason: 'changes-often' })
    expect(stepOf(of, 'edge').explanation).toContain('but it changes 10 times a day: it would gain ')
    expect(of.inForce).toMatchObject({ removed: ['edge'], kept: false })
  })

  it('at the rate of change that the explanation names', () => {
    const text = stepOf(often(200), 'edge').wouldChange ?? ''
    const rate = 1 / Number(/with less than a change in ([\d.]+) days/.exec(text)?.[1])
    // (changes + 0.5) / (days + 15)
    const changes = (factor: number) => Math.round(rate * factor * 20 - 0.5)
    expect(rate).toBeGreaterThan(0.1)
    expect(stepOf(often(changes(0.85)), 'edge').decision).toBe('bake')
    expect(stepOf(often(changes(1.15), { evidence: {} }), 'edge').decision).toBe('runtime')
  })

  it('where there are too few launches for it', () => {
    const few = { settings: { ...settings, launchesPerDay: 0.001 } }
    expect(stepOf(often(0, few), 'edge')).toMatchObject({ decision: 'runtime' })
  })
})
