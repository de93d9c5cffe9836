import type { Profile, StepProfile } from '../profile/model.ts'
import type { Recipe, Step } from '../recipe/model.ts'
import {
  changesOf,
  middle,
  overheadOf,
  secondsPerGiBOf,
  storedShareOf,
  type Changes,
  type Evidence,
} from './evidence.ts'
import type { CostModel, Figure, PlanSettings, StepCosts } from './model.ts'
import { assumed } from './settings.ts'

/** A step with all that its decision depends on. */
export interface Candidate {
  readonly step: Step
  /** Of this digest, else of the newest earlier one of that name. */
  readonly profile: StepProfile | undefined
  /** Median seconds; undefined where never measured. */
  readonly wallSeconds: number | undefined
  /** Median seconds from which on its saving counts; lower for what the image in force has. */
  readonly floorSeconds: number
  readonly costs: StepCosts
  /** Changes that begin with this step rather than with one it needs, a day. */
  readonly ownChangesPerDay: number
  /** Launch seconds that one launch gains on average where the step is baked: what reaches the floor, less bytes. */
  readonly gainPerLaunch: number
}

const secondsPerDay = 86_400
const GiB = 1024 ** 3

/** The model's numbers: settings before measurements, measurements before assumptions. */
export function costModel(
  profile: Profile,
  settings: PlanSettings,
  evidence: Evidence,
  execution: CostModel['execution'],
): CostModel {
  const recent = evidence.images.slice(-5)
  const known = (pick: (image: Evidence['images'][number]) => number | undefined) => {
    const values = recent.flatMap((image) => pick(image) ?? [])
    return values.length === 0 ? undefined : middle(values)
  }
  const { prices } = settings
  return {
    execution,
    launchesPerDay: launchesPerDay(profile, settings.launchesPerDay, evidence.launchesPerDay),
    secondsPerGiB: figure(
      settings.secondsPerGiB,
      secondsPerGiBOf(evidence.images, evidence.boots),
      assumed.secondsPerGiB,
    ),
    storedShare: figure(undefined, known(storedShareOf), assumed.storedShare),
    bakeOverheadSeconds: figure(undefined, known(overheadOf), assumed.bakeOverheadSeconds),
    rebakeSeconds: figure(settings.rebakeSeconds, undefined, assumed.rebakeSeconds),
    bakeWeight: figure(
      prices === undefined || prices.launchHour === 0 ? settings.bakeWeight : prices.bakeHour / prices.launchHour,
      undefined,
      assumed.bakeWeight,
    ),
  }
}

function figure(setting: number | undefined, measured: number | undefined, fallback: number): Figure {
  if (setting !== undefined) return { value: setting, source: 'setting' }
  return measured === undefined ? { value: fallback, source: 'assumed' } : { value: measured, source: 'measured' }
}

/** Cold boots a day. Less than a day of reports counts as a day, and then the number is no measurement. */
function launchesPerDay({ reports, from, to }: Profile, setting: number | undefined, late: number | undefined): Figure {
  if (setting !== undefined) return { value: setting, source: 'setting' }
  if (late !== undefined && late > 0) return { value: late, source: 'measured' }
  if (reports.cold === 0 || from === undefined || to === undefined) {
    return { value: assumed.launchesPerDay, source: 'assumed' }
  }
  const days = (to - from) / secondsPerDay
  return { value: reports.cold / Math.max(1, days), source: days >= 1 ? 'measured' : 'assumed' }
}

/** All steps with their costs, in the recipe's order. */
export function candidatesOf(
  recipe: Recipe,
  profile: Profile,
  settings: PlanSettings,
  evidence: Evidence,
  model: CostModel,
  floorOf: (step: Step, profile: StepProfile | undefined) => number,
): readonly Candidate[] {
  const images = evidence.inForce === undefined ? evidence.images : [...evidence.images, evidence.inForce]
  const changes = changesOf(recipe.steps, profile, images)
  const rates = new Map(recipe.steps.map((step) => [step.name, changesPerDay(changes.get(step.name))]))
  const seen = new Set<string>()
  return recipe.steps.map((step) => {
    const measured = profileOfStep(step, profile)
    // Two steps with one digest share a stamp: the second never runs, so it saves nothing.
    const twin = seen.has(step.digest)
    seen.add(step.digest)
    const rate = rates.get(step.name) as Figure
    const needed = step.needs.map((need) => rates.get(need)?.value ?? 0)
    return candidate({
      step,
      profile: measured,
      floorSeconds: floorOf(step, measured),
      wallSeconds: twin && measured?.wall !== undefined ? 0 : measured?.wall?.median,
      changesPerDay: rate,
      ownChangesPerDay: Math.max(0, rate.value - Math.max(0, ...needed)),
      residualSeconds: residualOf(step, evidence),
      settings,
      model,
    })
  })
}

/** Of this digest; where that has not been measured yet, of the newest earlier one that has: it tells more than nothing. */
export function profileOfStep(step: Step, profile: Profile): StepProfile | undefined {
  const own = profile.steps.find((each) => each.digest === step.digest)
  if (own !== undefined && (own.wall !== undefined || own.failures > 0)) return own
  return (
    profile.steps.find((each) => each.name === step.name && each.current !== true && each.wall !== undefined) ?? own
  )
}

interface CandidateInput extends Pick<
  Candidate,
  'step' | 'profile' | 'floorSeconds' | 'wallSeconds' | 'ownChangesPerDay'
> {
  readonly changesPerDay: Figure
  readonly residualSeconds: Figure
  readonly settings: PlanSettings
  readonly model: CostModel
}

function candidate(input: CandidateInput): Candidate {
  const { step, profile, wallSeconds, floorSeconds, changesPerDay: changes, ownChangesPerDay: own, model } = input
  const { residualSeconds, settings } = input
  const wall = wallSeconds ?? 0
  const savedSeconds = wall - residualSeconds.value
  const counted = (profile?.wall?.median ?? -1) >= floorSeconds ? savedSeconds : Math.min(0, savedSeconds)
  const grown = profile?.diskBytes?.median
  const imageBytes = grown === undefined ? undefined : Math.round(Math.max(0, grown) * model.storedShare.value)
  const freshShare = Math.exp(-changes.value * (model.rebakeSeconds.value / secondsPerDay))
  const gainPerLaunch = freshShare * counted - (model.secondsPerGiB.value * (imageBytes ?? 0)) / GiB
  const bakes = model.bakeWeight.value * (own * model.bakeOverheadSeconds.value + changes.value * wall)
  return {
    step,
    profile,
    wallSeconds,
    floorSeconds,
    ownChangesPerDay: own,
    gainPerLaunch,
    costs: {
      measured: profile?.wall === undefined ? 'never' : profile.digest === step.digest ? 'this-version' : 'earlier',
      savedSeconds,
      residualSeconds,
      ...(imageBytes === undefined ? {} : { imageBytes }),
      changesPerDay: changes,
      freshShare,
      gainPerDay: model.launchesPerDay.value * gainPerLaunch,
      costPerDay: bakes + storageSeconds(imageBytes ?? 0, settings),
    },
  }
}

/** What storage costs a day, as seconds of launch at the user's prices. */
function storageSeconds(bytes: number, { prices }: PlanSettings): number {
  if (prices === undefined || prices.launchHour === 0) return 0
  return ((bytes / GiB) * prices.storageGiBMonth * 3600) / (prices.launchHour * 30)
}

/** Gamma-Poisson: what was seen, and a prior that counts like half a change in fifteen days. */
function changesPerDay(changes: Changes | undefined): Figure {
  const { count, days } = changes ?? { count: 0, days: 0 }
  return {
    value: (count + assumed.priorChanges) / (days + assumed.priorDays),
    source: days >= 1 ? 'measured' : 'assumed',
  }
}

function residualOf(step: Step, { boots }: Evidence): Figure {
  const walls = boots.flatMap((boot) =>
    boot.steps.flatMap((each) =>
      // Where the agent does not time stamped steps, it reports no start either.
      each.name === step.name && each.outcome === 'stamped' && each.baked && each.startUptime > 0 ? [each.wall] : [],
    ),
  )
  return figure(undefined, walls.length < 3 ? undefined : middle(walls), assumed.residualSecondsPerStep)
}
