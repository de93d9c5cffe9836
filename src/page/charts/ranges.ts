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

/** A line from the fastest to the slowest sample, thick up to the 95th percentile from the median, which is a dot. */
export function rangesChart(ranges: readonly Range[], label: string): Html {
  const rows = ranges.map((range) => ({ label: range.label, value: formatSeconds(range.median) }))
  const title = (range: Range) =>
    `${range.label}: median ${formatSeconds(range.median)}, 95 % within ${formatSeconds(range.p95)}, from ` +
    `${formatSeconds(range.min)} to ${formatSeconds(range.max)}`
  return rowsChart(label, { rows, rowHeight: 26, labelWidth: 190, axis: 'seconds' }, ({ marks }, { shift }) => {
    const shared = { ...shift, y: (_: Range, index: number) => String(index), title }
    const stroke = (range: Range) => `var(--${range.colour})`
    return [
      marks.ruleY(ranges, { ...shared, x1: 'min', x2: 'max', stroke, strokeWidth: 1.5 }),
      marks.ruleY(ranges, { ...shared, x1: 'median', x2: 'p95', stroke, strokeWidth: 7 }),
      marks.dot(ranges, { ...shared, x: 'median', r: 6, fill: stroke, stroke: 'var(--page)', strokeWidth: 1.5 }),
    ]
  })
}
