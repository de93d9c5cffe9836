import type { Trend } from './fleet.ts'
import { medianOf } from './quantile.ts'

/** A median of one day. */
export interface DailyValue {
  /** YYYY-MM-DD. */
  readonly day: string
  readonly value: number
}

/** Fewer days say nothing about a direction. */
export const fewestDays = 5
/** Older days are no trend but history. */
const lastDays = 28
/** Two-sided 5 % of the normal distribution. */
const significant = 1.96

/**
 * The trend of the last 28 days that have a value: Theil and Sen's slope, which outliers do not bend, and the test of Mann
 * (1945) and Kendall with the correction for ties. Undefined below five days.
 */
export function trendOf(daily: readonly DailyValue[]): Trend | undefined {
  const points = daily
    .map(({ day, value }) => ({ at: Date.parse(day) / 86_400_000, value }))
    .toSorted((a, b) => a.at - b.at)
    .slice(-lastDays)
  if (points.length < fewestDays) return undefined
  const slopes: number[] = []
  let sum = 0
  for (const [index, later] of points.entries()) {
    for (const earlier of points.slice(0, index)) {
      slopes.push((later.value - earlier.value) / (later.at - earlier.at))
      sum += Math.sign(later.value - earlier.value)
    }
  }
  const level = medianOf(points.map((point) => point.value)) ?? 0
  const slope = medianOf(slopes) ?? 0
  const z = (sum - Math.sign(sum)) / Math.sqrt(variance(points.map((point) => point.value)))
  return {
    days: points.length,
    perWeek: level === 0 ? 0 : (slope * 7) / level,
    direction: slope === 0 || !(Math.abs(z) > significant) ? 'steady' : slope > 0 ? 'rising' : 'falling',
  }
}

/** Of Kendall's sum where there is no trend. */
function variance(values: readonly number[]): number {
  const ties = new Map<number, number>()
  for (const value of values) ties.set(value, (ties.get(value) ?? 0) + 1)
  const term = (n: number) => n * (n - 1) * (2 * n + 5)
  return [...ties.values()].reduce((left, tied) => left - term(tied), term(values.length)) / 18
}
