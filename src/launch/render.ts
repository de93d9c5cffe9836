import type { LaunchRecord } from '../profile/launches.ts'
import type { Report } from '../profile/report.ts'
import { renderTraces, renderWaterfall } from '../profile/waterfall-render.ts'
import { waterfallOf } from '../profile/waterfall.ts'
import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { renderTable, terminalStyle, type Column, type TableStyle } from '../report/table.ts'

const columns: readonly Column[] = [
  { header: 'STEP', narrow: 'cut' },
  { header: 'WHEN' },
  { header: 'OUTCOME' },
  { header: 'WALL', align: 'right' },
  { header: 'CPU', align: 'right' },
  { header: 'RECEIVED', align: 'right' },
]

/** What one launch did, as text: a line per step, what was slow in them, the whole boot as bars, launch-to-ready. */
export function renderLaunch(report: Report, record: LaunchRecord, style: TableStyle = terminalStyle()): string {
  const rows = report.steps.map((step) => {
    const executed = step.attempts > 0
    return [
      step.name,
      step.when,
      step.baked ? 'baked' : step.outcome,
      executed ? formatSeconds(step.wall) : '-',
      executed ? formatSeconds(step.cpu) : '-',
      executed ? formatBytes(step.rxBytes) : '-',
    ]
  })
  const from = report.image === '' ? 'its base' : `image ${report.image}`
  const traces = renderTraces(report.steps, style)
  return [
    `${report.hostname} booted from ${from}, serial ${report.serial}`,
    '',
    renderTable(columns, rows, style),
    '',
    ...(traces === '' ? [] : [traces, '']),
    renderWaterfall(waterfallOf(report, record), style),
    '',
    `launch-to-ready: ${formatSeconds(record.launchSeconds)} (${formatSeconds(report.readyUptime)} of it since the kernel started)`,
    '',
  ].join('\n')
}
