import type { FleetSpread } from './fleet.ts'
import { fewSamples } from './model.ts'
import { quantile } from './quantile.ts'

/** Largest relative error of a quantile beyond `exactUpTo` samples. */
export const relativeError = 0.005
/** Up to this many samples a sketch keeps them all. */
export const exactUpTo = 128

const gamma = (1 + relativeError) / (1 - relativeError)
const logGamma = Math.log(gamma)
/** Smaller magnitudes are zero, larger ones fall into the last bin: so there are at most 4,836 bins per sign. */
const smallest = 1e-6
const largest = 1e15

/** A sketch as JSON. Either `values` holds every sample, or `zeros`, `bins` and `negative` do. */
export interface SketchJson {
  readonly n: number
  readonly mean: number
  /** Sum of the squared differences from the mean. */
  readonly m2: number
  readonly min: number
  readonly max: number
  readonly values?: readonly number[]
  readonly zeros?: number
  /** Key and count of the lowest bin, then the key's increment and the count of each further one. */
  readonly bins?: readonly number[]
  /** The same for the magnitudes of negative samples. */
  readonly negative?: readonly number[]
}

/**
 * A mergeable quantile sketch: DDSketch (Masson, Rim and Lee, VLDB 2019) with logarithmic bins. Sample x falls into bin
 * ⌈log_γ x⌉ with γ = (1 + α) / (1 - α) and stands there as 2γ^key / (γ + 1), which is off by at most α = `relativeError`
 * of x. Merging adds bins, so that any order of adding and merging gives the same bins and counts. Mean and variance are
 * merged by the formulas of Chan, Golub and LeVeque (1979).
 */
export class Sketch {
  #count = 0
  #mean = 0
  #m2 = 0
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY
  #values: number[] | undefined = []
  #zeros = 0
  #bins = new Map<number, number>()
  #negative = new Map<number, number>()

  get count(): number {
    return this.#count
  }

  /** Throws RangeError for what is no finite number. */
  add(value: number): void {
    if (!Number.isFinite(value)) throw new RangeError(`${value} cannot be a sample`)
    this.#moments(1, value, 0)
    this.#min = Math.min(this.#min, value)
    this.#max = Math.max(this.#max, value)
    this.#store(value)
  }

  merge(other: Sketch): void {
    if (other.#count === 0) return
    this.#moments(other.#count, other.#mean, other.#m2)
    this.#min = Math.min(this.#min, other.#min)
    this.#max = Math.max(this.#max, other.#max)
    if (other.#values !== undefined) {
      for (const value of other.#values) this.#store(value)
      return
    }
    this.#spill()
    this.#zeros += other.#zeros
    mergeBins(this.#bins, other.#bins)
    mergeBins(this.#negative, other.#negative)
  }

  /** Type 7 quantile, `p` from 0 to 1. Throws RangeError for an empty sketch. */
  quantile(p: number): number {
    if (this.#values !== undefined) return quantile(ascending(this.#values), p)
    return this.quantiles([p])[0] as number
  }

  /** Several quantiles in one pass over the bins. */
  quantiles(ps: readonly number[]): number[] {
    if (this.#values !== undefined) {
      const sorted = ascending(this.#values)
      return ps.map((p) => quantile(sorted, p))
    }
    const steps = this.#steps()
    return ps.map((p) => {
      const at = (this.#count - 1) * p
      const low = Math.floor(at)
      const lower = this.#atRank(steps, low)
      return lower + (at - low) * (this.#atRank(steps, Math.min(low + 1, this.#count - 1)) - lower)
    })
  }

  /** Samples above a threshold; beyond `exactUpTo` those of its own bin count as below. */
  countAbove(threshold: number): number {
    if (this.#values !== undefined) return this.#values.filter((value) => value > threshold).length
    const value = threshold > 0 ? valueOf(keyOf(threshold)) : threshold
    return this.#steps().reduce((sum, step) => (step.value > value ? sum + step.count : sum), 0)
  }

  /** The usual figures, or undefined for no samples. */
  spread(): FleetSpread | undefined {
    if (this.#count === 0) return undefined
    const [median = 0, p95 = 0] = this.quantiles([0.5, 0.95])
    return {
      count: this.#count,
      few: this.#count < fewSamples,
      median,
      p95,
      min: this.#min,
      max: this.#max,
      mean: this.#mean,
      stddev: this.#count < 2 ? 0 : Math.sqrt(Math.max(0, this.#m2) / (this.#count - 1)),
    }
  }

  toJSON(): SketchJson {
    const head = { n: this.#count, mean: this.#mean, m2: this.#m2, min: this.#min, max: this.#max }
    if (this.#count === 0) return { ...head, min: 0, max: 0, values: [] }
    if (this.#values !== undefined) return { ...head, values: ascending(this.#values) }
    return {
      ...head,
      ...(this.#zeros === 0 ? {} : { zeros: this.#zeros }),
      ...(this.#bins.size === 0 ? {} : { bins: packBins(this.#bins) }),
      ...(this.#negative.size === 0 ? {} : { negative: packBins(this.#negative) }),
    }
  }

  static fromJSON(json: SketchJson): Sketch {
    const sketch = new Sketch()
    if (json.n === 0) return sketch
    sketch.#count = json.n
    sketch.#mean = json.mean
    sketch.#m2 = json.m2
    sketch.#min = json.min
    sketch.#max = json.max
    sketch.#values = json.values === undefined ? undefined : [...json.values]
    sketch.#zeros = json.zeros ?? 0
    sketch.#bins = unpackBins(json.bins ?? [])
    sketch.#negative = unpackBins(json.negative ?? [])
    return sketch
  }

  #moments(count: number, mean: number, m2: number): void {
    const total = this.#count + count
    const delta = mean - this.#mean
    this.#m2 += m2 + (delta * delta * this.#count * count) / total
    this.#mean += (delta * count) / total
    this.#count = total
  }

  #store(value: number): void {
    if (this.#values === undefined) this.#toBin(value)
    else if (this.#values.push(value) > exactUpTo) this.#spill()
  }

  #spill(): void {
    const values = this.#values ?? []
    this.#values = undefined
    for (const value of values) this.#toBin(value)
  }

  #toBin(value: number): void {
    const magnitude = Math.abs(value)
    if (magnitude < smallest) {
      this.#zeros += 1
      return
    }
    const bins = value > 0 ? this.#bins : this.#negative
    const key = keyOf(magnitude)
    bins.set(key, (bins.get(key) ?? 0) + 1)
  }

  /** Bins by ascending value, with the count up to and with each. */
  #steps(): readonly Step[] {
    const below = sortedBins(this.#negative)
      .toReversed()
      .map(([key, count]) => ({ value: -valueOf(key), count }))
    const above = sortedBins(this.#bins).map(([key, count]) => ({ value: valueOf(key), count }))
    const zeros = this.#zeros === 0 ? [] : [{ value: 0, count: this.#zeros }]
    let upTo = 0
    return [...below, ...zeros, ...above].map((step) => ({ ...step, upTo: (upTo += step.count) }))
  }

  /** The sample of this rank from 0, as its bin tells it; the first and the last are known exactly. */
  #atRank(steps: readonly Step[], rank: number): number {
    if (rank <= 0) return this.#min
    if (rank >= this.#count - 1) return this.#max
    let low = 0
    let high = steps.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((steps[middle]?.upTo ?? 0) > rank) high = middle
      else low = middle + 1
    }
    return Math.min(this.#max, Math.max(this.#min, steps[low]?.value ?? this.#max))
  }
}

interface Step {
  readonly value: number
  readonly count: number
  readonly upTo: number
}

function keyOf(magnitude: number): number {
  return Math.ceil(Math.log(Math.min(largest, Math.max(smallest, magnitude))) / logGamma)
}

function valueOf(key: number): number {
  return (2 * Math.exp(key * logGamma)) / (gamma + 1)
}

function ascending(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b)
}

function sortedBins(bins: ReadonlyMap<number, number>): (readonly [number, number])[] {
  return [...bins].toSorted(([a], [b]) => a - b)
}

function mergeBins(into: Map<number, number>, from: ReadonlyMap<number, number>): void {
  for (const [key, count] of from) into.set(key, (into.get(key) ?? 0) + count)
}

function packBins(bins: ReadonlyMap<number, number>): number[] {
  let last = 0
  return sortedBins(bins).flatMap(([key, count]) => {
    const step = key - last
    last = key
    return [step, count]
  })
}

function unpackBins(packed: readonly number[]): Map<number, number> {
  const bins = new Map<number, number>()
  let key = 0
  for (let index = 0; index + 1 < packed.length; index += 2) {
    key += packed[index] as number
    bins.set(key, packed[index + 1] as number)
  }
  return bins
}
