import { formatSeconds } from '../../report/reporters.ts'
import type { Html } from '../html.ts'
import { rowsChart } from './rows.ts'

/** What is drawn of a spread, seconds. */
export interface Range {
  readonly label: string
  /** Name of the colour. */
  readonly colour: 'runtime' | 'image'
  readonly min: number
  readonly median: number
  readonly p95: number
  readonly max: number
}

/** How far the axis goes beyond the largest 95th percentile at most: one host that hung must not squeeze all others. */
const beyond = 1.5

/** Where the axis ends. */
export function rangesEnd(ranges: readonly Range[]): number {
  const slowest = Math.max(...ranges.map((range) => range.max))
  const usual = Math.max(...ranges.map((range) => range.p95)) * beyond
  return Math.min(slowest, usual)
}

/**
 * A line from the fastest to the slowest sample, thick up to the 95th percentile from the median, which is a dot. An arrow
 * where the slowest is beyond the axis.
 */
export function rangesChart(ranges: readonly Range[], label: string): Html {
  const rows = ranges.map((range) => ({ label: range.label, value: formatSeconds(range.median) }))
  const end = rangesEnd(ranges)
  const title = (range: Range) =>
    `${range.label}: median ${formatSeconds(range.median)}, 95 % within ${formatSeconds(range.p95)}, from ` +
    `${formatSeconds(range.min)} to ${formatSeconds(range.max)}`
  return rowsChart(label, { rows, rowHeight: 26, labelWidth: 190, axis: 'seconds', end }, ({ marks }, { shift }) => {
    const y = (range: Range) => String(ranges.indexOf(range))
    const shared = { ...shift, y, title }
    const stroke = (range: Range) => `var(--${range.colour})`
    return [
      marks.ruleY(ranges, {
        ...shared,
        x1: 'min',
        x2: (range: Range) => Math.min(range.max, end),
        stroke,
        strokeWidth: 1.5,
      }),
      marks.ruleY(ranges, { ...shared, x1: 'median', x2: 'p95', stroke, strokeWidth: 7 }),
      marks.dot(ranges, { ...shared, x: 'median', r: 6, fill: stroke, stroke: 'var(--page)', strokeWidth: 1.5 }),
      marks.dot(
        ranges.filter((range) => range.max > end),
        { ...shared, x: end, dx: 2, r: 4, symbol: 'triangle', rotate: 90, fill: stroke },
      ),
    ]
  })
}
