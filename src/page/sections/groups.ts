import { rangesChart } from '../charts/ranges.ts'
import type { GroupView } from '../data.ts'
import { formats, type Figures } from '../figures.ts'
import { html, type Html } from '../html.ts'
import { figure, section, table } from '../parts.ts'

const titles = {
  instanceType: 'Instance type',
  region: 'Region',
  image: 'Image',
  distribution: 'Distribution',
} as const satisfies Readonly<Record<GroupView['dimension'], string>>

/** More than these make no readable chart; the table has all. */
const chartedGroups = 12

/** Launch-to-ready by what the hosts are. */
export function groups(figures: Figures): Html {
  const all = figures.data.groups.map((group, index) => ({ group, index }))
  const dimensions = [...new Set(all.map(({ group }) => group.dimension))]
  if (dimensions.length === 0) {
    return section('hosts', 'By kind of host', 'No report tells instance type, region or distribution.', '')
  }
  return section(
    'hosts',
    'By kind of host',
    'Launch-to-ready of successful first boots, with and without an image together.',
    html`${dimensions.map((dimension) => {
      const rows = all.filter(({ group }) => group.dimension === dimension)
      return html`<h3>${titles[dimension]}</h3>
        ${chartOf(dimension, rows)}${tableOf(figures, dimension, rows)}`
    })}`,
  )
}

type Rows = readonly { readonly group: GroupView; readonly index: number }[]

function chartOf(dimension: GroupView['dimension'], rows: Rows): Html {
  const ranges = rows
    .flatMap(({ group: { value, ready } }) =>
      ready === undefined ? [] : [{ label: value, colour: 'image' as const, ...ready }],
    )
    .slice(0, chartedGroups)
  if (ranges.length < 2) return html``
  const label = `By ${titles[dimension].toLowerCase()}: ${ranges.map((range) => `${range.label} ${formats.seconds(range.median)}`).join(', ')}.`
  return figure(
    rangesChart(ranges, label),
    'Dot: median; thick line: up to 95 %; thin line: fastest to slowest, with an arrow where that is beyond the chart.',
  )
}

function tableOf(figures: Figures, dimension: GroupView['dimension'], rows: Rows): Html {
  return table(
    `Launch-to-ready by ${titles[dimension].toLowerCase()}`,
    [
      { header: titles[dimension] },
      { header: 'First boots', numeric: true },
      { header: 'Failed', numeric: true },
      { header: 'Median', numeric: true },
      { header: '95 % within', numeric: true },
      { header: 'Slowest', numeric: true },
    ],
    rows.map(({ group, index }) => {
      const at = (member: string, format: (value: number) => string) => figures.at(`/groups/${index}/${member}`, format)
      return [
        group.value,
        at('cold', formats.count),
        at('failed', formats.count),
        html`${at('ready/median', formats.seconds)}${group.ready?.few === true ? ' (few)' : ''}`,
        at('ready/p95', formats.seconds),
        at('ready/max', formats.seconds),
      ]
    }),
  )
}
