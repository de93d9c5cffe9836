import { formatSeconds } from '../report/reporters.ts'
import { formatShare, renderTable, terminalStyle, type Cell, type Column, type TableStyle } from '../report/table.ts'
import type { Plan, PlannedStep, PlannedTuning, Prediction } from './model.ts'

const columns: readonly Column[] = [
  { header: 'STEP', narrow: 'cut' },
  { header: 'DECISION' },
  { header: 'MEDIAN', align: 'right' },
  { header: 'SHARE', align: 'right' },
  { header: 'WHY', narrow: 'wrap' },
]

/** The plan as text for a terminal or a file: decision and reason per step, the prediction, notes. */
export function renderPlan(plan: Plan, style: TableStyle = terminalStyle()): string {
  const baked = plan.steps.filter((step) => step.decision === 'bake').length
  const blocks = [
    `${plan.recipe}: ${baked} of ${plan.steps.length} steps to bake (threshold ${formatSeconds(plan.thresholdSeconds)})`,
  ]
  if (plan.steps.length > 0) blocks.push(renderTable(columns, plan.steps.map(stepRow), style))
  if (plan.tunings.length > 0) blocks.push(tuningText(plan.tunings))
  if (plan.prediction !== undefined) blocks.push(predictionText(plan.prediction))
  if (plan.notes.length > 0) blocks.push(plan.notes.map((note) => `note: ${note}`).join('\n'))
  blocks.push(`plan ${plan.planDigest.slice(0, 12)}`)
  return `${blocks.join('\n\n')}\n`
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

function tuningText(tunings: readonly PlannedTuning[]): string {
  const width = Math.max(...tunings.map(({ name }) => name.length))
  const lines = tunings.map(({ name, apply, why }) => `  ${name.padEnd(width)}  ${apply ? 'apply' : 'leave'}  ${why}`)
  return ['boot tuning:', ...lines].join('\n')
}

function predictionText(prediction: Prediction): string {
  const { unbakedSeconds, bakedSeconds, savingSeconds, residualSeconds } = prediction
  const share = unbakedSeconds > 0 ? ` (${formatShare(savingSeconds / unbakedSeconds)})` : ''
  const residual = residualSeconds > 0 ? `, ${formatSeconds(residualSeconds)} of it for finding baked steps done` : ''
  return [
    `launch-to-ready now:       ${formatSeconds(unbakedSeconds)}`,
    `launch-to-ready predicted: ${formatSeconds(bakedSeconds)}${residual}`,
    `saving:                    ${formatSeconds(savingSeconds)}${share}`,
  ].join('\n')
}
