import type { StepProfile } from '../profile/model.ts'
import type { Step, When } from '../recipe/model.ts'
import { formatSeconds } from '../report/reporters.ts'
import { formatShare } from '../report/table.ts'
import { unreachable } from '../util/unreachable.ts'
import type { BakeReason, RuntimeReason } from './model.ts'

/** What a sentence about a decision is made from. */
export interface Grounds {
  readonly step: Step
  readonly profile: StepProfile | undefined
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
  const { step, profile, thresholdSeconds } = grounds
  const threshold = formatSeconds(thresholdSeconds)
  switch (reason) {
    case 'slow':
      return `${measured(profile)} reaches the threshold of ${threshold}`
    case 'quick':
      return `${measured(profile)} is below the threshold of ${threshold}`
    case 'needed':
      return `${listNames(grounds.neededBy)} ${grounds.neededBy.length === 1 ? 'needs' : 'need'} it; ${measured(profile)}`
    case 'forced':
      return `the recipe says bake: always; ${measured(profile)}`
    case 'when':
      return `${frequency[step.when]}${step.bake === 'always' ? ', so bake: always cannot apply' : ''}`
    case 'bake-never':
      return 'the recipe says bake: never'
    case 'needs-runtime':
      return `needs ${listNames(grounds.blockedBy)}, which cannot be baked${step.bake === 'always' ? ', so bake: always cannot apply' : ''}`
    case 'only-failures':
      return `failed in all ${profile?.failures ?? 0} cold boots that ran it`
    case 'not-measured':
      return 'not measured yet'
    default:
      return unreachable(reason)
  }
}

function measured(profile: StepProfile | undefined): string {
  if (profile?.wall === undefined) return 'not measured yet'
  const boots = profile.count === 1 ? '1 cold boot' : `${profile.count} cold boots`
  const share = profile.share === undefined ? '' : ` (${formatShare(profile.share)} of launch-to-ready)`
  return `median ${formatSeconds(profile.wall.median)} over ${boots}${share}`
}

function listNames(names: readonly string[]): string {
  const [first, second, third] = names
  if (names.length <= 1) return first ?? 'nothing'
  if (names.length === 2) return `${first} and ${second}`
  return names.length === 3 ? `${first}, ${second} and ${third}` : `${first}, ${second} and ${names.length - 2} more`
}
