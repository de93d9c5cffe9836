import { boundedClosure, type BoundedProblem } from './bounded-closure.ts'
import { ClosureSolver, follow, reduceNeeds, sumOf, type Fixed, type Needs } from './closure.ts'
import type { Candidate } from './costs.ts'
import { criticalPathChoices, type ParallelChoice } from './critical-path.ts'
import type { CostModel, Optimum, PlanSettings } from './model.ts'
import { smallestShare } from './settings.ts'

/** The steps that may be baked, and what to choose them by. */
export interface Question {
  /** In the recipe's order; the needs of each are candidates too. */
  readonly candidates: readonly Candidate[]
  /** By index, as `needsOf` has it. */
  readonly needs: Needs
  readonly settings: PlanSettings
  readonly model: CostModel
  /** Median from which on a saving counts, before the image in force is considered. */
  readonly thresholdSeconds: number
  /** Seconds that the plan has to save for the target; undefined where it has none or nothing was measured. */
  readonly missingSeconds: number | undefined
  /** Only with `execution: 'parallel'`: by what a set of steps, by index, makes launches sooner ready. */
  readonly parallel?: ParallelQuestion
}

export interface ParallelQuestion {
  /** All steps of the recipe: seconds and needs by index; `candidate` is its place among the candidates, -1 for none. */
  readonly steps: readonly { readonly seconds: number; readonly needs: readonly number[]; readonly candidate: number }[]
}

export interface Choice {
  /** 1 for chosen candidates. */
  readonly members: Uint8Array
  readonly optimum: Optimum
  /** Where what was asked for cannot be had: why. */
  readonly shortfall?: 'target-out-of-reach' | 'forced-beyond-limit'
}

/** What each candidate is worth to the objective; the choice of greatest sum is the best where nothing limits it. */
export function worthOf({ candidates, settings }: Pick<Question, 'candidates' | 'settings'>): readonly number[] {
  return candidates.map(({ costs, gainPerLaunch }) => {
    switch (settings.objective) {
      case 'balanced':
        return costs.gainPerDay - costs.costPerDay
      case 'target':
        return costs.savedSeconds
      default:
        return gainPerLaunch
    }
  })
}

export function bytesOf(candidates: readonly Candidate[]): readonly number[] {
  return candidates.map(({ costs }) => costs.imageBytes ?? 0)
}

/** By index: the candidates that each needs, without those that follow from others. */
export function needsOf(candidates: readonly Pick<Candidate, 'step'>[]): Needs {
  const indexes = new Map(candidates.map(({ step }, index) => [step.name, index]))
  return reduceNeeds(candidates.map(({ step }) => step.needs.flatMap((need) => indexes.get(need) ?? [])))
}

/** The best set of steps to bake for the objective. Pure; equal questions have equal answers. */
export function choose(question: Question): Choice {
  const { candidates, model } = question
  const choice =
    model.execution === 'parallel' && question.parallel !== undefined
      ? chooseParallel(question, question.parallel)
      : chooseSerial(question)
  return { ...choice, members: withTwins(choice.members, candidates) }
}

const proved: Omit<Optimum, 'method'> = { exact: true, gap: 0 }

function chooseSerial(question: Question): Choice {
  const { candidates, settings, missingSeconds } = question
  const fixed = forcedOf(question)
  const worth = worthOf(question)
  switch (settings.objective) {
    case 'balanced':
    case 'fastest':
      return greatest(question, fixed, worth)
    case 'smallest': {
      const most = greatest(question, fixed, worth)
      return fewestBytes(question, fixed, worth, mostOf(sumOf(worth, most.members))) ?? most
    }
    case 'target': {
      const most = () => greatest(question, fixed, worth)
      if (missingSeconds === undefined) return most()
      const enough = fewestBytes(question, fixed, worth, missingSeconds)
      const limit = settings.maxImageGrowthBytes ?? Number.POSITIVE_INFINITY
      if (enough !== undefined && sumOf(bytesOf(candidates), enough.members) <= limit) return enough
      return { ...most(), shortfall: 'target-out-of-reach' }
    }
  }
}

/** What the objective `smallest` asks for; what is forced may cost more than it saves. */
function mostOf(best: number): number {
  return best - (1 - smallestShare) * Math.abs(best)
}

/** Greatest worth, within the limit on growth if there is one. */
function greatest({ candidates, needs, settings }: Question, fixed: Fixed, worth: readonly number[]): Choice {
  const free = new ClosureSolver(needs).solve(worth, fixed)
  const limit = settings.maxImageGrowthBytes
  if (limit === undefined || sumOf(bytesOf(candidates), free) <= limit) {
    return { members: free, optimum: { method: 'closure', ...proved } }
  }
  const values = wholeNumbers(worth)
  const costs = bytesOf(candidates).map((bytes) => Math.ceil(bytes / 1024))
  const found = solveBounded({ needs, fixed, values, costs, limit: Math.floor(limit / 1024) })
  if (found !== undefined) return found
  // What the recipe forces is beyond the limit by itself.
  const forced = new ClosureSolver(needs).solve(
    worth.map(() => -1),
    fixed,
  )
  return { members: forced, optimum: { method: 'bounded', ...proved }, shortfall: 'forced-beyond-limit' }
}

/** The fewest bytes that bring at least `wanted` of `gains`; undefined where nothing does. */
function fewestBytes(
  { candidates, needs }: Question,
  fixed: Fixed,
  gains: readonly number[],
  wanted: number,
): Choice | undefined {
  // In KiB, with one block for the stamp: of two choices with as many bytes, the one with fewer steps.
  const values = bytesOf(candidates).map((bytes) => -(Math.ceil(bytes / 1024) + 4))
  const micro = (seconds: number) => Math.floor(seconds * 1e6)
  const limit = -Math.ceil(wanted * 1e6 - gains.length)
  return solveBounded({ needs, fixed, values, costs: gains.map((gain) => -micro(gain)), limit })
}

function solveBounded(problem: BoundedProblem): Choice | undefined {
  const result = boundedClosure(problem)
  if (result === undefined) return undefined
  const { members, exact, value, bound } = result
  const gap = exact ? 0 : (bound - value) / Math.max(1, Math.abs(value))
  return { members, optimum: { method: 'bounded', exact, gap } }
}

/** Scaled to whole numbers whose sum stays far below what rounding hides. */
function wholeNumbers(values: readonly number[]): readonly number[] {
  const sum = values.reduce((total, value) => total + Math.abs(value), 0)
  return sum === 0 ? values : values.map((value) => Math.round((value / sum) * 1e9))
}

/** What the recipe forces, with what that needs. */
export function forcedOf({ candidates, needs }: Pick<Question, 'candidates' | 'needs'>): Fixed {
  const fixed = new Int8Array(candidates.length)
  for (const [index, { step }] of candidates.entries()) {
    if (step.bake === 'always') for (const each of follow(index, needs)) fixed[each] = 1
  }
  return fixed
}

/** Two steps with one digest share a stamp: what is baked for one is baked for the other. */
function withTwins(members: Uint8Array, candidates: readonly Candidate[]): Uint8Array {
  const digests = new Set(candidates.flatMap(({ step }, index) => (members[index] === 1 ? [step.digest] : [])))
  return Uint8Array.from(candidates, ({ step }) => (digests.has(step.digest) ? 1 : 0))
}

/** With steps side by side only so many choices can be best; the first of the best by the objective is taken. */
function chooseParallel(question: Question, parallel: ParallelQuestion): Choice {
  const { candidates, needs, settings, missingSeconds } = question
  const limit = settings.maxImageGrowthBytes ?? Number.POSITIVE_INFINITY
  const bytes = (members: Uint8Array) => sumOf(bytesOf(candidates), members)
  const all = criticalPathChoices(parallel, candidates, needs, forcedOf(question))
  const fitting = all.filter(({ members }) => bytes(members) <= limit)
  const optimum: Optimum = { method: 'critical-path', ...proved }
  const best = (choices: readonly ParallelChoice[], rank: (choice: ParallelChoice) => number) =>
    choices.reduce((a, b) => (rank(b) > rank(a) ? b : a))
  const [least] = all
  if (least === undefined) return { members: new Uint8Array(candidates.length), optimum }
  if (fitting.length === 0) return { members: least.members, optimum, shortfall: 'forced-beyond-limit' }
  const fastest = best(fitting, ({ savedSeconds }) => savedSeconds)
  const fewest = (wanted: number) => {
    const enough = fitting.filter(({ savedSeconds }) => savedSeconds >= wanted)
    return enough.length === 0 ? undefined : best(enough, ({ members }) => -bytes(members))
  }
  switch (settings.objective) {
    case 'balanced':
      return { members: best(fitting, (each) => parallelWorth(each, question)).members, optimum }
    case 'fastest':
      return { members: fastest.members, optimum }
    case 'smallest':
      return { members: (fewest(mostOf(fastest.savedSeconds)) ?? fastest).members, optimum }
    case 'target': {
      const enough = missingSeconds === undefined ? fastest : fewest(missingSeconds)
      return enough === undefined
        ? { members: fastest.members, optimum, shortfall: 'target-out-of-reach' }
        : { members: enough.members, optimum }
    }
  }
}

/** Seconds a day: what launches of wholly fresh images save, less bytes, bakes and storage. */
function parallelWorth({ members, savedSeconds }: ParallelChoice, { candidates, settings, model }: Question): number {
  const counted = savedSeconds >= settings.minSavingSeconds ? savedSeconds : Math.min(0, savedSeconds)
  const fresh = Math.exp(
    -sumOf(
      candidates.map(({ ownChangesPerDay }) => ownChangesPerDay),
      members,
    ) *
      (model.rebakeSeconds.value / 86_400),
  )
  const delay = (model.secondsPerGiB.value * sumOf(bytesOf(candidates), members)) / 1024 ** 3
  const costs = sumOf(
    candidates.map((each) => each.costs.costPerDay),
    members,
  )
  return model.launchesPerDay.value * (fresh * counted - delay) - costs
}
