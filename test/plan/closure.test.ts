import { describe, expect, it } from 'vitest'
import { boundedClosure } from '../../src/plan/bounded-closure.ts'
import { ClosureSolver, inOrder, maxClosure, reduceNeeds, sumOf, type Needs } from '../../src/plan/closure.ts'
import { random } from '../../bench/random.ts'
import { closuresOf, maskOf, randomNeeds, sumOfMask } from './random.ts'

const seeds = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

interface Case {
  readonly needs: Needs
  readonly values: readonly number[]
  readonly costs: readonly number[]
  readonly limit: number
}

function randomCase(seed: number): Case {
  const next = random(seed)
  const size = Math.floor(next() * 10)
  const needs = randomNeeds(size, next() * 0.7, next)
  const range = next() < 0.3 ? 4 : 1000
  const signed = () => Math.round((next() * 2 - 0.9) * range)
  const values = needs.map(signed)
  const anySign = next() < 0.4
  const costs = needs.map(() => (anySign ? signed() : Math.round(next() * range)))
  return {
    needs,
    values,
    costs,
    limit: Math.round((next() * 1.2 - (anySign ? 0.5 : 0)) * range * Math.max(1, size / 3)),
  }
}

/** Takes what is worth it by itself, and whatever that needs. */
function thresholding(needs: Needs, values: readonly number[]): number {
  let mask = 0
  const add = (item: number): void => {
    if (((mask >> item) & 1) === 1) return
    mask |= 1 << item
    for (const need of needs[item] ?? []) add(need)
  }
  for (const [item, value] of values.entries()) if (value > 0) add(item)
  return mask
}

/** Adds, as long as it gains, the item that gains most with what it needs and the limit still allows. */
function greedy({ needs, values, costs, limit }: Case): number {
  const closures = closuresOf(needs)
  let mask = 0
  for (;;) {
    const own = sumOfMask(values, mask)
    const smallest = needs.flatMap((_, item) => {
      const with_ = closures.filter((each) => ((each >> item) & 1) === 1 && (each & mask) === mask)
      return with_.length === 0 ? [] : [with_.reduce((a, b) => (bits(a) <= bits(b) ? a : b))]
    })
    const better = smallest.filter((each) => sumOfMask(costs, each) <= limit && sumOfMask(values, each) > own)
    if (better.length === 0) return mask
    mask = better.reduce((a, b) => (sumOfMask(values, a) >= sumOfMask(values, b) ? a : b))
  }
}

const bits = (mask: number) => mask.toString(2).replaceAll('0', '').length

describe('the closure of greatest weight', () => {
  it.each([
    ['nothing', [], [], []],
    ['what gains', [[], []], [3, -1], [0]],
    ['what pays for its needs', [[], [0]], [-2, 3], [0, 1]],
    ['nothing that does not', [[], [0]], [-3, 2], []],
    ['a need that two share', [[], [0], [0]], [-5, 3, 3], [0, 1, 2]],
    ['as little as possible where it is all the same', [[], [0], []], [-3, 3, 0], []],
  ] as [string, number[][], number[], number[]][])('takes %s', (_, needs, weights, expected) => {
    const members = maxClosure(weights, needs)
    expect([...members].flatMap((member, item) => (member === 1 ? [item] : []))).toEqual(expected)
  })

  it('is that of brute force, never below thresholding or greedy, on random cases', () => {
    let taken = 0
    let beatsThresholding = 0
    let beatsGreedy = 0
    for (const seed of seeds(3000)) {
      const each = { ...randomCase(seed), limit: Number.POSITIVE_INFINITY }
      const { needs, values } = each
      const members = maxClosure(values, needs)
      const mask = maskOf(members)
      const closures = closuresOf(needs)
      const best = Math.max(...closures.map((closure) => sumOfMask(values, closure)))
      expect([seed, closures.includes(mask), sumOf(values, members)]).toEqual([seed, true, best])
      if (mask !== 0) taken += 1
      const [byThreshold, byGreedy] = [thresholding(needs, values), greedy(each)].map((m) => sumOfMask(values, m))
      expect(best).toBeGreaterThanOrEqual(Math.max(byThreshold as number, byGreedy as number))
      if (best > (byThreshold as number)) beatsThresholding += 1
      if (best > (byGreedy as number)) beatsGreedy += 1
    }
    // Or else the comparison would say nothing.
    expect(taken).toBeGreaterThan(1500)
    expect(beatsThresholding).toBeGreaterThan(300)
    expect(beatsGreedy).toBeGreaterThan(20)
  })

  it('is the smallest of those of greatest weight', () => {
    for (const seed of seeds(1000)) {
      const { needs, values } = randomCase(seed)
      const mask = maskOf(maxClosure(values, needs))
      const best = sumOfMask(values, mask)
      const others = closuresOf(needs).filter((closure) => sumOfMask(values, closure) === best)
      expect([seed, others.filter((other) => (other & mask) !== mask)]).toEqual([seed, []])
    }
  })

  it('keeps to what is fixed', () => {
    for (const seed of seeds(1000)) {
      const { needs, values } = randomCase(seed)
      const next = random(seed + 77)
      const closures = closuresOf(needs)
      const kept = closures[Math.floor(next() * closures.length)] as number
      const out = ~(closures[Math.floor(next() * closures.length)] as number) & ~kept
      const fits = (closure: number) => (closure & kept) === kept && closures.includes(closure)
      const fixed = Int8Array.from(needs, (_, item) => ((kept >> item) & 1) - 0)
      const users = closures.filter((closure) => (closure & out) === 0 && fits(closure))
      if (users.length === 0) continue
      const union = users.reduce((a, b) => a | b)
      for (const item of needs.keys()) if (((union >> item) & 1) === 0) fixed[item] = -1
      const mask = maskOf(new ClosureSolver(needs).solve(values, fixed))
      expect([seed, users.includes(mask)]).toEqual([seed, true])
      expect(sumOfMask(values, mask)).toBe(Math.max(...users.map((closure) => sumOfMask(values, closure))))
    }
  })

  it('takes fractions and large numbers', () => {
    expect([...maxClosure([0.3, -0.1, -0.25], [[1], [], []])]).toEqual([1, 1, 0])
    expect([...maxClosure([3e300, -1e300, 1e-300], [[1], [], []])]).toEqual([1, 1, 0])
  })

  it('follows a chain of 20,000 without running out of stack', () => {
    const needs = Array.from({ length: 20_000 }, (_, item) => (item === 0 ? [] : [item - 1]))
    const weights = needs.map((_, item) => (item === 19_999 ? 50_000 : -2))
    expect(sumOf(weights, maxClosure(weights, needs))).toBe(50_000 - 2 * 19_999)
  })

  it('refuses a circle', () => {
    expect(() => maxClosure([1, 1], [[1], [0]])).toThrow(RangeError)
  })
})

describe('needs', () => {
  it('are reduced to those that do not follow from others, with the same closures', () => {
    expect(reduceNeeds([[], [0], [0, 1], [2, 1, 0]])).toEqual([[], [0], [1], [2]])
    for (const seed of seeds(500)) {
      const { needs } = randomCase(seed)
      const reduced = reduceNeeds(needs)
      expect(closuresOf(reduced)).toEqual(closuresOf(needs))
      for (const [item, each] of reduced.entries()) {
        for (const need of each) {
          const without = reduced.map((other, at) => (at === item ? other.filter((name) => name !== need) : other))
          expect(closuresOf(without)).not.toEqual(closuresOf(needs))
        }
      }
    }
  })

  it('are brought into order', () => {
    const order = inOrder([[2], [0], []])
    expect(order).toEqual([2, 0, 1])
  })
})

describe('the closure of greatest value within a limit', () => {
  it('is that of brute force, never below greedy, on random cases', () => {
    let limited = 0
    let impossible = 0
    let beatsGreedy = 0
    for (const seed of seeds(4000)) {
      const each = randomCase(seed)
      const { needs, values, costs, limit } = each
      const fitting = closuresOf(needs).filter((closure) => sumOfMask(costs, closure) <= limit)
      const result = boundedClosure(each)
      if (fitting.length === 0) {
        impossible += 1
        expect([seed, result]).toEqual([seed, undefined])
        continue
      }
      const best = Math.max(...fitting.map((closure) => sumOfMask(values, closure)))
      expect([seed, result?.value, result?.bound, result?.exact]).toEqual([seed, best, best, true])
      const mask = maskOf(result?.members ?? new Uint8Array())
      expect([seed, fitting.includes(mask), sumOfMask(values, mask)]).toEqual([seed, true, best])
      if (best < sumOf(values, maxClosure(values, needs))) limited += 1
      if (limit >= 0) {
        const byGreedy = sumOfMask(values, greedy(each))
        expect(best).toBeGreaterThanOrEqual(byGreedy)
        if (best > byGreedy) beatsGreedy += 1
      }
    }
    expect(limited).toBeGreaterThan(1000)
    expect(impossible).toBeGreaterThan(50)
    expect(beatsGreedy).toBeGreaterThan(80)
  })

  it('comes with a bound that holds where the work was cut short', () => {
    let open = 0
    for (const seed of seeds(60)) {
      const next = random(seed)
      const needs = randomNeeds(60, 0.03, next)
      const values = needs.map(() => Math.round(next() * 1e6))
      const costs = values.map((value) => Math.round(value * (0.8 + next() * 0.4)))
      const problem = { needs, values, costs, limit: Math.round(costs.reduce((a, b) => a + b, 0) * 0.4) }
      const full = boundedClosure(problem)
      const short = boundedClosure(problem, 1)
      expect(full?.exact).toBe(true)
      expect(short?.value).toBeLessThanOrEqual(full?.value ?? 0)
      expect(short?.bound).toBeGreaterThanOrEqual(full?.value ?? 0)
      if (short?.exact === false) open += 1
    }
    expect(open).toBeGreaterThan(30)
  })
})
