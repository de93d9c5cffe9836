import { sharesChart } from '../charts/shares.ts'
import type { TimePart, TimeShares } from '../data.ts'
import { formats, type Figures } from '../figures.ts'
import { html, type Html, type HtmlPart } from '../html.ts'
import { figure, legend, plural, section, table } from '../parts.ts'
import { categoryNames } from './waterfalls.ts'

const sides = [
  ['before', 'at runtime'],
  ['after', 'with the image'],
] as const

/** Where the time goes, over all boots. */
export function time(figures: Figures): Html {
  const bars = sides.flatMap(([side, label]) => {
    const shares = figures.data.time[side]
    return shares === undefined ? [] : [{ side, label, time: shares }]
  })
  if (bars.length === 0) return section('time', 'Where the time goes', 'Nothing has been measured yet.', '')
  const used = new Set(bars.flatMap((bar) => bar.time.parts.map((part) => part.category)))
  const entries = categoryNames.filter(([category]) => used.has(category))
  const label = bars.map((bar) => `${bar.label}: ${formats.seconds(bar.time.mean)} on average`).join('; ')
  const counts = bars.map(
    (bar) =>
      html`${figures.at(`/time/${bar.side}/count`, formats.count)} ${plural(bar.time.count, 'boot')} ${bar.label}`,
  )
  return section(
    'time',
    'Where the time goes',
    html`The average over ${counts[0]}${counts.length > 1 ? html` and ${counts[1]}` : ''}. Averages are shown here
    because, unlike medians, they add up to the whole.`,
    html`${figure(sharesChart(bars, label), leadingPart(bars[0]))}
    ${legend(entries.map(([category, name]) => ({ colour: `c-${category}`, label: name })))} ${shareTable(figures)}`,
  )
}

function leadingPart(bar: { readonly label: string; readonly time: TimeShares } | undefined): string {
  const [largest] = bar?.time.parts.toSorted((a, b) => b.seconds - a.seconds) ?? []
  if (bar === undefined || largest === undefined) return ''
  const name =
    largest.category === 'gap'
      ? 'time that was not measured'
      : largest.step === undefined
        ? categoryName(largest.category)
        : `step ${largest.step}`
  return `The largest part ${bar.label} is ${name} with ${formats.share(largest.share)}.`
}

/** One row per part of either group, so that before and after stand side by side. */
function shareTable(figures: Figures): Html {
  const { time: shares } = figures.data
  const shown = sides.filter(([side]) => shares[side] !== undefined)
  const parts = (side: 'before' | 'after') => shares[side]?.parts ?? []
  const keyOf = (part: TimePart) => `${part.category} ${part.step ?? ''}`
  const all = [...parts('before'), ...parts('after')]
  const keys = [...new Set(all.map(keyOf))].toSorted((a, b) => positionOf(a) - positionOf(b))
  const cells = (key: string): HtmlPart[] =>
    shown.flatMap(([side]): HtmlPart[] => {
      const index = parts(side).findIndex((part) => keyOf(part) === key)
      if (index === -1) return ['', '']
      const pointer = `/time/${side}/parts/${index}`
      return [figures.at(`${pointer}/seconds`, formats.seconds), figures.at(`${pointer}/share`, formats.share)]
    })
  return table(
    'Mean seconds per part',
    [
      { header: 'Part' },
      ...shown.flatMap(([, label]) => [
        { header: `Mean ${label}`, numeric: true },
        { header: 'Share', numeric: true },
      ]),
    ],
    [
      ...keys.map((key) => {
        const part = all.find((each) => keyOf(each) === key)
        return [part?.step === undefined ? categoryName(part?.category ?? '') : `step ${part.step}`, ...cells(key)]
      }),
      ['all', ...shown.flatMap(([side]) => [figures.at(`/time/${side}/mean`, formats.seconds), ''])],
    ],
  )
}

function positionOf(key: string): number {
  return categoryNames.findIndex(([category]) => key.startsWith(`${category} `))
}

function categoryName(category: string): string {
  return categoryNames.find(([name]) => name === category)?.[1] ?? category
}
