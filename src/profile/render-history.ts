import { formatSeconds } from '../report/reporters.ts'
import { bar, terminalStyle, type Cell, type TableStyle } from '../report/table.ts'
import { fitTable, type FitColumn } from './fit-table.ts'
import type { FleetDay, FleetStatistics } from './fleet.ts'
import { counted } from './render.ts'

export type HistoryStep = 'day' | 'week'

/** Days are shown one by one up to this many. */
const manyDays = 35

/** Weeks where there are many days. */
export function historyStep(fleet: FleetStatistics): HistoryStep {
  return fleet.launches.days > manyDays ? 'week' : 'day'
}

/** Launch-to-ready over days or weeks, with the days on which the recipe or the image changed. */
export function renderHistory(
  fleet: FleetStatistics,
  step: HistoryStep = historyStep(fleet),
  style: TableStyle = terminalStyle(),
): string {
  const entries = step === 'week' ? fleet.weeks : fleet.history
  const head = `${fleet.recipe}: ${fleet.reports.cold} cold boots in ${fleet.launches.days} days (${fleet.reports.failed} failed)`
  if (entries.length === 0) return `${head}\n`
  const most = Math.max(...entries.map(({ launchToReady }) => launchToReady?.median ?? 0))
  const columns: readonly FitColumn[] = [
    { header: step === 'week' ? 'WEEK OF' : 'DAY' },
    { header: 'BOOTS', align: 'right', drop: 1 },
    { header: 'FAILED', align: 'right', drop: 3 },
    { header: 'MEDIAN', align: 'right' },
    { header: 'P95', align: 'right', drop: 2 },
    { header: '', drop: 4 },
    { header: 'CHANGED', narrow: 'wrap' },
  ]
  const table = fitTable(
    columns,
    entries.map((entry) => historyRow(entry, most)),
    style,
  )
  const few = entries.some(({ launchToReady }) => launchToReady?.few === true)
  return `${[head, table, ...(few ? ['* fewer than 3 samples: take the figure as a hint'] : [])].join('\n\n')}\n`
}

function historyRow(entry: FleetDay, most: number): Cell[] {
  const { launchToReady: spread } = entry
  const marks = [
    ...entry.newBundles.map((bundle) => `recipe ${bundle.slice(0, 8)}`),
    ...entry.newImages.map((image) => `image ${image}`),
  ]
  return [
    entry.day,
    spread === undefined ? String(entry.launches) : counted({ count: entry.launches, few: spread.few }),
    entry.failed === 0 ? '-' : { text: String(entry.failed), style: 'red' },
    spread === undefined ? '-' : formatSeconds(spread.median),
    spread === undefined ? '-' : formatSeconds(spread.p95),
    { text: spread === undefined || most === 0 ? '' : bar(spread.median / most, 20), style: 'cyan' },
    { text: marks.join(', '), style: 'yellow' },
  ]
}
