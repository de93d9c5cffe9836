import { formatSeconds } from '../report/reporters.ts'
import {
  formatShare,
  renderTable,
  styled,
  terminalStyle,
  type Cell,
  type CellStyle,
  type Column,
  type TableStyle,
} from '../report/table.ts'
import type { Report, StepReport } from './report.ts'
import type { Waterfall, WaterfallSpan } from './waterfall.ts'

const colours: Readonly<Record<WaterfallSpan['category'], CellStyle>> = {
  firmware: 'dim',
  kernel: 'dim',
  initrd: 'dim',
  systemd: 'cyan',
  'cloud-init': 'yellow',
  agent: 'bold',
  step: 'green',
  gap: 'red',
}

/** Spans shorter than this share of the whole are shown together with their neighbours of the same category. */
const smallShare = 0.01

/** A waterfall as aligned bars on one time line, then what each category took. No newline at the end. */
export function renderWaterfall(waterfall: Waterfall, style: TableStyle = terminalStyle()): string {
  const total = waterfall.launchToReady
  const wide = style.width === undefined || style.width >= 120
  const barWidth = style.width === undefined ? 40 : Math.max(8, Math.min(40, Math.floor(style.width * 0.3)))
  const columns: readonly Column[] = [
    { header: 'START', align: 'right' },
    { header: 'SECONDS', align: 'right' },
    { header: 'WHAT', narrow: 'cut' },
    { header: 'WHEN' },
    ...(wide ? [{ header: 'WHY', narrow: 'cut' } as const] : []),
  ]
  const rows = shownSpans(waterfall).map((span): Cell[] => [
    span.start.toFixed(2),
    (span.end - span.start).toFixed(2),
    span.category === 'gap' ? `(${span.name})` : span.name,
    { text: barAt(span.start / total, span.end / total, barWidth), style: colours[span.category] },
    ...(wide ? [span.detail ?? ''] : []),
  ])
  return `${renderTable(columns, rows, style)}\n\n${sums(waterfall, style)}`
}

/** The waterfall with runs of small spans of one category taken together. */
export function shownSpans({ spans, launchToReady }: Waterfall): readonly WaterfallSpan[] {
  const shown: { span: WaterfallSpan; names: string[] }[] = []
  for (const span of spans) {
    const last = shown.at(-1)
    const small = span.end - span.start < launchToReady * smallShare && span.category !== 'step'
    if (small && last !== undefined && last.span.category === span.category && mayGrow(last, launchToReady)) {
      last.span = { ...last.span, end: span.end }
      if (!last.names.includes(span.name)) last.names.push(span.name)
    } else {
      shown.push({ span, names: [span.name] })
    }
  }
  return shown.map(({ span, names }) => ({
    ...span,
    name: names.length === 1 ? (names[0] ?? '') : `${names[0] ?? ''} and ${names.length - 1} more`,
  }))
}

/** What was long by itself keeps its own line. */
function mayGrow(line: { readonly span: WaterfallSpan; readonly names: readonly string[] }, total: number): boolean {
  return line.names.length > 1 || line.span.end - line.span.start < total * smallShare
}

/** A bar from share to share of the width; what is there at all has at least a sliver. */
function barAt(from: number, to: number, width: number): string {
  const start = Math.min(width - 1, Math.max(0, Math.floor(from * width)))
  const end = Math.max(start + 1, Math.min(width, Math.round(to * width)))
  const short = (to - from) * width < 0.5
  return `${' '.repeat(start)}${short ? '▏' : '█'.repeat(end - start)}`
}

function sums({ spans, launchToReady }: Waterfall, style: TableStyle): string {
  const totals = new Map<WaterfallSpan['category'], number>()
  for (const span of spans) totals.set(span.category, (totals.get(span.category) ?? 0) + span.end - span.start)
  const parts = [...totals].map(([category, seconds]) => {
    const share = launchToReady > 0 ? ` (${formatShare(seconds / launchToReady)})` : ''
    return `${styled(category === 'gap' ? 'gaps' : category, colours[category], style.colour)} ${formatSeconds(seconds)}${share}`
  })
  return wrapped(parts, style.width)
}

/** Parts joined by commas, broken between them where the terminal ends. */
function wrapped(parts: readonly string[], width: number | undefined): string {
  if (width === undefined) return parts.join(', ')
  const lines: string[] = []
  // oxlint-disable-next-line no-control-regex
  const length = (text: string) => text.replaceAll(/\u001b\[[0-9;]*m/g, '').length
  for (const part of parts) {
    const last = lines.at(-1)
    if (last !== undefined && length(last) + length(part) + 3 <= width) lines[lines.length - 1] = `${last}, ${part}`
    else lines.push(part)
  }
  return lines.join(',\n')
}

/** One boot as text for a terminal or a file: whose it was, its waterfall, what was slow in traced steps. */
export function renderBoot(boot: { readonly report: Report; readonly waterfall: Waterfall }): string {
  const { report, waterfall } = boot
  const from = report.image === '' ? 'its base' : `image ${report.image}`
  const at = new Date(waterfall.startedAt * 1000).toISOString().slice(0, 19).replace('T', ' ')
  const failed = report.outcome === 'failed' ? `, failed: ${report.error}` : ''
  const traces = renderTraces(report.steps)
  return [
    `${report.hostname} booted from ${from} at ${at}Z, run ${report.run}${failed}`,
    renderWaterfall(waterfall),
    ...(traces === '' ? [] : [traces]),
    `launch-to-ready: ${formatSeconds(waterfall.launchToReady)}\n`,
  ].join('\n\n')
}

/** The slowest commands of the steps that were traced; '' where none was. No newline at the end. */
export function renderTraces(steps: readonly StepReport[], style: TableStyle = terminalStyle()): string {
  const columns: readonly Column[] = [
    { header: 'LINE', align: 'right' },
    { header: 'TOOK', align: 'right' },
    { header: 'COMMAND', narrow: 'cut' },
  ]
  return steps
    .filter((step) => step.trace !== undefined)
    .map(({ name, trace = [] }) => {
      const rows = trace.map((each) => [String(each.line), formatSeconds(each.seconds), each.command])
      return `slowest commands of ${name}\n${renderTable(columns, rows, style)}`
    })
    .join('\n\n')
}
