import type { Html } from '../html.ts'
import { drawBoth, type Draw } from '../svg.ts'
import { shorten } from './shorten.ts'

/** A line of a chart with something drawn to a scale: its name and what stands at its end. */
export interface Row {
  readonly label: string
  readonly value: string
}

export interface RowsOptions {
  readonly rows: readonly Row[]
  /** Pixels per row where names stand beside the marks. */
  readonly rowHeight: number
  /** Pixels for the names there. */
  readonly labelWidth: number
  readonly axis: string
  /** Longest value of the axis; from the data where it is absent. */
  readonly end?: number
}

/** Where marks go in their row: below its name on a phone, beside it else. Pixels. */
export interface RowPlace {
  readonly bar: { readonly insetTop: number; readonly insetBottom: number }
  readonly shift: { readonly dy: number }
}

/** Space for a name above its marks, on a phone. */
const namePixels = 17

type Marks = ReturnType<Draw['marks']['barX']>[]

/** Draws named rows. `marksOf` draws into bands that are called by their index: `'0'`, `'1'` and so on. */
export function rowsChart(
  label: string,
  { rows, rowHeight, labelWidth, axis, end }: RowsOptions,
  marksOf: (draw: Draw, place: RowPlace) => Marks,
): Html {
  const key = (_: Row, index: number) => String(index)
  return drawBoth(label, (draw) => {
    const { marks, size } = draw
    const wide = size === 'wide'
    const place: RowPlace = wide
      ? { bar: { insetTop: 2, insetBottom: 2 }, shift: { dy: 0 } }
      : { bar: { insetTop: namePixels, insetBottom: 3 }, shift: { dy: namePixels / 2 } }
    const height = wide ? rowHeight : rowHeight + namePixels - 2
    // From the middle of a row up to its name.
    const above = { dy: 8 - height / 2 }
    const text = { y: key, textAnchor: 'end', fontVariant: 'tabular-nums' } as const
    return {
      height: rows.length * height + 44,
      marginLeft: wide ? labelWidth : 4,
      marginRight: wide ? 80 : 8,
      marginTop: 8,
      marginBottom: 36,
      x: {
        ...(end === undefined ? { zero: true, nice: true } : { domain: [0, end] }),
        label: axis,
        grid: true,
        ticks: wide ? 8 : 4,
      },
      y: {
        type: 'band',
        label: null,
        tickSize: 0,
        padding: 0,
        domain: rows.map((_, index) => String(index)),
        axis: wide ? 'left' : null,
        tickFormat: (index: string) => shorten(rows[Number(index)]?.label ?? '', Math.floor(labelWidth / 6.6)),
      },
      marks: [
        ...marksOf(draw, place),
        ...(wide
          ? [marks.text(rows, { ...text, frameAnchor: 'right', dx: 76, text: 'value' })]
          : [
              marks.text(rows, {
                y: key,
                frameAnchor: 'left',
                textAnchor: 'start',
                ...above,
                text: (row: Row) => shorten(row.label, 36),
              }),
              marks.text(rows, { ...text, ...above, frameAnchor: 'right', text: 'value' }),
            ]),
      ],
    }
  })
}
