import { formatSeconds } from '../../report/reporters.ts'
import type { Waterfall, WaterfallSpan } from '../../profile/waterfall.ts'
import type { Html } from '../html.ts'
import { rowsChart } from './rows.ts'

/** One bar of a waterfall: a span, or several short ones of one category in a row. */
export interface WaterfallRow {
  readonly label: string
  readonly category: WaterfallSpan['category']
  readonly start: number
  readonly end: number
  /** Spans behind it. */
  readonly count: number
}

/** Spans below this share of the axis are drawn together with their neighbours; the table has each of them. */
export const shortShare = 0.012

/** Rows of a waterfall on an axis that ends at `maxSeconds`, neighbours of one category that are all short put together. */
export function waterfallRows(waterfall: Waterfall, maxSeconds: number): readonly WaterfallRow[] {
  const limit = maxSeconds * shortShare
  const rows: WaterfallRow[] = []
  for (const { name, category, start, end } of waterfall.spans) {
    const last = rows.at(-1)
    const row = { label: name, category, start, end, count: 1 }
    const joins =
      last?.category === category && end - start < limit && (last.count > 1 || last.end - last.start < limit)
    if (last !== undefined && joins) {
      const count = last.count + 1
      rows[rows.length - 1] = { label: `${category}: ${count} short parts`, category, start: last.start, end, count }
    } else {
      rows.push(row)
    }
  }
  // What is too short to be seen and stands alone would only take up a line; a step is always shown.
  return rows.filter((row) => row.category === 'step' || row.end - row.start >= limit / 4)
}

/** A boot until it is ready, top to bottom. `maxSeconds` is the end of the axis, so that two boots compare. */
export function waterfallChart(waterfall: Waterfall, maxSeconds: number, label: string): Html {
  const spans = waterfallRows(waterfall, maxSeconds)
  const rows = spans.map((row) => ({ label: row.label, value: formatSeconds(row.end - row.start) }))
  const isWhole = waterfall.spans.some((span) => span.category === 'firmware')
  const axis = isWhole ? 'seconds since power-on' : 'seconds since the kernel began'
  const options = { rows, rowHeight: 21, labelWidth: 240, axis, end: maxSeconds }
  return rowsChart(label, options, ({ marks }, place) => [
    marks.barX(spans, {
      ...place.bar,
      y: (_: WaterfallRow, index: number) => String(index),
      x1: 'start',
      x2: 'end',
      fill: (row: WaterfallRow) => `var(--${row.category})`,
      title: (row: WaterfallRow) =>
        `${row.label}: ${formatSeconds(row.end - row.start)}, from ${formatSeconds(row.start)}`,
    }),
  ])
}
