import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { renderTable, terminalStyle, type Cell, type Column, type TableStyle } from '../report/table.ts'
import type { ListedState } from '../step-cache/prune.ts'
import type { Amount, CacheContent, Removed } from './cache.ts'

const stateColumns: readonly Column[] = [
  { header: 'state' },
  { header: 'base', narrow: 'cut' },
  { header: 'engine' },
  { header: 'step', narrow: 'cut' },
  { header: 'age', align: 'right' },
  { header: 'used', align: 'right' },
  { header: 'size', align: 'right' },
  { header: 'saves', align: 'right' },
  { header: 'used by', narrow: 'wrap' },
]

const amountColumns: readonly Column[] = [
  { header: 'what' },
  { header: 'how many', align: 'right' },
  { header: 'size', align: 'right' },
  { header: 'bound', align: 'right' },
]

/** The kept states, each below what it builds on, and how much there is of everything. */
export function renderCache(content: CacheContent, now: Date, style: TableStyle = terminalStyle()): string {
  const amounts = renderTable(
    amountColumns,
    [
      amountRow('kept states of bakes', content.steps),
      amountRow('packages', content.packages),
      amountRow('bases', content.bases),
      amountRow('bases, unpacked', content.unpackedBases),
      amountRow('images', content.images),
      amountRow('logs', content.logs),
      amountRow('revisions from git', content.revisions),
      amountRow('compiled commands', content.compiled),
      amountRow('findings of checks', content.findings),
    ],
    style,
  )
  const parts = [amounts, `in ${content.cacheDir}`]
  if (content.states.length > 0) {
    const depths = depthsOf(content.states)
    const rows = content.states.map((state) => stateRow(state, content, depths.get(state.entry.id) ?? 0, now))
    parts.unshift(renderTable(stateColumns, rows, style), '')
  }
  return parts.join('\n')
}

function stateRow(state: ListedState, content: CacheContent, depth: number, now: Date): readonly Cell[] {
  const { entry } = state
  return [
    entry.id,
    content.baseNames[entry.base] ?? { text: entry.base.slice(0, 12), style: 'dim' },
    entry.engine,
    `${'  '.repeat(depth)}${entry.stepName ?? 'booted base'}`,
    formatAge(now.getTime() - Date.parse(entry.createdAt)),
    formatAge(now.getTime() - Date.parse(state.usedAt)),
    formatBytes(entry.sizeBytes),
    formatSeconds(entry.seconds),
    usedBy(state),
  ]
}

function usedBy(state: ListedState): Cell {
  if (!state.trusted) return { text: 'nobody: lost with power', style: 'yellow' }
  const users = [
    ...(state.inUse ? ['a running bake'] : []),
    ...(state.children === 0 ? [] : [state.children === 1 ? '1 state' : `${state.children} states`]),
  ]
  return users.length === 0 ? { text: '-', style: 'dim' } : users.join(', ')
}

function depthsOf(states: readonly ListedState[]): ReadonlyMap<string, number> {
  const depths = new Map<string, number>()
  for (const { entry } of states) {
    depths.set(entry.id, entry.parent === null ? 0 : (depths.get(entry.parent) ?? -1) + 1)
  }
  return depths
}

function amountRow(what: string, { count, bytes, maxBytes }: Amount): readonly Cell[] {
  return [what, String(count), formatBytes(bytes), maxBytes === undefined ? '' : formatBytes(maxBytes)]
}

/** A span for people, in its largest unit: `40 s`, `12 min`, `5 h`, `3 d`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** What a prune did, or would do. */
export function renderRemoved(
  removed: readonly Removed[],
  dryRun: boolean,
  style: TableStyle = terminalStyle(),
): string {
  if (removed.length === 0) return 'nothing to remove'
  const kinds = {
    ...{ step: 'kept state', package: 'package', image: 'image', log: 'log', raw: 'base' },
    ...{ git: 'revision from git', compiled: 'compiled command', lint: 'findings' },
  } as const
  const rows = removed
    .filter(({ kind }) => kind !== 'package')
    .map(({ kind, name, bytes }) => [kinds[kind], name, formatBytes(bytes)])
  const packages = removed.filter(({ kind }) => kind === 'package')
  if (packages.length > 0)
    rows.push(['packages', packages.length === 1 ? '1 file' : `${packages.length} files`, formatBytes(sum(packages))])
  const columns: readonly Column[] = [
    { header: 'what' },
    { header: 'which', narrow: 'cut' },
    { header: 'size', align: 'right' },
  ]
  const verb = dryRun ? 'would free' : 'freed'
  return `${renderTable(columns, rows, style)}\n\n${verb} ${formatBytes(sum(removed))}`
}

function sum(removed: readonly Removed[]): number {
  return removed.reduce((total, { bytes }) => total + bytes, 0)
}
