import { formatSeconds } from '../report/reporters.ts'
import {
  formatShare,
  renderTable,
  styled,
  terminalStyle,
  type Cell,
  type CellStyle,
  type TableStyle,
} from '../report/table.ts'
import type { Comparison, GroupEvidence, RolloutStatus, Verdict } from './model.ts'
import type { Proportion } from './proportion.ts'
import type { RolloutChange } from './rollout.ts'

const verdictStyles: Readonly<Record<Verdict, CellStyle>> = { go: 'green', wait: 'yellow', halt: 'red', halted: 'red' }

/** A rollout, what its hosts report beside all others, and what would come next. */
export function renderRolloutStatus(status: RolloutStatus, style: TableStyle = terminalStyle()): string {
  const { recipe, channel, rollout, evidence, judgement } = status
  const tags = rollout.tags.length === 0 ? '' : ` and tags ${rollout.tags.join(', ')}`
  const head =
    `${recipe} ${channel}, serial ${status.serial}: rollout ${rollout.id} at ${rollout.percent} percent${tags}\n` +
    `since ${minutes(status.startedAt)}, channel changed ${minutes(status.changedAt)}`
  const table = renderTable(
    [
      { header: '' },
      { header: 'BUNDLE' },
      { header: 'HOSTS', align: 'right' },
      { header: 'FAILED' },
      { header: 'SILENT' },
      { header: 'LAUNCH-TO-READY', align: 'right' },
      { header: 'STEPS', align: 'right' },
    ],
    [
      groupRow(
        'rollout',
        rollout.bundle,
        evidence.rollout,
        evidence.launchToReady?.rollout,
        evidence.converge?.rollout,
      ),
      groupRow('others', status.bundle, evidence.rest, evidence.launchToReady?.rest, evidence.converge?.rest),
    ],
    style,
  )
  const failures = evidence.rollout.failures.map(({ host, error, steps }) => {
    const where = steps.length === 0 ? '' : ` in ${steps.join(', ')}`
    return `  ${host}${where}: ${error === '' ? 'failed' : error}`
  })
  const verdict = styled(judgement.verdict, verdictStyles[judgement.verdict], style.colour)
  return [
    head,
    table,
    ...(failures.length === 0 ? [] : [`failures in the rollout:\n${failures.join('\n')}`]),
    `${verdict}: ${judgement.reasons.join('; ')}\n${nextText(status)}`,
  ].join('\n\n')
}

/** What a change did or would do, in one line or two. */
export function renderRolloutChange({
  recipe,
  channel,
  serial,
  action,
  rollout,
  bundle,
  dryRun,
}: RolloutChange): string {
  const is = dryRun ? 'would be' : 'is'
  const tags = rollout === undefined || rollout.tags.length === 0 ? '' : ` and hosts tagged ${rollout.tags.join(', ')}`
  const text =
    action === 'finish'
      ? `all hosts get bundle ${bundle}`
      : rollout === undefined
        ? `no rollout any more; all hosts get bundle ${bundle}`
        : action === 'halt'
          ? `rollout ${rollout.id} is halted; its hosts go back to bundle ${bundle}`
          : `rollout ${rollout.id}: bundle ${rollout.bundle}\nfor ${rollout.percent} percent of hosts${tags}`
  return `${recipe} ${channel} ${is} at serial ${serial}: ${text}`
}

function groupRow(
  name: string,
  bundle: string,
  group: GroupEvidence,
  ready: Comparison['rest'] | undefined,
  converge: Comparison['rest'] | undefined,
): Cell[] {
  return [
    name,
    bundle.slice(0, 12),
    String(group.hosts),
    shareText(group.failed),
    shareText(group.silent),
    median(ready),
    median(converge),
  ]
}

function shareText(share: Proportion | undefined): Cell {
  if (share === undefined) return '-'
  const text = `${share.count} of ${share.of}, ${formatShare(share.low)} to ${formatShare(share.high)}`
  return share.count === 0 ? text : { text, style: 'yellow' }
}

function median(sample: Comparison['rest'] | undefined): string {
  return sample === undefined ? '-' : `${formatSeconds(sample.seconds)} (${sample.samples})`
}

function nextText({ recipe, judgement, next, rollout }: RolloutStatus): string {
  switch (judgement.verdict) {
    case 'go':
      return `next: parbake rollout advance ${recipe} --percent ${next ?? 100}`
    case 'halt':
      return `next: parbake rollout halt ${recipe}, which 'parbake rollout watch' does by itself`
    case 'halted':
      return `next: mend the recipe and start again, or end it: parbake rollout undo ${recipe}`
    case 'wait':
      return rollout.percent === 0 ? 'next: its tagged hosts report' : 'next: wait, or advance with --force'
  }
}

function minutes(iso: string): string {
  return `${iso.slice(0, 16).replace('T', ' ')} UTC`
}
