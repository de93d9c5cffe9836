import { formatSeconds } from '../../report/reporters.ts'
import { formatShare } from '../../report/table.ts'
import type { TimeShares } from '../data.ts'
import type { Html } from '../html.ts'
import { drawBoth } from '../svg.ts'
import { shorten } from './shorten.ts'

interface Bar {
  readonly label: string
  readonly time: TimeShares
}

interface Piece {
  readonly bar: string
  readonly name: string
  readonly category: string
  readonly start: number
  readonly end: number
}

/** One bar per group, as long as its mean launch-to-ready, cut into its parts. */
export function sharesChart(bars: readonly Bar[], label: string): Html {
  const pieces = bars.flatMap(piecesOf)
  const longest = Math.max(...bars.map((bar) => bar.time.mean))
  return drawBoth(label, ({ marks, size, width }) => {
    const wide = size === 'wide'
    const marginLeft = wide ? 110 : 12
    const pixels = (width - marginLeft - 16) / longest
    const fits = (piece: Piece) => (piece.end - piece.start) * pixels > 7.2 * piece.name.length + 10
    return {
      height: bars.length * (wide ? 56 : 64) + 44,
      marginLeft,
      marginRight: 16,
      marginTop: 8,
      marginBottom: 36,
      x: { domain: [0, longest], label: 'mean seconds', grid: true, ticks: wide ? 8 : 4 },
      y: { label: null, tickSize: 0, domain: bars.map((bar) => bar.label), axis: wide ? 'left' : null },
      marks: [
        marks.barX(pieces, {
          y: 'bar',
          x1: 'start',
          x2: 'end',
          fill: (piece: Piece) => `var(--${piece.category})`,
          stroke: 'var(--page)',
          strokeWidth: 1,
          insetTop: wide ? 4 : 18,
          insetBottom: wide ? 4 : 2,
          title: (piece: Piece) => {
            const seconds = piece.end - piece.start
            return `${piece.name}: ${formatSeconds(seconds)}, ${formatShare(seconds / meanOf(bars, piece))}`
          },
        }),
        marks.text(pieces.filter(fits), {
          y: 'bar',
          x: (piece: Piece) => (piece.start + piece.end) / 2,
          text: (piece: Piece) => shorten(piece.name, 40),
          fill: 'var(--on)',
          dy: wide ? 0 : 8,
        }),
        ...(wide
          ? []
          : [
              marks.text(bars, {
                y: 'label',
                frameAnchor: 'left',
                textAnchor: 'start',
                text: 'label',
                dy: -22,
              }),
            ]),
      ],
    }
  })
}

function piecesOf({ label, time }: Bar): Piece[] {
  let start = 0
  return time.parts.map((part) => {
    const piece = {
      bar: label,
      name: part.step ?? part.category,
      category: part.category,
      start,
      end: start + part.seconds,
    }
    start = piece.end
    return piece
  })
}

function meanOf(bars: readonly Bar[], piece: Piece): number {
  return bars.find((bar) => bar.label === piece.bar)?.time.mean ?? 1
}
