import { eventLabel, historyChart } from '../charts/history.ts'
import type { PageData } from '../data.ts'
import { formats, type Figures } from '../figures.ts'
import { html, type Html } from '../html.ts'
import { code, figure, folded, legend, plural, section, table } from '../parts.ts'

/** Launch-to-ready over the weeks, with what changed. */
export function history(figures: Figures): Html {
  const { days, events } = figures.data.history
  const measured = days.filter((day) => day.ready !== undefined)
  const [first] = measured
  const last = measured.at(-1)
  if (first === undefined || last === undefined) {
    return section('history', 'History', 'No successful first boot has been reported yet.', '')
  }
  const distinct = new Set(days.map((day) => day.day)).size
  const label =
    `Median launch-to-ready per day from ${first.day} to ${last.day}, with ${events.length} ` +
    `${plural(events.length, 'change')} marked; the table has every day.`
  return section(
    'history',
    'History',
    html`Launch-to-ready of first boots on ${distinct} ${plural(distinct, 'day')}${leadOf(figures.data)}.`,
    html`${figure(
      historyChart(days, events, label),
      'A point per day, image and version of the recipe: the median; the line above it ends where 95 % of the boots were ready. Dashed: the first day on which hosts had a new recipe or image.',
    )}
    ${legend([
      { colour: 'c-runtime', label: 'on a plain base' },
      { colour: 'c-image', label: 'with an image' },
    ])}
    ${eventTable(events)} ${folded(`All ${days.length} ${plural(days.length, 'point')} as a table`, dayTable(figures))}`,
  )
}

function leadOf({ history: { events } }: PageData): string {
  if (events.length === 0) return ''
  const recipes = events.filter((event) => event.kind === 'recipe').length
  const images = events.length - recipes
  return `, with ${recipes} ${plural(recipes, 'change')} of the recipe and ${images} new ${plural(images, 'image')} in between`
}

function eventTable(events: PageData['history']['events']): Html {
  if (events.length === 0) return html`<p>No new recipe and no new image reached hosts after the first day.</p>`
  return table(
    'Changes',
    [{ header: 'First seen' }, { header: 'What' }, { header: 'Full name' }],
    events.map((event) => [event.day, eventLabel(event), code(event.name)]),
  )
}

function dayTable(figures: Figures): Html {
  return table(
    'Launch-to-ready per day, image and version of the recipe',
    [
      { header: 'Day' },
      { header: 'Image' },
      { header: 'Recipe' },
      { header: 'Launches', numeric: true },
      { header: 'Failed', numeric: true },
      { header: 'Median', numeric: true },
      { header: '95 % within', numeric: true },
    ],
    figures.data.history.days.map((day, index) => {
      const at = (member: string, format: (value: number) => string) =>
        figures.at(`/history/days/${index}/${member}`, format)
      return [
        day.day,
        day.image === '' ? 'plain base' : code(day.image),
        code(day.bundle.slice(0, 8)),
        at('launches', formats.count),
        at('failed', formats.count),
        at('ready/median', formats.seconds),
        html`${at('ready/p95', formats.seconds)}${day.ready?.few === true ? ' (few)' : ''}`,
      ]
    }),
  )
}
