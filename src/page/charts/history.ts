import { formatSeconds } from '../../report/reporters.ts'
import type { HistoryDay, HistoryEvent } from '../data.ts'
import type { Html } from '../html.ts'
import { chartWidths, drawBoth } from '../svg.ts'
import { shorten } from './shorten.ts'

interface Point {
  readonly date: Date
  readonly colour: 'runtime' | 'image'
  readonly count: number
  readonly median: number
  readonly p95: number
  readonly title: string
}

/**
 * Medians per day up to their 95th percentiles, one point per image and version of the recipe, a line per colour through
 * the point of each day with most boots; changes as upright lines.
 */
export function historyChart(days: readonly HistoryDay[], events: readonly HistoryEvent[], label: string): Html {
  const points = days.flatMap((day) => pointOf(day) ?? [])
  const main = (['runtime', 'image'] as const).map((colour) => mainLine(points, colour))
  const changes = events.map((event) => ({ ...event, date: dateOf(event.day) }))
  const labels = placeLabels(events, days)
  return drawBoth(label, ({ marks, size }) => {
    const wide = size === 'wide'
    return {
      height: wide ? 330 : 280,
      marginLeft: margins.left,
      marginRight: margins.right,
      marginTop: wide ? 56 : 20,
      marginBottom: 36,
      x: { type: 'utc', label: null, ticks: wide ? 10 : 4, nice: false },
      y: { label: 'launch-to-ready, seconds', labelAnchor: 'top', grid: true, zero: true, nice: true, ticks: 6 },
      marks: [
        marks.ruleX(changes, {
          x: 'date',
          stroke: (event: HistoryEvent) => (event.kind === 'image' ? 'var(--image)' : 'currentColor'),
          strokeDasharray: '4,3',
          strokeOpacity: 0.8,
          title: (event: HistoryEvent) => `${event.kind} ${event.name}, ${event.day}`,
        }),
        ...(wide ? labels : []).map(({ event, line, anchor }) =>
          marks.text([event], {
            x: dateOf(event.day),
            frameAnchor: 'top',
            textAnchor: anchor,
            dx: anchor === 'start' ? 3 : -3,
            dy: 14 * line - 44,
            text: labelOf,
          }),
        ),
        marks.ruleX(points, {
          x: 'date',
          y1: 'median',
          y2: 'p95',
          stroke: (point: Point) => `var(--${point.colour})`,
          strokeOpacity: 0.55,
        }),
        ...main.map((line) =>
          marks.lineY(line, {
            x: 'date',
            y: 'median',
            stroke: (point: Point) => `var(--${point.colour})`,
            strokeWidth: 2,
          }),
        ),
        marks.dot(points, {
          x: 'date',
          y: 'median',
          r: 3,
          fill: (point: Point) => `var(--${point.colour})`,
          title: 'title',
        }),
      ],
    }
  })
}

const margins = { left: 46, right: 18 } as const
const labelLines = [0, 1, 2] as const
/** Generous: what is drawn is narrower in most fonts. */
const pixelsPerCharacter = 6.8

export interface PlacedLabel {
  readonly event: HistoryEvent
  readonly line: number
  readonly anchor: 'start' | 'end'
}

/** Labels of changes in three lines, away from the nearer edge; one that would lie over another is left to the table. */
export function placeLabels(events: readonly HistoryEvent[], days: readonly HistoryDay[]): readonly PlacedLabel[] {
  const times = [...days.map(({ day }) => day), ...events.map(({ day }) => day)].map((day) => dateOf(day).getTime())
  const from = Math.min(...times)
  const span = Math.max(1, Math.max(...times) - from)
  const inner = chartWidths.wide - margins.left - margins.right
  const taken = labelLines.map((): [number, number][] => [])
  return events.flatMap((event) => {
    const share = (dateOf(event.day).getTime() - from) / span
    const anchor = share > 0.5 ? ('end' as const) : ('start' as const)
    const length = labelOf(event).length * pixelsPerCharacter + 6
    const left = margins.left + share * inner - (anchor === 'end' ? length : 0)
    const line = taken.findIndex((places) => places.every(([a, b]) => left >= b || left + length <= a))
    if (line === -1) return []
    taken[line]?.push([left, left + length])
    return [{ event, line, anchor }]
  })
}

function labelOf(event: HistoryEvent): string {
  return shorten(eventLabel(event), 34)
}

/** What a change is called beside its line and in the table. */
export function eventLabel(event: HistoryEvent): string {
  return event.kind === 'recipe' ? `recipe ${event.name.slice(0, 8)}` : `image ${event.name}`
}

function pointOf(day: HistoryDay): Point | undefined {
  if (day.ready === undefined) return undefined
  const { count, median, p95 } = day.ready
  return {
    date: dateOf(day.day),
    colour: day.image === '' ? 'runtime' : 'image',
    count,
    median,
    p95,
    title:
      `${day.day}, ${day.image === '' ? 'plain base' : day.image}: median ${formatSeconds(median)} of ${count}, ` +
      `95 % within ${formatSeconds(p95)}`,
  }
}

function mainLine(points: readonly Point[], colour: Point['colour']): readonly Point[] {
  const best = new Map<number, Point>()
  for (const point of points.filter((each) => each.colour === colour)) {
    const there = best.get(point.date.getTime())
    if (there === undefined || there.count < point.count) best.set(point.date.getTime(), point)
  }
  return [...best.values()].toSorted((a, b) => a.date.getTime() - b.date.getTime())
}

function dateOf(day: string): Date {
  return new Date(`${day}T00:00:00Z`)
}
