import type { PlanDefaults } from '../config.ts'
import type { Profile, StepProfile } from '../profile/model.ts'
import type { Recipe, Step } from '../recipe/model.ts'
import { canonicalJson } from '../util/canonical-json.ts'
import { sha256 } from '../util/sha256.ts'
import { eligibilityOf, transitiveNeeds, type Eligibility } from './eligibility.ts'
import { explain } from './explain.ts'
import type { BakeReason, Plan, PlannedStep, PlannedTuning, Prediction, RuntimeReason } from './model.ts'

export interface PlanInput {
  readonly recipe: Recipe
  readonly profile: Profile
  readonly settings: PlanDefaults
  /** Digest of the base the bake would start from. */
  readonly base?: string
  /** Ways to make the image boot faster, decided already; none by default. */
  readonly tunings?: readonly PlannedTuning[]
}

/** What the agent takes to see that one step is stamped: a few forks of a shell, seconds. An estimate, no measurement. */
export const residualSecondsPerStep = 0.02

/**
 * Decides which steps to bake: those that the recipe forces and those whose median cold cost reaches the threshold, as
 * far as they are eligible, and all that these need. Pure: equal input gives an equal plan.
 */
export function makePlan(input: PlanInput): Plan {
  const { recipe, profile, settings, base, tunings = [] } = input
  const measured = new Map(profile.steps.map((step) => [step.digest, step]))
  const thresholdSeconds = thresholdOf(profile, settings)
  const decisions = decide(recipe, measured, thresholdSeconds)
  const steps = recipe.steps.map((step) =>
    plannedStep(step, measured.get(step.digest), decisions.get(step.name) as Decision, thresholdSeconds),
  )
  const baked = steps.filter((step) => step.decision === 'bake')
  const prediction = predict(profile, baked)
  const tuned = tunings.filter((tuning) => tuning.apply).map((tuning) => tuning.name)
  return {
    v: 1,
    recipe: recipe.name,
    ...(base === undefined ? {} : { base }),
    settings,
    thresholdSeconds,
    steps,
    tunings,
    ...(prediction === undefined ? {} : { prediction }),
    notes: notesOf(profile, baked, prediction),
    planDigest: sha256(
      canonicalJson({
        v: 1,
        base,
        steps: baked.map((step) => step.digest),
        ...(tuned.length === 0 ? {} : { tunings: tuned }),
      }),
    ),
  }
}

function thresholdOf(profile: Profile, settings: PlanDefaults): number {
  const launchToReady = profile.ready.allRan?.launchToReady.median ?? 0
  return Math.max(settings.minSavingSeconds, settings.minShare * launchToReady)
}

interface Decision {
  readonly reason: BakeReason | RuntimeReason
  readonly neededBy: readonly string[]
  readonly blockedBy: readonly string[]
}

function decide(
  recipe: Recipe,
  measured: ReadonlyMap<string, StepProfile>,
  thresholdSeconds: number,
): ReadonlyMap<string, Decision> {
  const byName = new Map(recipe.steps.map((step) => [step.name, step]))
  const eligibility = eligibilityOf(recipe.steps, measured)
  const decisions = new Map<string, Decision>()
  for (const step of recipe.steps) {
    const may = eligibility.get(step.name) as Eligibility
    decisions.set(
      step.name,
      may.eligible
        ? { reason: onItsOwn(step, measured.get(step.digest), thresholdSeconds), neededBy: [], blockedBy: [] }
        : { reason: may.reason, neededBy: [], blockedBy: may.blockedBy },
    )
  }
  const chosen = recipe.steps.filter((step) => isChosen(decisions.get(step.name)?.reason))
  for (const step of recipe.steps) {
    const neededBy = chosen
      .filter((other) => transitiveNeeds(other.name, byName).has(step.name))
      .map((other) => other.name)
    if (neededBy.length > 0 && !chosen.includes(step)) {
      // All needs of a chosen step are eligible, or it could not have been chosen.
      decisions.set(step.name, { reason: 'needed', neededBy, blockedBy: [] })
    }
  }
  return decisions
}

function onItsOwn(
  step: Step,
  profile: StepProfile | undefined,
  thresholdSeconds: number,
): 'forced' | 'slow' | 'quick' | 'not-measured' {
  if (step.bake === 'always') return 'forced'
  if (profile?.wall === undefined) return 'not-measured'
  return profile.wall.median >= thresholdSeconds ? 'slow' : 'quick'
}

function isChosen(reason: BakeReason | RuntimeReason | undefined): reason is 'forced' | 'slow' {
  return reason === 'forced' || reason === 'slow'
}

function plannedStep(
  step: Step,
  profile: StepProfile | undefined,
  decision: Decision,
  thresholdSeconds: number,
): PlannedStep {
  const { reason, neededBy, blockedBy } = decision
  const shared = {
    name: step.name,
    digest: step.digest,
    when: step.when,
    explanation: explain(reason, { step, profile, thresholdSeconds, neededBy, blockedBy }),
    ...(profile?.wall === undefined ? {} : { medianSeconds: profile.wall.median }),
    count: profile?.count ?? 0,
    ...(profile?.share === undefined ? {} : { share: profile.share }),
  }
  return reason === 'forced' || reason === 'slow' || reason === 'needed'
    ? { ...shared, decision: 'bake', reason, neededBy }
    : { ...shared, decision: 'runtime', reason, blockedBy }
}

function predict(profile: Profile, baked: readonly PlannedStep[]): Prediction | undefined {
  const { allRan } = profile.ready
  if (allRan === undefined) return undefined
  // Two steps with one digest share a stamp: the second never ran, so it saves nothing.
  const costs = new Map(baked.map((step) => [step.digest, step.medianSeconds ?? 0]))
  const residualSeconds = baked.length * residualSecondsPerStep
  const unbakedSeconds = allRan.launchToReady.median
  const rest = unbakedSeconds - [...costs.values()].reduce((sum, seconds) => sum + seconds, 0)
  const bakedSeconds = Math.max(0, rest) + residualSeconds
  return {
    unbakedSeconds,
    count: allRan.count,
    bakedSeconds,
    savingSeconds: unbakedSeconds - bakedSeconds,
    residualSeconds,
    current: allRan.current,
    fromPowerOn: allRan.firmwareSeconds !== undefined,
  }
}

function notesOf(
  profile: Profile,
  baked: readonly PlannedStep[],
  prediction: Prediction | undefined,
): readonly string[] {
  const notes: string[] = []
  if (prediction === undefined) {
    notes.push('no prediction: no boot in which all steps ran was measured')
  } else {
    if (profile.ready.allRan?.few === true) {
      notes.push(
        `few samples: launch-to-ready comes from ${prediction.count} cold boot${prediction.count === 1 ? '' : 's'}`,
      )
    }
    if (!prediction.current) {
      notes.push('launch-to-ready comes from boots of another version of the recipe; the prediction is rough')
    }
    if (!prediction.fromPowerOn) notes.push('firmware time is not known here and left out of launch-to-ready')
  }
  const unmeasured = baked.filter((step) => step.medianSeconds === undefined)
  if (unmeasured.length > 0) {
    notes.push(`the prediction leaves out what was not measured: ${unmeasured.map((step) => step.name).join(', ')}`)
  }
  if (profile.reports.failed > 0) {
    notes.push(`${profile.reports.failed} of ${profile.reports.cold} cold boots failed; they count only step by step`)
  }
  return notes
}
