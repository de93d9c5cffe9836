import type { Spread } from './model.ts'

/** Type 7 quantile of ascending numbers, `p` from 0 to 1. Throws RangeError for no numbers. */
export function quantile(ascending: readonly number[], p: number): number {
  if (ascending.length === 0) throw new RangeError('no quantile of nothing')
  const at = (ascending.length - 1) * p
  const low = Math.floor(at)
  const lower = ascending[low] as number
  const upper = ascending[Math.min(low + 1, ascending.length - 1)] as number
  return lower + (at - low) * (upper - lower)
}

/** The median of numbers in any order, or undefined for none. */
export function medianOf(values: readonly number[]): number | undefined {
  return values.length === 0
    ? undefined
    : quantile(
        values.toSorted((a, b) => a - b),
        0.5,
      )
}

/** Order statistics of numbers in any order, or undefined for none. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined
  const ascending = values.toSorted((a, b) => a - b)
  return {
    count: ascending.length,
    median: quantile(ascending, 0.5),
    p95: quantile(ascending, 0.95),
    min: ascending[0] as number,
    max: ascending.at(-1) as number,
  }
}
