import { dirname } from 'node:path'
import { formatSeconds } from '../report/reporters.ts'
import { renderTable, styled, terminalStyle, type TableStyle } from '../report/table.ts'
import type { Difference } from './compare.ts'
import type { Explained } from './explain.ts'
import { kinds, type Kind } from './inventory.ts'
import type { Verification } from './verify.ts'

const titles: Readonly<Record<Kind, string>> = {
  file: 'files',
  package: 'packages',
  user: 'users',
  group: 'groups',
  unit: 'units',
  port: 'listening ports',
  sysctl: 'kernel settings',
  module: 'kernel modules',
}

/** More than this of one kind are counted, not shown; all are in the JSON. */
const shownPerKind = 40

/** The verification as text: what nothing explains first, then what was explained and by what, then the other proofs. */
export function renderVerification(result: Verification, style: TableStyle = terminalStyle()): string {
  const { explanation, identity, idempotence } = result
  const mark = (ok: boolean) => (ok ? styled('✓', 'green', style.colour) : styled('✗', 'red', style.colour))
  const counts = kinds
    .filter((kind) => result.compared[kind] > 0)
    .map((kind) => `${result.compared[kind]} ${titles[kind]}`)
  const left = explanation.unexplained.length
  return [
    `${result.recipe}: a host from ${result.base} against hosts from ${result.image} (${result.engine})`,
    `compared: ${counts.join(', ')}`,
    '',
    `${mark(left === 0)} equivalence: ${left === 0 ? 'nothing differs that is not explained' : `${count(left, 'difference')} that nothing explains`}`,
    ...renderUnexplained(explanation.unexplained),
    ...renderExplained(explanation.explained, style),
    ...explanation.unused.map(({ id, glob }) => `  ${id}: '${glob}' explains nothing here`),
    '',
    `${mark(identity.every(({ ok }) => ok))} identity: two launches of the image`,
    ...identity.map(({ name, ok, outcome, detail }) => `  ${mark(ok)} ${name} ${outcome}: ${detail}`),
    '',
    `${mark(idempotence.every(({ ok }) => ok))} idempotence: a second converge`,
    ...idempotence.map(
      ({ host, ok, findings }) => `  ${mark(ok)} ${host}: ${ok ? 'nothing to do' : findings.join('; ')}`,
    ),
    '',
    `took ${formatSeconds(result.seconds)}`,
    '',
  ].join('\n')
}

function renderUnexplained(differences: readonly Difference[]): readonly string[] {
  return kinds.flatMap((kind) => {
    const own = collapse(differences.filter((difference) => difference.kind === kind))
    if (own.length === 0) return []
    const hidden = own.length - shownPerKind
    return [
      `  ${titles[kind]}`,
      ...own.slice(0, shownPerKind).flatMap(renderDifference),
      ...(hidden > 0 ? [`    and ${hidden} more: see --json`] : []),
    ]
  })
}

interface Shown extends Difference {
  /** Things below it that only the same host has. */
  readonly below: number
}

/** A folder that only one host has stands for all that is in it. */
function collapse(differences: readonly Difference[]): readonly Shown[] {
  const alone = new Map<string, { side: 'base' | 'image'; below: number }>()
  for (const { kind, name, aspect, base } of differences) {
    if (kind === 'file' && aspect === 'existence')
      alone.set(name, { side: base === undefined ? 'image' : 'base', below: 0 })
  }
  const topOf = (name: string): string => {
    const parent = dirname(name)
    return parent !== name && alone.get(parent)?.side === alone.get(name)?.side ? topOf(parent) : name
  }
  for (const name of alone.keys()) {
    const top = alone.get(topOf(name))
    if (top !== undefined && topOf(name) !== name) top.below += 1
  }
  return differences
    .filter(({ name, aspect }) => aspect !== 'existence' || !alone.has(name) || topOf(name) === name)
    .map((difference) => ({
      ...difference,
      below: difference.aspect === 'existence' ? (alone.get(difference.name)?.below ?? 0) : 0,
    }))
}

function renderDifference({ name, aspect, base, image, below }: Shown): readonly string[] {
  if (aspect === 'existence') {
    const more = below === 0 ? '' : `, with ${below} below it`
    return [`    ${name}: only the host from the ${base === undefined ? 'image' : 'base'} has it${more}`]
  }
  return [`    ${name}: ${aspect}`, `      base:  ${short(base)}`, `      image: ${short(image)}`]
}

/** A digest is as good as whole when its beginning is shown; other values may have several lines. */
function short(value: string | undefined): string {
  const line = (value ?? '').replace(/sha256 ([0-9a-f]{12})[0-9a-f]+/, 'sha256 $1…').replaceAll('\n', ' | ')
  return line.length > 160 ? `${line.slice(0, 159)}…` : line
}

function renderExplained(explained: readonly Explained[], style: TableStyle): readonly string[] {
  if (explained.length === 0) return []
  const groups = new Map<string, { count: number; by: Explained['by'] }>()
  for (const { by } of explained) {
    const key = `${by.source} ${by.id}`
    groups.set(key, { by, count: (groups.get(key)?.count ?? 0) + 1 })
  }
  const rows = [...groups.values()].map(({ by, count: number }) => [String(number), by.id, by.reason])
  const table = renderTable(
    [{ header: 'N', align: 'right' }, { header: 'EXPLAINED BY' }, { header: 'REASON', narrow: 'wrap' }],
    rows,
    { ...style, ...(style.width === undefined ? {} : { width: style.width - 2 }) },
  )
  return ['', ...table.split('\n').map((line) => `  ${line}`)]
}

/** `1 difference`, `2 differences`. */
function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

/** What is wrong, in one sentence for stderr; undefined where all is well. */
export function verdict(result: Verification): string | undefined {
  const { explanation, identity, idempotence } = result
  const failures = [
    ...(explanation.unexplained.length > 0
      ? [`${count(explanation.unexplained.length, 'difference')} that nothing explains`]
      : []),
    ...identity.filter(({ ok }) => !ok).map(({ name, outcome }) => `${name} ${outcome}`),
    ...idempotence
      .filter(({ ok }) => !ok)
      .map(({ host }) => `a second converge of the host from the ${host} was not quiet`),
  ]
  return failures.length === 0
    ? undefined
    : `image ${result.image} of ${result.recipe} is not what runtime provisioning makes: ${failures.join('; ')}`
}
