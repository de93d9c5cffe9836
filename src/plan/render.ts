import { formatBytes, formatSeconds } from '../report/reporters.ts'
import {
  bar,
  formatShare,
  renderTable,
  styled,
  terminalStyle,
  type Cell,
  type Column,
  type TableStyle,
} from '../report/table.ts'
import { every, formatSigned } from './explain.ts'
import type { Difference, EarlierPrediction, Plan, PlannedStep, PlannedTuning, Prediction, Source } from './model.ts'
import { formatRate } from './sensitivity.ts'

const columns: readonly Column[] = [
  { header: 'STEP', narrow: 'cut' },
  { header: 'DECISION' },
  { header: 'MEDIAN', align: 'right' },
  { header: 'SHARE', align: 'right' },
  { header: 'WHY', narrow: 'wrap' },
]

/** Below this width the reasons get lines of their own, and there are no bars. */
const wide = 100

/** Label and text; the text gives way. */
const textColumns: readonly Column[] = [{ header: '' }, { header: '', narrow: 'wrap' }]

/** The plan as text for a terminal or a file: decision and reason per step, what it brings, the prediction, notes. */
export function renderPlan(plan: Plan, style: TableStyle = terminalStyle()): string {
  const blocks = [headline(plan)]
  if (plan.steps.length > 0) blocks.push(...decisionBlocks(plan.steps, style))
  const turning = plan.steps.flatMap(({ name, wouldChange }) =>
    wouldChange === undefined ? [] : [[name, wouldChange]],
  )
  if (turning.length > 0) blocks.push(listing('what would change it', turning, style))
  if (plan.tunings.length > 0) blocks.push(tuningText(plan.tunings, style))
  if (plan.steps.some((step) => step.decision === 'bake')) blocks.push(balanceText(plan, style))
  if (plan.prediction !== undefined) blocks.push(predictionText(plan.prediction, style))
  if (plan.earlier.length > 0) blocks.push(earlierText(plan.earlier, style))
  if (plan.inForce !== undefined) blocks.push(differenceText(plan.inForce, style))
  if (plan.notes.length > 0) {
    const notes = plan.notes.map((note) => ['note:', note])
    blocks.push(labelled(notes, style).join('\n'))
  }
  blocks.push(`plan ${plan.planDigest.slice(0, 12)}`)
  return `${blocks.join('\n\n')}\n`
}

function headline({ recipe, steps, settings, thresholdSeconds, optimum }: Plan): string {
  const baked = steps.filter((step) => step.decision === 'bake').length
  const target = settings.objective === 'target' ? ` ${formatSeconds(settings.targetSeconds ?? 0)}` : ''
  const bound = optimum.exact ? '' : `, at most ${formatShare(optimum.gap)} below the best`
  return `${recipe}: ${baked} of ${steps.length} steps to bake (${settings.objective}${target}, threshold ${formatSeconds(thresholdSeconds)}${bound})`
}

function decisionBlocks(steps: readonly PlannedStep[], style: TableStyle): readonly string[] {
  const rows = steps.map(stepRow)
  if (isWide(style)) return [renderTable(columns, rows, style)]
  const why = steps.map((step) => [step.name, step.explanation])
  return [renderTable(columns.slice(0, -1), rows, style), listing('why', why, style)]
}

function isWide({ width }: TableStyle): boolean {
  return width === undefined || width >= wide
}

function stepRow(step: PlannedStep): Cell[] {
  return [
    step.name,
    step.decision === 'bake' ? { text: 'bake', style: 'green' } : { text: 'runtime', style: 'dim' },
    step.medianSeconds === undefined ? '-' : formatSeconds(step.medianSeconds),
    step.share === undefined ? '-' : formatShare(step.share),
    step.explanation,
  ]
}

/** A title and labelled lines below it, indented. */
export function listing(title: string, rows: readonly (readonly Cell[])[], style: TableStyle): string {
  const indent = 2
  const inner = style.width === undefined ? style : { ...style, width: Math.max(20, style.width - indent) }
  const lines = labelled(rows, inner)
  return [styled(`${title}:`, 'bold', style.colour), ...lines.map((line) => ' '.repeat(indent) + line)].join('\n')
}

/** Labels and texts; long texts are wrapped beside their label. */
function labelled(rows: readonly (readonly Cell[])[], style: TableStyle): readonly string[] {
  // The table's own header has no text here.
  return renderTable(textColumns, rows, style).split('\n').slice(1)
}

function tuningText(tunings: readonly PlannedTuning[], style: TableStyle): string {
  const rows = tunings.map(({ name, apply, why }) => [name, `${apply ? 'apply' : 'leave'}  ${why}`])
  return listing('boot tuning', rows, style)
}

function balanceText({ economics, model, steps }: Plan, style: TableStyle): string {
  const { launchesPerDay, bakeOverheadSeconds } = model
  const changes = worstSource(steps.map((step) => step.costs.changesPerDay.source))
  const stale =
    economics.staleShare >= 0.0005 ? `; ${formatShare(economics.staleShare)} of launches find a step stale` : ''
  const bake =
    economics.bakesPerDay > 0 ? economics.bakeSecondsPerDay / economics.bakesPerDay : bakeOverheadSeconds.value
  const rows = [
    [
      'saves',
      `${formatSigned(economics.savedPerLaunch)} a launch, ${formatSigned(economics.savedPerDay)} a day at ${formatRate(launchesPerDay.value)}${hint(launchesPerDay.source)}`,
    ],
    [
      'costs',
      `${formatBytes(economics.imageBytes)} of image and a bake of ${formatSeconds(bake)} ${every(economics.bakesPerDay)}${hint(changes)}${stale}`,
    ],
  ]
  const { money } = economics
  if (money !== undefined) {
    const price = (amount: number) => `${amount.toFixed(2)} ${money.currency}`
    rows.push([
      'a month',
      `${price(money.savedPerMonth)} of launches saved; ${price(money.bakesPerMonth)} of bakes, ${price(money.storagePerMonth)} of storage`,
    ])
  }
  return listing('balance', rows, style)
}

function hint(source: Source): string {
  return source === 'assumed' ? ' (assumed)' : ''
}

function worstSource(sources: readonly Source[]): Source {
  return sources.includes('assumed') ? 'assumed' : 'measured'
}

function predictionText(prediction: Prediction, style: TableStyle): string {
  const { unbakedSeconds, bakedSeconds, savingSeconds, residualSeconds, interval } = prediction
  const share = unbakedSeconds > 0 ? ` (${formatShare(savingSeconds / unbakedSeconds)})` : ''
  const residual = residualSeconds > 0 ? `, ${formatSeconds(residualSeconds)} of it for finding baked steps done` : ''
  const drawn = (seconds: number) =>
    isWide(style) ? `${bar(unbakedSeconds > 0 ? seconds / unbakedSeconds : 0, 20)} ` : ''
  const boots = interval.samples === 1 ? '1 boot' : `${interval.samples} boots`
  const range = `${formatSeconds(interval.lowSeconds)} to ${formatSeconds(interval.highSeconds)}`
  const rows = [
    ['now', `${drawn(unbakedSeconds)}${formatSeconds(unbakedSeconds)}`],
    ['predicted', `${drawn(bakedSeconds)}${formatSeconds(bakedSeconds)}${residual}`],
    ['nine of ten', `${range} (${formulas[interval.formula]}, ${boots} ${bases[prediction.basis]})`],
    ['saving', `${formatSeconds(savingSeconds)}${share}`],
  ]
  return listing('launch-to-ready', rows, style)
}

const formulas = { 'student-t': "Student's t", empirical: 'as measured', assumed: 'spread assumed' } as const
const bases = { images: 'of an image', base: 'of the plain base', medians: "from the profile's medians" } as const

function earlierText(earlier: readonly EarlierPrediction[], style: TableStyle): string {
  const rows = earlier
    .slice(-5)
    .map(({ imageId, predictedSeconds, measuredSeconds, launches, error }) => [
      imageId,
      `predicted ${formatSeconds(predictedSeconds)}, measured ${formatSeconds(measuredSeconds)} (${error < 0 ? '-' : '+'}${formatShare(Math.abs(error))}; ${launches === 1 ? 'one launch' : `median of ${launches} launches`})`,
    ])
  return listing('earlier predictions', rows, style)
}

function differenceText({ imageId, added, removed, changed, kept }: Difference, style: TableStyle): string {
  const rows = [
    ...(added.length === 0 ? [] : [['adds', added.join(', ')]]),
    ...(removed.length === 0 ? [] : [['drops', removed.join(', ')]]),
    ...(changed.length === 0 ? [] : [['bakes anew', changed.join(', ')]]),
  ]
  const why = kept ? 'another choice would gain too little to bake anew' : 'the same steps'
  return listing(`against ${imageId}, in force`, rows.length === 0 ? [['stays', why]] : rows, style)
}
