import { rangesChart } from '../charts/ranges.ts'
import type { StepView } from '../data.ts'
import { formats, type Figures, type Format } from '../figures.ts'
import { html, type Html, type HtmlPart } from '../html.ts'
import { figure, legend, section, table, type TableColumn } from '../parts.ts'

/** What each step costs over the fleet. */
export function steps(figures: Figures): Html {
  const { data } = figures
  const measured = data.steps.filter((step) => step.wall !== undefined)
  if (measured.length === 0) {
    return section('steps', 'Each step over the fleet', 'No step has been measured yet.', stepTable(figures))
  }
  const ranges = measured.flatMap(({ name, decision, wall }) =>
    wall === undefined
      ? []
      : [{ label: name, colour: decision === 'bake' ? ('image' as const) : ('runtime' as const), ...wall }],
  )
  const label = `Seconds per step: ${ranges.map((range) => `${range.label} ${formats.seconds(range.median)}`).join(', ')}.`
  return section(
    'steps',
    'Each step over the fleet',
    'Wall time at the first boot of a host. What cron measures later on a warm host is not in it.',
    html`${figure(
      rangesChart(ranges, label),
      'The dot and the number are the median, the thick line ends where 95 % of the boots were done, the thin line goes from the fastest to the slowest, with an arrow where that is beyond the chart.',
    )}
    ${legend([
      { colour: 'c-image', label: 'to be baked' },
      { colour: 'c-runtime', label: 'stays at runtime' },
    ])}
    ${stepTable(figures)} ${outlierNote(figures)}`,
  )
}

interface StepColumn {
  readonly column: TableColumn
  readonly cell: (step: StepView, at: (member: string, format: Format) => Html, index: number) => HtmlPart
}

function stepTable(figures: Figures): Html {
  const { steps: all } = figures.data
  const number = (header: string, member: string, format: Format): StepColumn => ({
    column: { header, numeric: true },
    cell: (_, at) => at(member, format),
  })
  const where = (shown: boolean, column: StepColumn) => (shown ? [column] : [])
  const columns: readonly StepColumn[] = [
    { column: { header: 'Step' }, cell: (step) => step.name },
    {
      column: { header: 'Boots', numeric: true },
      cell: (step, at) => html`${at('count', formats.count)}${step.few && step.count > 0 ? ' (few)' : ''}`,
    },
    number('Median', 'wall/median', formats.seconds),
    number('95 % within', 'wall/p95', formats.seconds),
    number('Share', 'share', formats.share),
    number('CPU', 'cpuMedian', formats.seconds),
    number('Received', 'rxBytesMedian', formats.bytes),
    number('Disk', 'diskBytesMedian', formats.bytes),
    ...where(
      all.some((step) => (step.lockMedian ?? 0) > 0),
      number('Waiting for a lock', 'lockMedian', formats.seconds),
    ),
    ...where(
      all.some((step) => (step.retryMedian ?? 0) > 0),
      number('Retries', 'retryMedian', formats.seconds),
    ),
    {
      column: { header: 'Failed', numeric: true },
      cell: (step, at) =>
        step.failures === 0
          ? at('failures', formats.count)
          : html`<strong class="bad">${at('failures', formats.count)}</strong>`,
    },
    ...where(
      all.some((step) => step.trend !== undefined || step.change !== undefined),
      { column: { header: 'Trend', prose: true }, cell: (step, _, index) => trendText(figures, step, index) },
    ),
  ]
  return table(
    'Cost of each step at first boots: medians, unless said otherwise',
    columns.map(({ column }) => column),
    all.map((step, index) => {
      const at = (member: string, format: Format) => figures.at(`/steps/${index}/${member}`, format)
      return columns.map(({ cell }) => cell(step, at, index))
    }),
  )
}

function trendText(figures: Figures, step: StepView, index: number): Html {
  const changed =
    step.change === undefined
      ? ''
      : html`${figures.at(`/steps/${index}/change`, formats.signedShare)} against its version before`
  const { trend } = step
  if (trend === undefined) return html`${changed}`
  const words =
    trend.direction === 'steady'
      ? 'steady'
      : html`${trend.direction}, ${figures.at(`/steps/${index}/trend/perWeek`, formats.signedShare)} a week`
  return html`${words}${changed === '' ? '' : html`; ${changed}`}`
}

function outlierNote(figures: Figures): Html {
  const rows = figures.data.steps.flatMap((step, index) =>
    step.outliers === undefined || step.outliers.count === 0
      ? []
      : [
          html`<li>
            ${step.name}: ${figures.at(`/steps/${index}/outliers/count`, formats.count)} above
            ${figures.at(`/steps/${index}/outliers/above`, formats.seconds)}, the slowest on host
            <code>${step.outliers.slowest[0]?.host ?? ''}</code>
          </li>`,
        ],
  )
  return rows.length === 0
    ? html``
    : html`<h3>Far slower than the rest</h3>
        <p>These stay in the figures; medians hardly notice them.</p>
        <ul>
          ${rows}
        </ul>`
}
