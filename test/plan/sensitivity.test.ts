import { describe, expect, it } from 'vitest'
import { formatRate } from '../../src/plan/sensitivity.ts'
import { step } from '../profile/support.ts'
import { random } from '../../bench/random.ts'
import { planWorld, stepOf, type World } from './support.ts'

const rateIn = (text: string | undefined): number | undefined => {
  const days = /one launch in ([\d.]+) days/.exec(text ?? '')?.[1]
  if (days !== undefined) return 1 / Number(days)
  const perDay = /([\d.]+) launch(?:es)? a day/.exec(text ?? '')?.[1]
  return perDay === undefined ? undefined : Number(perDay)
}

describe('what would change a decision', () => {
  it('is the number of launches at which it turns', () => {
    let checked = 0
    for (let seed = 1; seed <= 200; seed += 1) {
      const next = random(seed)
      const steps = [step('a'), step('b', { needs: ['a'] }), step('c'), step('d', { needs: ['c', 'a'] })]
      const measured = Object.fromEntries(
        steps.map(({ name }) => [name, { seconds: 1 + next() ** 4 * 40, mib: next() * 400 }]),
      )
      const world: World = { steps, measured, earlier: { a: Math.floor(next() * 30), d: Math.floor(next() * 90) } }
      const at = (launchesPerDay: number) => planWorld({ ...world, settings: { launchesPerDay } })
      const now = 2 ** (next() * 8 - 4)
      const plan = at(now)
      for (const each of plan.steps) {
        const rate = rateIn(each.wouldChange)
        if (rate === undefined) continue
        checked += 1
        const isBaked = each.decision === 'bake'
        expect([seed, each.name, each.wouldChange]).toEqual([
          seed,
          each.name,
          expect.stringContaining(isBaked ? 'left below' : 'baked above'),
        ])
        // The text has two digits.
        expect([seed, stepOf(at(rate * (isBaked ? 0.93 : 1.07)), each.name).decision]).not.toEqual([
          seed,
          each.decision,
        ])
        if (isBaked ? rate * 1.07 < now : rate * 0.93 > now) {
          expect([seed, stepOf(at(rate * (isBaked ? 1.07 : 0.93)), each.name).decision]).toEqual([seed, each.decision])
        }
      }
    }
    expect(checked).toBeGreaterThan(200)
  })

  it('is the median for what is quick', () => {
    const world: World = { steps: [step('a')], measured: { a: { seconds: 0.3 } }, settings: { minSavingSeconds: 2 } }
    expect(stepOf(planWorld(world), 'a').wouldChange).toBe('would be baked from a median of 2.00 s')
  })

  it('is absent for what cannot be otherwise', () => {
    const world: World = { steps: [step('a', { when: 'boot' })], measured: { a: { seconds: 30 } } }
    expect(stepOf(planWorld(world), 'a')).not.toHaveProperty('wouldChange')
  })

  it.each([
    [12.3, '12 launches a day'],
    [1.25, '1.3 launches a day'],
    [1, '1 launch a day'],
    [0.4, 'one launch in 2.5 days'],
    [0.01, 'one launch in 100 days'],
  ])('writes %s as %s', (rate, text) => {
    expect(formatRate(rate)).toBe(text)
  })
})
