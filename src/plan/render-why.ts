import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { formatShare, styled, terminalStyle, type TableStyle } from '../report/table.ts'
import { every, formatSigned } from './explain.ts'
import type { Figure, Plan, PlannedStep } from './model.ts'
import { listing } from './render.ts'
import { formatRate } from './sensitivity.ts'

const inForce = {
  'this-version': 'has this version',
  another: 'has another version',
  no: 'is without it',
} as const

/** All that decided about one step, as text for a terminal or a file. */
export function renderWhy(plan: Plan, step: PlannedStep, style: TableStyle = terminalStyle()): string {
  const decision = step.decision === 'bake' ? 'baked' : 'left to runtime'
  const blocks = [
    styled(`${step.name} is ${decision}: ${step.explanation}`, 'bold', style.colour),
    listing('measured', measuredRows(plan, step), style),
    listing('what baking it is worth', worthRows(plan, step), style),
  ]
  if (step.wouldChange !== undefined) blocks.push(`It ${step.wouldChange}.`)
  return `${blocks.join('\n\n')}\n`
}

function measuredRows(plan: Plan, { medianSeconds, count, share, costs, inForce: state }: PlannedStep): string[][] {
  const version = costs.measured === 'earlier' ? ', of its earlier version' : ''
  return [
    [
      'median',
      medianSeconds === undefined
        ? 'never measured'
        : `${formatSeconds(medianSeconds)} over ${count} cold boot${count === 1 ? '' : 's'}${version}`,
    ],
    ...(share === undefined ? [] : [['share', `${formatShare(share)} of launch-to-ready`]]),
    ['threshold', `${formatSeconds(plan.thresholdSeconds)} (plan.minSaving, plan.minShare)`],
    ['changes', `${every(costs.changesPerDay.value)}${source(costs.changesPerDay)}`],
    ...(state === undefined ? [] : [['image', `the one in force ${inForce[state]}`]]),
  ]
}

function worthRows({ model, settings }: Plan, { costs }: PlannedStep): string[][] {
  const net = costs.gainPerDay - costs.costPerDay
  const rows = [
    [
      'saves',
      `${formatSigned(costs.savedSeconds)} a launch; baked it takes ${formatSeconds(costs.residualSeconds.value)}${source(costs.residualSeconds)}`,
    ],
    ['fresh', `${formatShare(costs.freshShare)} of launches find the version that is baked`],
    ['size', costs.imageBytes === undefined ? 'not known' : `${formatBytes(costs.imageBytes)} in the image as stored`],
    [
      'gain',
      `${formatSigned(costs.gainPerDay)} a day at ${formatRate(model.launchesPerDay.value)}${source(model.launchesPerDay)}, less ${formatSeconds(model.secondsPerGiB.value)} per GiB${source(model.secondsPerGiB)}`,
    ],
    ['cost', `${formatSeconds(costs.costPerDay)} a day of bakes and storage, weighed against launches`],
  ]
  if (settings.objective === 'balanced') {
    rows.push(['balance', `${formatSigned(net)} a day by itself, without what it needs or what needs it`])
  }
  return rows
}

function source(figure: Figure): string {
  return figure.source === 'measured' ? '' : ` (${figure.source === 'setting' ? 'set' : 'assumed'})`
}
