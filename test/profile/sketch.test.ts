import { describe, expect, it } from 'vitest'
import { randomNumbers } from '../../bench/fleet/random.ts'
import { quantile } from '../../src/profile/quantile.ts'
import { exactUpTo, relativeError, Sketch, type SketchJson } from '../../src/profile/sketch.ts'

const ps = [0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1]

function sketchOf(values: readonly number[]): Sketch {
  const sketch = new Sketch()
  for (const value of values) sketch.add(value)
  return sketch
}

/** What a sketch knows, without the last digits of sums, which depend on the order. */
function rounded(sketch: Sketch): SketchJson {
  const json = sketch.toJSON()
  const scale = Math.max(json.m2, json.n * json.mean ** 2)
  return { ...json, mean: Number(json.mean.toPrecision(9)), m2: scale === 0 ? 0 : Number((json.m2 / scale).toFixed(9)) }
}

const random = randomNumbers(7)
const distributions: Readonly<Record<string, () => number>> = {
  'log-normal seconds': () => Math.exp(2 + 0.6 * random.normal()),
  // Around the bin whose key is 0.
  'around one': () => 0.8 + 0.4 * random.uniform(),
  'a uniform share': () => random.uniform(),
  'bytes over nine decades': () => Math.floor(10 ** (9 * random.uniform())),
  'hundredths with many zeros': () => Math.max(0, Math.round(10 * random.normal()) / 100),
  'both signs': () => Math.round(4096 * random.normal()),
  negative: () => -Math.exp(random.normal()),
  constant: () => 14.82,
  'two modes far apart': () => (random.uniform() < 0.5 ? 0.01 : 5000) * (1 + random.uniform()),
}

describe.each(Object.entries(distributions))('a sketch of %s', (_, draw) => {
  const values = Array.from({ length: 5000 }, draw)
  const sorted = values.toSorted((a, b) => a - b)
  const sketch = sketchOf(values)

  it('has quantiles within the stated error of the exact ones', () => {
    for (const [index, estimate] of sketch.quantiles(ps).entries()) {
      const at = (sorted.length - 1) * (ps[index] ?? 0)
      // Between two samples the error of each counts with its weight.
      const [low, high] = [sorted[Math.floor(at)] ?? 0, sorted[Math.ceil(at)] ?? 0]
      const bound = relativeError * (Math.abs(low) * (1 - (at % 1)) + Math.abs(high) * (at % 1))
      expect(Math.abs(estimate - quantile(sorted, ps[index] ?? 0))).toBeLessThanOrEqual(bound + 1e-6)
    }
  })

  it('has exact counts, extremes, mean and deviation', () => {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
    const spread = sketch.spread()
    expect(spread).toMatchObject({ count: 5000, few: false, min: sorted[0], max: sorted.at(-1) })
    expect(Math.abs((spread?.mean ?? 0) - mean)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(mean)))
    expect(Math.abs((spread?.stddev ?? 0) - Math.sqrt(variance))).toBeLessThanOrEqual(1e-6 * Math.max(1, mean ** 2))
  })

  it('is the same whatever is merged in whatever order', () => {
    const parts = [values.slice(0, 7), values.slice(7, 130), values.slice(130, 1000), values.slice(1000)].map(sketchOf)
    for (const order of [parts, parts.toReversed()]) {
      const merged = new Sketch()
      for (const part of order) merged.merge(part)
      expect(rounded(merged)).toEqual(rounded(sketch))
    }
  })

  it('survives JSON, and goes on from there', () => {
    for (const size of [0, 1, exactUpTo, exactUpTo + 1, 2000]) {
      const copy = Sketch.fromJSON(JSON.parse(JSON.stringify(sketchOf(values.slice(0, size)))) as SketchJson)
      for (const value of values.slice(size)) copy.add(value)
      expect(rounded(copy)).toEqual(rounded(sketch))
    }
  })
})

describe('a sketch of few samples', () => {
  it('is exact', () => {
    const values = Array.from({ length: exactUpTo }, () => random.normal())
    const sorted = values.toSorted((a, b) => a - b)
    for (const p of ps) expect(sketchOf(values).quantile(p)).toBe(quantile(sorted, p))
  })

  it('says so', () => {
    expect(sketchOf([1, 2]).spread()).toMatchObject({ few: true, stddev: Math.SQRT1_2 })
    expect(sketchOf([1]).spread()).toMatchObject({ few: true, stddev: 0 })
    expect(new Sketch().spread()).toBeUndefined()
    expect(() => new Sketch().quantile(0.5)).toThrow(RangeError)
  })

  it('does not change what is merged into another', () => {
    const [a, b] = [sketchOf([1, 2]), sketchOf([3])]
    b.merge(a)
    b.add(9)
    expect(a.toJSON()).toEqual(sketchOf([1, 2]).toJSON())
    expect(b.spread()).toMatchObject({ count: 4, median: 2.5, max: 9 })
  })
})

it('a sketch stays small whatever it is fed', () => {
  const sketch = new Sketch()
  for (let exponent = -7; exponent <= 17; exponent += 0.001) {
    sketch.add(10 ** exponent)
    sketch.add(-(10 ** exponent))
  }
  for (const value of [Number.MIN_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE]) sketch.add(value)
  const { bins = [], negative = [] } = sketch.toJSON()
  expect(bins.length).toBeGreaterThan(9000)
  expect(bins.length).toBeLessThanOrEqual(2 * 4836)
  expect(negative.length).toBe(bins.length)
})

it.each([Number.NaN, Number.POSITIVE_INFINITY])('a sketch refuses %d', (value) => {
  expect(() => new Sketch().add(value)).toThrow(RangeError)
})

it('counts samples above a threshold', () => {
  expect(sketchOf([1, 2, 3, 4]).countAbove(2)).toBe(2)
  const many = sketchOf(Array.from({ length: 1000 }, (_, index) => index + 1))
  expect(Math.abs(many.countAbove(500) - 500)).toBeLessThanOrEqual(10)
  expect(many.countAbove(-1)).toBe(1000)
})
