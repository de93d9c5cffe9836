import type { PlanDefaults } from '../config.ts'
import type { Profile } from '../profile/model.ts'
import type { Recipe } from '../recipe/model.ts'
import { canonicalJson } from '../util/canonical-json.ts'
import { sha256 } from '../util/sha256.ts'
import { choose, forcedOf, needsOf, type Question } from './choose.ts'
import { candidatesOf, costModel, type Candidate } from './costs.ts'
import { criticalSavings } from './critical-path.ts'
import { differenceOf, economicsOf } from './economics.ts'
import { eligibilityOf, type Eligibility } from './eligibility.ts'
import { noEvidence, type Evidence, type PlanImage } from './evidence.ts'
import { explain } from './explain.ts'
import type { CostModel, Plan, PlannedStep, PlannedTuning, PlanSettings } from './model.ts'
import { notesOf } from './notes.ts'
import { earlierPredictions, predict, type PredictOptions } from './predict.ts'
import { reasonsOf, type Reasoned } from './reasons.ts'
import { whatWouldChange } from './sensitivity.ts'
import { stepsAtATime } from './schedule.ts'
import { planSettings } from './settings.ts'
import { floorFor, settled } from './stability.ts'

export interface PlanInput {
  readonly recipe: Recipe
  readonly profile: Profile
  readonly settings: PlanDefaults
  /** Digest of the base the bake would start from. */
  readonly base?: string
  /** Ways to make the image boot faster, decided already; none by default. */
  readonly tunings?: readonly PlannedTuning[]
  /** Boots one by one and the images baked before; nothing by default. */
  readonly evidence?: Evidence
  /** What savings are reckoned with; predictions go by the agent's own schedule either way. `serial` by default. */
  readonly execution?: CostModel['execution']
}

/**
 * Decides which steps to bake: the set that is best for the objective, of those that hold what the recipe forces and
 * whatever their members need, and no step that must not be baked. Pure: equal input gives an equal plan.
 */
export function makePlan(input: PlanInput): Plan {
  const { recipe, profile, base, tunings = [], evidence = noEvidence } = input
  const settings = planSettings(input.settings)
  const applied = tunings.filter((tuning) => tuning.apply).map((tuning) => tuning.name)
  const model = costModel(profile, settings, evidence, input.execution ?? 'serial')
  const thresholdSeconds = thresholdOf(profile, settings)
  const inForce = usable(evidence.inForce, base)
  const floor = floorFor(thresholdSeconds, inForce)
  const all = candidatesOf(recipe, profile, settings, evidence, model, floor)
  const eligibility = eligibilityOf(recipe.steps, new Map(profile.steps.map((step) => [step.digest, step])))
  const candidates = all.filter(({ step }) => eligibility.get(step.name)?.eligible === true)
  const foretell: PredictOptions = { tunings: applied, atATime: (cpus) => stepsAtATime(recipe, cpus) }
  const unbaked = predict(profile, all, new Set(), evidence.boots, foretell)?.bakedSeconds
  const question = questionOf({ all, candidates, settings, model, thresholdSeconds }, unbaked)
  const best = choose(question)
  const kept = inForce === undefined ? undefined : settled(question, best, inForce)
  const members = kept ?? best.members
  const steps = plannedSteps(question, { members, best: best.members }, all, eligibility, evidence)
  const chosen = candidates.filter((_, index) => members[index] === 1)
  const baked = new Set(chosen.map(({ step }) => step.name))
  const saved = question.parallel && criticalSavings(question.parallel, candidates, members)
  const prediction = predict(profile, all, baked, evidence.boots, { ...foretell, criticalSaving: saved })
  return {
    v: 1,
    recipe: recipe.name,
    ...(base === undefined ? {} : { base }),
    settings,
    model,
    optimum: best.optimum,
    thresholdSeconds,
    steps,
    tunings,
    economics: economicsOf(chosen, model, settings, saved),
    ...(prediction === undefined ? {} : { prediction }),
    earlier: earlierPredictions(evidence.images),
    ...(evidence.inForce === undefined ? {} : { inForce: differenceOf(steps, evidence.inForce, kept !== undefined) }),
    notes: notesOf({ profile, steps, settings, prediction, shortfall: best.shortfall }),
    planDigest: digestOf(steps, tunings, base),
  }
}

/** An image of another base is to be baked anew whatever its steps. */
function usable(inForce: PlanImage | undefined, base: string | undefined): PlanImage | undefined {
  return base === undefined || inForce?.base.digest === base ? inForce : undefined
}

function thresholdOf(profile: Profile, settings: PlanSettings): number {
  const launchToReady = profile.ready.allRan?.launchToReady.median ?? 0
  return Math.max(settings.minSavingSeconds, settings.minShare * launchToReady)
}

function questionOf(
  known: Pick<Question, 'candidates' | 'settings' | 'model' | 'thresholdSeconds'> & {
    readonly all: readonly Candidate[]
  },
  unbaked: number | undefined,
): Question {
  const { all, candidates, settings, model, thresholdSeconds } = known
  const places = new Map(candidates.map(({ step }, index) => [step.name, index]))
  const indexes = new Map(all.map(({ step }, index) => [step.name, index]))
  return {
    ...{ candidates, settings, model, thresholdSeconds },
    needs: needsOf(candidates),
    missingSeconds:
      unbaked === undefined || settings.targetSeconds === undefined ? undefined : unbaked - settings.targetSeconds,
    ...(model.execution === 'parallel' && {
      parallel: {
        steps: all.map(({ step, wallSeconds }) => ({
          seconds: wallSeconds ?? 0,
          needs: step.needs.flatMap((need) => indexes.get(need) ?? []),
          candidate: places.get(step.name) ?? -1,
        })),
      },
    }),
  }
}

function plannedSteps(
  question: Question,
  chosen: { readonly members: Uint8Array; readonly best: Uint8Array },
  all: readonly Candidate[],
  eligibility: ReadonlyMap<string, Eligibility>,
  { inForce }: Evidence,
): readonly PlannedStep[] {
  const { candidates } = question
  const reasons = reasonsOf(question, chosen)
  const changes = whatWouldChange(question, chosen.members, reasons, forcedOf(question))
  const places = new Map(candidates.map(({ step }, index) => [step.name, index]))
  const before = inForce && new Map<string, string>(inForce.steps.map((step) => [step.name, step.digest]))
  return all.map((candidate) => {
    const { step } = candidate
    const place = places.get(step.name)
    const may = eligibility.get(step.name)
    const reasoned: Reasoned =
      place === undefined
        ? { decision: 'runtime', reason: may?.eligible === false ? may.reason : 'not-measured' }
        : (reasons[place] as Reasoned)
    const blockedBy = may?.eligible === false ? may.blockedBy : []
    return plannedStep(candidate, reasoned, blockedBy, {
      question,
      ...(place !== undefined && changes[place] !== undefined && { wouldChange: changes[place] }),
      ...(before !== undefined && { inForce: stateInForce(before.get(step.name), step.digest) }),
    })
  })
}

function stateInForce(before: string | undefined, now: string): NonNullable<PlannedStep['inForce']> {
  return before === undefined ? 'no' : before === now ? 'this-version' : 'another'
}

function plannedStep(
  candidate: Candidate,
  reasoned: Reasoned,
  blockedBy: readonly string[],
  more: Pick<PlannedStep, 'wouldChange' | 'inForce'> & { readonly question: Question },
): PlannedStep {
  const { step, profile, costs } = candidate
  const { question, ...optional } = more
  const { settings, thresholdSeconds } = question
  const neededBy = reasoned.decision === 'bake' ? reasoned.neededBy : []
  const shared = {
    name: step.name,
    digest: step.digest,
    when: step.when,
    explanation: explain(reasoned.reason, { candidate, settings, thresholdSeconds, neededBy, blockedBy }),
    ...optional,
    ...(profile?.wall === undefined ? {} : { medianSeconds: profile.wall.median }),
    count: profile?.count ?? 0,
    ...(profile?.share === undefined ? {} : { share: profile.share }),
    costs,
  }
  return reasoned.decision === 'bake'
    ? { ...shared, decision: 'bake', reason: reasoned.reason, neededBy }
    : { ...shared, decision: 'runtime', reason: reasoned.reason, blockedBy }
}

function digestOf(steps: readonly PlannedStep[], tunings: readonly PlannedTuning[], base: string | undefined): string {
  const tuned = tunings.filter((tuning) => tuning.apply).map((tuning) => tuning.name)
  return sha256(
    canonicalJson({
      v: 1,
      base,
      steps: steps.filter((step) => step.decision === 'bake').map((step) => step.digest),
      ...(tuned.length === 0 ? {} : { tunings: tuned }),
    }),
  )
}
