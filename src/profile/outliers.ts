import type { Outliers, SlowRun } from './fleet.ts'
import type { Sketch } from './sketch.ts'

/** Fewer samples have no outliers. */
const fewestSamples = 12

/**
 * Samples above the third quartile plus three interquartile ranges (Tukey 1977: far out), and at least half as much again
 * as that quartile, because the samples of a quick step lie closer together than clocks and sketches tell.
 */
export function outliersOf(sketch: Sketch, slowest: readonly SlowRun[]): Outliers | undefined {
  if (sketch.count < fewestSamples) return undefined
  const [q1 = 0, q3 = 0] = sketch.quantiles([0.25, 0.75])
  const above = Math.max(q3 + 3 * (q3 - q1), 1.5 * q3)
  const count = sketch.countAbove(above)
  return count === 0 ? undefined : { count, above, slowest: slowest.filter(({ seconds }) => seconds > above) }
}
