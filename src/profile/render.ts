import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { bar, formatShare, terminalStyle, type Cell, type TableStyle } from '../report/table.ts'
import { fitTable, textOf, type FitColumn } from './fit-table.ts'
import type { Profile, ReadyProfile, StepProfile } from './model.ts'

/** Steps that the recipe has no more, newest first, are shown up to this many. */
const maxOld = 8

const stepColumns: readonly FitColumn[] = [
  { header: 'STEP', narrow: 'cut' },
  { header: 'WHEN', drop: 6 },
  { header: 'COUNT', align: 'right' },
  { header: 'MEDIAN', align: 'right' },
  { header: 'P95', align: 'right', drop: 2 },
  { header: 'SHARE', align: 'right', drop: 1 },
  { header: '', drop: 4 },
  { header: 'CPU', align: 'right', drop: 5 },
  { header: 'RECEIVED', align: 'right', drop: 8 },
  { header: 'DISK', align: 'right', drop: 7 },
  { header: 'FAILED', align: 'right', drop: 3 },
]

const readyColumns: readonly FitColumn[] = [
  { header: 'LAUNCH TO READY', narrow: 'cut' },
  { header: 'COUNT', align: 'right' },
  { header: 'MEDIAN', align: 'right' },
  { header: 'P95', align: 'right', drop: 1 },
  { header: 'FIRMWARE', align: 'right', drop: 2 },
]

/** The profile as text for a terminal or a file: steps, launch-to-ready per image, failed boots. */
export function renderProfile(profile: Profile, style: TableStyle = terminalStyle()): string {
  const blocks = [summaryOf(profile)]
  const old = profile.steps.filter((step) => step.current === false)
  const shown = profile.steps.filter((step) => step.current !== false || old.indexOf(step) < maxOld)
  if (shown.length > 0) blocks.push(fitTable(stepColumns, shown.map(stepRow), style))
  const groups = [
    row('all steps ran', profile.ready.allRan),
    row('some steps baked', profile.ready.someBaked),
    ...profile.ready.images.map((image) => row(imageLabel(image.image), image)),
  ].flat()
  if (groups.length > 0) blocks.push(fitTable(readyColumns, groups, style))
  blocks.push(...legendOf(profile, old.length))
  return `${blocks.join('\n\n')}\n`
}

function summaryOf(profile: Profile): string {
  const { cold, fleet, failed } = profile.reports
  const period =
    profile.from === undefined || profile.to === undefined ? '' : `, ${day(profile.from)} to ${day(profile.to)}`
  const boots = cold === 1 ? '1 cold boot' : `${cold} cold boots`
  return `${profile.recipe}: ${boots} (${failed} failed) in ${fleet === 1 ? '1 report' : `${fleet} reports`}${period}`
}

function day(unixSeconds: number): string {
  return `${new Date(unixSeconds * 1000).toISOString().slice(0, 16).replace('T', ' ')}Z`
}

function stepRow(step: StepProfile): Cell[] {
  const cells: Cell[] = [
    step.current === false ? `${step.name} (old ${step.digest.slice(0, 8)})` : step.name,
    step.when,
    counted(step),
    step.wall === undefined ? '-' : formatSeconds(step.wall.median),
    step.wall === undefined ? '-' : formatSeconds(step.wall.p95),
    step.share === undefined ? '-' : formatShare(step.share),
    { text: step.share === undefined ? '' : bar(step.share, 8), style: 'cyan' },
    step.cpu === undefined ? '-' : formatSeconds(step.cpu.median),
    step.rxBytes === undefined ? '-' : formatBytes(step.rxBytes.median),
    step.diskBytes === undefined ? '-' : formatBytes(step.diskBytes.median),
    step.failures === 0 ? '-' : String(step.failures),
  ]
  if (step.current === false) return cells.map((cell) => ({ text: textOf(cell), style: 'dim' }))
  return step.failures === 0 ? cells : [...cells.slice(0, -1), { text: String(step.failures), style: 'red' }]
}

/** Few samples are shown as few. */
export function counted({ count, few }: { readonly count: number; readonly few: boolean }): Cell {
  return few ? { text: `${count}*`, style: 'yellow' } : String(count)
}

function row(label: string, ready: ReadyProfile | undefined): Cell[][] {
  if (ready === undefined) return []
  const old = ready.current ? '' : ' (other version)'
  return [
    [
      `${label}${old}`,
      counted(ready),
      formatSeconds(ready.launchToReady.median),
      formatSeconds(ready.launchToReady.p95),
      ready.firmwareSeconds === undefined ? 'not known' : formatSeconds(ready.firmwareSeconds),
    ],
  ]
}

function imageLabel(image: string | undefined): string {
  return image === undefined || image === '' ? 'on the plain base' : `on image ${image}`
}

function legendOf(profile: Profile, old: number): string[] {
  const lines: string[] = []
  if (old > maxOld) lines.push(`${old - maxOld} older steps that the recipe has no more: --json shows them`)
  if (profile.relativeError !== undefined) {
    lines.push(`medians and percentiles are within ${formatShare(profile.relativeError)} of the exact ones`)
  }
  const { allRan, someBaked, images } = profile.ready
  if (profile.steps.some((step) => step.few) || [allRan, someBaked, ...images].some((ready) => ready?.few === true)) {
    lines.push('* fewer than 3 samples: take the figure as a hint')
  }
  for (const boot of profile.failedBoots.slice(-5)) {
    const where = boot.steps.length === 0 ? '' : ` in ${boot.steps.join(', ')}`
    lines.push(`failed: run ${boot.run} on ${boot.host}${where}${boot.error === '' ? '' : `: ${boot.error}`}`)
  }
  // Hosts chose these words.
  return lines.length === 0 ? [] : [lines.map((line) => line.replaceAll(/\p{Cc}+/gu, ' ')).join('\n')]
}
