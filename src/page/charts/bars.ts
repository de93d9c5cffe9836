import type { Html } from '../html.ts'
import { rowsChart } from './rows.ts'

/** A bar of one or more pieces, drawn one after the other. */
export interface Bar {
  readonly label: string
  readonly pieces: readonly { readonly name: string; readonly colour: string; readonly value: number }[]
  /** Text at the end of the line. */
  readonly total: string
  /** Bounds of a value that is uncertain. */
  readonly interval?: { readonly low: number; readonly high: number }
}

export interface BarsOptions {
  readonly axis: string
  readonly format: (value: number) => string
}

/** Horizontal bars from 0; every piece's value is at least 0. */
export function barsChart(bars: readonly Bar[], label: string, options: BarsOptions): Html {
  const pieces = bars.flatMap((bar, index) => {
    let end = 0
    return bar.pieces.map((piece) => {
      const start = end
      end += piece.value
      return {
        ...piece,
        key: String(index),
        start,
        end,
        title: `${bar.label}, ${piece.name}: ${options.format(piece.value)}`,
      }
    })
  })
  const intervals = bars.flatMap(({ interval }, index) =>
    interval === undefined ? [] : [{ key: String(index), ...interval }],
  )
  const rows = bars.map((bar) => ({ label: bar.label, value: bar.total }))
  return rowsChart(label, { rows, rowHeight: 28, labelWidth: 230, axis: options.axis }, ({ marks }, place) => {
    const whisker = { ...place.shift, y: 'key', stroke: 'currentColor', strokeWidth: 2 }
    return [
      marks.barX(pieces, {
        ...place.bar,
        y: 'key',
        x1: 'start',
        x2: 'end',
        stroke: 'var(--page)',
        fill: (piece: Piece) => `var(--${piece.colour})`,
        title: (piece: Piece) => piece.title,
      }),
      marks.ruleY(intervals, { ...whisker, x1: 'low', x2: 'high' }),
      marks.tickX(intervals, { ...whisker, x: 'low', insetTop: 8, insetBottom: 8 }),
      marks.tickX(intervals, { ...whisker, x: 'high', insetTop: 8, insetBottom: 8 }),
    ]
  })
}

interface Piece {
  readonly colour: string
  readonly title: string
}
