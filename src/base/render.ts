import { formatBytes } from '../report/reporters.ts'
import { renderTable } from '../report/table.ts'
import { ageInDays, type BaseFreshness, type PendingUpdates } from './freshness.ts'
import type { Base } from './model.ts'

/** A base with what is known of its age, as `--json` prints it. */
export type BaseWithFreshness = Base & { readonly freshness: BaseFreshness }

/** The bases in a table. */
export function renderBases(bases: readonly BaseWithFreshness[]): string {
  const columns = [
    { header: 'name' },
    { header: 'digest' },
    { header: 'size', align: 'right' as const },
    { header: 'disk', align: 'right' as const },
    { header: 'age', align: 'right' as const },
    { header: 'pending updates' },
    { header: 'boot' },
    { header: 'distribution' },
  ]
  const rows = bases.map((base) => [
    base.name,
    base.digest.slice(0, 12),
    formatBytes(base.sizeBytes),
    formatBytes(base.virtualSizeBytes),
    formatAge(base.freshness),
    formatPending(base.freshness.pending, Date.now()),
    base.boot?.join(', ') ?? 'unknown',
    base.distribution,
  ])
  return renderTable(columns, rows)
}

/** All that is known of one base. `now` is in milliseconds. */
export function renderBase(base: BaseWithFreshness, now: number): string {
  const { freshness, layout } = base
  const tooOld = freshness.tooOld ? `, more than base.maxAgeDays (${freshness.maxAgeDays})` : ''
  const lines = [
    `${base.name}  ${base.distribution}, ${formatBytes(base.sizeBytes)} (a disk of ${formatBytes(base.virtualSizeBytes)})`,
    `digest   ${base.digest}`,
    `file     ${base.path}`,
    ...(base.source === undefined ? [] : [`source   ${base.source}`]),
    `age      ${formatAge(freshness)} (${base.source === undefined ? 'built' : 'taken in'} ${base.builtAt})${tooOld}`,
    ...(base.packages === undefined ? [] : [`packages ${base.packages}`]),
    `boot     ${base.boot === undefined ? 'unknown' : base.boot.length === 0 ? 'no boot loader was found' : base.boot.join(', ')}`,
    `updates  ${formatPending(freshness.pending, now)}`,
  ]
  const updates = freshness.pending.known ? freshness.pending.updates : []
  const parts = [
    lines.join('\n'),
    ...(layout === undefined ? [] : [renderLayout(layout, base.rootPartition)]),
    ...(updates.length === 0 ? [] : [renderUpdates(updates)]),
  ]
  return parts.join('\n\n')
}

function renderLayout(layout: NonNullable<Base['layout']>, rootPartition: number | undefined): string {
  const columns = [
    { header: layout.table === 'none' ? 'no table' : layout.table.toUpperCase(), align: 'right' as const },
    { header: 'at', align: 'right' as const },
    { header: 'size', align: 'right' as const },
    { header: 'holds' },
    { header: 'label' },
    { header: 'file system UUID' },
  ]
  const rows = layout.partitions.map(({ number, startBytes, sizeBytes, role, fs }) => [
    String(number),
    formatBytes(startBytes),
    formatBytes(sizeBytes),
    `${fs?.type ?? '-'}, ${number === rootPartition ? 'root' : role}`,
    fs?.label ?? '',
    fs?.uuid ?? '',
  ])
  return renderTable(columns, rows)
}

function renderUpdates(updates: (PendingUpdates & { known: true })['updates']): string {
  const columns = [{ header: 'package' }, { header: 'installed' }, { header: 'available' }, { header: 'from' }]
  const rows = updates.map(({ name, installed, available, security }) => [
    name,
    installed,
    available,
    security ? 'security' : 'updates',
  ])
  return renderTable(columns, rows)
}

function formatAge({ ageDays }: BaseFreshness): string {
  return ageDays === undefined ? 'unknown' : ageDays === 1 ? '1 day' : `${ageDays} days`
}

/** `2 security, 5 others`, with the day of the look where it was not today. */
export function formatPending(pending: PendingUpdates, now: number): string {
  if (!pending.known) return `unknown: ${pending.why}`
  const security = pending.updates.filter((update) => update.security).length
  const others = pending.updates.length - security
  const days = ageInDays(pending.checkedAt, now)
  const when = days === 0 ? '' : ` (${days === 1 ? '1 day' : `${days} days`} ago)`
  return pending.updates.length === 0 ? `none${when}` : `${security} security, ${others} others${when}`
}
