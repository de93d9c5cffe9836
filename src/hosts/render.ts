import { fitTable, type FitColumn } from '../profile/fit-table.ts'
import { terminalStyle, type Cell, type TableStyle } from '../report/table.ts'
import type { BundleState, HostCounts, HostList, HostState } from './model.ts'

const columns: readonly FitColumn[] = [
  { header: 'HOST' },
  { header: 'SEEN', align: 'right' },
  { header: 'BUNDLE' },
  { header: 'SERIAL', align: 'right', drop: 3 },
  { header: 'IMAGE', drop: 4 },
  { header: 'FAILED', align: 'right' },
  { header: 'DRIFT', narrow: 'cut', drop: 1 },
  { header: 'AGENT', drop: 5 },
  { header: 'LAST ERROR', narrow: 'cut', drop: 2 },
]

/** Hosts as a table below a line of counts, at most `limit` of them. */
export function renderHosts(
  list: HostList,
  limit: number,
  nowMs = Date.now(),
  style: TableStyle = terminalStyle(),
): string {
  const head = `${list.recipe} ${list.channel}: ${countsText(list.counts)}`
  if (list.hosts.length === 0) return `${head}\n`
  const shown = list.hosts.slice(0, limit)
  const table = fitTable(
    columns,
    shown.map((host) => row(host, nowMs)),
    style,
  )
  const more = list.hosts.length - shown.length
  return [head, table, ...(more === 0 ? [] : [`and ${more} more: --limit ${list.hosts.length} shows all`])].join('\n\n')
}

function countsText({ hosts, failing, late, silent, behind, rollout, drifting }: HostCounts): string {
  const kinds: readonly (readonly [number, string])[] = [
    [failing, 'failing'],
    [late, 'late'],
    [silent, 'silent'],
    [behind, 'behind'],
    [rollout, 'in the rollout'],
    [drifting, 'drifting'],
  ]
  const some = kinds.filter(([count]) => count > 0).map(([count, name]) => `${count} ${name}`)
  return [`${hosts} ${hosts === 1 ? 'host' : 'hosts'}`, ...some].join(', ')
}

const bundleStyles: Readonly<Record<BundleState, 'green' | 'cyan' | 'yellow' | 'dim'>> = {
  current: 'green',
  rollout: 'cyan',
  behind: 'yellow',
  unknown: 'dim',
}

function row(host: HostState, nowMs: number): Cell[] {
  const overdue = host.silent ? ' silent' : host.late ? ' late' : ''
  const seen = `${ageText(nowMs - Date.parse(host.lastSeen))}${overdue}`
  const drift = Object.entries(host.drift).map(([step, times]) => `${step} ${times}×`)
  return [
    host.host,
    overdue === '' ? seen : { text: seen, style: host.late ? 'red' : 'yellow' },
    { text: `${host.bundle.slice(0, 8)} ${host.bundleState}`.trim(), style: bundleStyles[host.bundleState] },
    String(host.serial),
    host.image === '' ? '-' : host.image,
    host.failures === 0
      ? '-'
      : {
          text: `${host.failures} of ${host.reports}${host.failing ? ' !' : ''}`,
          style: host.failing ? 'red' : 'yellow',
        },
    drift.length === 0 ? '-' : { text: drift.join(', '), style: 'yellow' },
    host.agentVersion,
    host.lastError,
  ]
}

/** `42 s`, `17 min`, `5 h`, `3 d`. */
function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`
}
