import type { When } from '../recipe/model.ts'
import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { formatShare } from '../report/table.ts'
import { hostFactsOf } from '../steps/conditions.ts'
import { unreachable } from '../util/unreachable.ts'
import type { Candidate } from './costs.ts'
import type { BakeReason, PlanSettings, RuntimeReason } from './model.ts'

/** What a sentence about a decision is made from. */
export interface Grounds {
  readonly candidate: Candidate
  readonly settings: PlanSettings
  readonly thresholdSeconds: number
  readonly neededBy: readonly string[]
  readonly blockedBy: readonly string[]
}

const frequency: Readonly<Record<When, string>> = {
  change: 'runs when it changes',
  instance: 'runs once on every new instance',
  boot: 'runs at every boot',
  always: 'runs at every converge',
}

/** One sentence without a full stop that gives the numbers behind a decision. */
export function explain(reason: BakeReason | RuntimeReason, grounds: Grounds): string {
  const { candidate, settings, thresholdSeconds } = grounds
  const { step, profile } = candidate
  const threshold = `the threshold of ${formatSeconds(thresholdSeconds)}`
  const isForced = step.bake === 'always' ? ', so bake: always cannot apply' : ''
  switch (reason) {
    case 'slow':
      return thresholdSeconds > 0 ? `${measured(candidate)} reaches ${threshold}` : fully(candidate)
    case 'quick':
      return `${measured(candidate)} is below ${threshold}`
    case 'needed':
      return `${listNames(grounds.neededBy)} ${grounds.neededBy.length === 1 ? 'needs' : 'need'} it; ${measured(candidate)}`
    case 'kept':
      return `the image has it, and to leave it would gain too little or is not sure; ${measured(candidate)}`
    case 'unsettled':
      return `${measured(candidate)}, but the image is without it, and to add it would gain too little or is not sure`
    case 'forced':
      return `the recipe says bake: always; ${measured(candidate)}`
    case 'when':
      return `${frequency[step.when]}${isForced}`
    case 'bake-never':
      return step.runtimeOnly ?? 'the recipe says bake: never'
    case 'secret':
      return `it uses ${listNames(step.rendered.secrets ?? [])}, and no image may hold a secret${isForced}`
    case 'condition':
      return `its if asks for ${listNames(hostFactsOf(step.rendered.conditions ?? []))}, which a bake cannot know`
    case 'needs-runtime':
      return `needs ${listNames(grounds.blockedBy)}, which cannot be baked${isForced}`
    case 'only-failures':
      return `failed in all ${profile?.failures ?? 0} cold boots that ran it`
    case 'not-measured':
      return 'not measured yet'
    case 'changes-often':
      return `${measured(candidate)}, but it changes ${every(candidate.costs.changesPerDay.value)}: ${balance(candidate)}`
    case 'not-worth':
      return `${measured(candidate)}, but ${settings.objective === 'balanced' ? balance(candidate) : 'baking it saves nothing'}`
    case 'no-room':
      return `${measured(candidate)}, but its ${size(candidate)} do not fit into ${formatBytes(settings.maxImageGrowthBytes ?? 0)} beside what brings more`
    case 'not-asked':
      return `${measured(candidate)}, but ${settings.objective === 'target' ? `the target of ${formatSeconds(settings.targetSeconds ?? 0)} is reached` : 'nearly all is saved'} with fewer bytes`
    default:
      return unreachable(reason)
  }
}

/** `every 3 days`, `4 times a day`. */
export function every(perDay: number): string {
  if (perDay >= 1.5) return `${perDay < 9.95 ? perDay.toFixed(1).replace(/\.0$/, '') : Math.round(perDay)} times a day`
  const days = 1 / perDay
  if (days < 1.5) return 'every day'
  return `every ${days < 9.95 ? days.toFixed(1).replace(/\.0$/, '') : Math.round(days)} days`
}

function balance({ costs }: Candidate): string {
  return `it would gain ${formatSigned(costs.gainPerDay)} of launches a day and cost as much as ${formatSeconds(costs.costPerDay)}`
}

/** Seconds that may be negative. */
export function formatSigned(seconds: number): string {
  return seconds < 0 ? `-${formatSeconds(-seconds)}` : formatSeconds(seconds)
}

function fully(candidate: Candidate): string {
  return `${measured(candidate)}; baked it takes ${formatSeconds(candidate.costs.residualSeconds.value)}`
}

function size({ costs }: Candidate): string {
  return costs.imageBytes === undefined ? 'bytes' : formatBytes(costs.imageBytes)
}

function measured({ profile, costs }: Candidate): string {
  if (profile?.wall === undefined) return 'not measured yet'
  const boots = profile.count === 1 ? '1 cold boot' : `${profile.count} cold boots`
  const version = costs.measured === 'earlier' ? ' of its earlier version' : ''
  const share = profile.share === undefined ? '' : ` (${formatShare(profile.share)} of launch-to-ready)`
  return `median ${formatSeconds(profile.wall.median)} over ${boots}${version}${share}`
}

function listNames(names: readonly string[]): string {
  const [first, second, third] = names
  if (names.length <= 1) return first ?? 'nothing'
  if (names.length === 2) return `${first} and ${second}`
  return names.length === 3 ? `${first}, ${second} and ${third}` : `${first}, ${second} and ${names.length - 2} more`
}
