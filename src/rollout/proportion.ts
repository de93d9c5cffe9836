/** A share that was counted, with the interval in which the true one lies in 19 of 20 cases. */
export interface Proportion {
  readonly count: number
  readonly of: number
  /** 0 to 1. */
  readonly rate: number
  readonly low: number
  readonly high: number
}

/** Two-sided 95 %. */
const z = 1.959_963_984_540_054

/**
 * Wilson's score interval (1927), which holds for few samples and for shares near 0 and 1. Undefined for a share of nothing.
 */
export function proportionOf(count: number, of: number): Proportion | undefined {
  if (of === 0) return undefined
  const rate = count / of
  const centre = rate + z ** 2 / (2 * of)
  const half = z * Math.sqrt((rate * (1 - rate)) / of + z ** 2 / (4 * of ** 2))
  const scale = 1 + z ** 2 / of
  // What is 0 or 1 in exact arithmetic must not be off by a rounding.
  const low = count === 0 ? 0 : (centre - half) / scale
  const high = count === of ? 1 : (centre + half) / scale
  return { count, of, rate, low, high }
}
