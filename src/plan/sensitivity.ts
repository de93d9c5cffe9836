import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { bytesOf, type Question } from './choose.ts'
import { ClosureSolver, follow, sumOf, type Fixed } from './closure.ts'
import type { Candidate } from './costs.ts'
import type { PlannedStep } from './model.ts'

/** Beyond this many steps the launches a day at which decisions turn are not looked for. */
const mostSteps = 500
/** How far around the launches a day of now, in powers of two. */
const reach = 12

/** The decision that a sentence is about. */
export type Decided = Pick<PlannedStep, 'decision' | 'reason'>

/** For each candidate: what would turn the decision, as a sentence without a full stop; absent where nothing would. */
export function whatWouldChange(
  question: Question,
  members: Uint8Array,
  decided: readonly Decided[],
  forced: Fixed,
): readonly (string | undefined)[] {
  const { candidates, settings, model, thresholdSeconds } = question
  const turns =
    settings.objective === 'balanced' &&
    model.execution === 'serial' &&
    settings.maxImageGrowthBytes === undefined &&
    candidates.length <= mostSteps
      ? turningPoints(question, forced)
      : []
  return candidates.map((candidate, index) => {
    const { decision, reason } = decided[index] as Decided
    switch (reason) {
      case 'forced':
        return "would be decided on its merits without 'bake: always'"
      case 'quick':
      case 'unsettled':
        return candidate.wallSeconds === undefined
          ? undefined
          : `would be baked from a median of ${formatSeconds(Math.max(candidate.floorSeconds, thresholdSeconds))}`
      case 'no-room':
        return roomFor(question, members, index)
      case 'not-asked':
        return 'would be considered by objective fastest or balanced'
      case 'changes-often':
        return [turnText(decision, turns[index]), rateText(candidate, question)].filter(Boolean).join(', or ')
      default:
        return decision === 'bake' || reason === 'not-worth' ? turnText(decision, turns[index]) : undefined
    }
  })
}

/** Launches a day next to those of now at which a step's decision turns, by index; undefined where it does not. */
export function turningPoints(question: Question, forced: Fixed): readonly (number | undefined)[] {
  const { candidates, needs, model } = question
  const solver = new ClosureSolver(needs)
  const known = new Map<number, Uint8Array>()
  const at = (launchesPerDay: number): Uint8Array => {
    const found =
      known.get(launchesPerDay) ??
      solver.solve(
        candidates.map(({ gainPerLaunch, costs }) => launchesPerDay * gainPerLaunch - costs.costPerDay),
        forced,
      )
    known.set(launchesPerDay, found)
    return found
  }
  const now = Math.max(model.launchesPerDay.value, 1e-3)
  const here = at(now)
  return candidates.map((_, index) => {
    // What is baked is left when there are fewer launches, and the other way round.
    const factor = here[index] === 1 ? 0.5 : 2
    for (let step = 1, near = now; step <= reach; step += 1) {
      const far = near * factor
      if (at(far)[index] !== here[index]) return bisect(near, far, (rate) => at(rate)[index] === here[index])
      near = far
    }
    return undefined
  })
}

/** Between `same`, where the decision is still the same, and `other`, where it is not, to a hundredth. */
function bisect(same: number, other: number, isSame: (rate: number) => boolean): number {
  let [near, far] = [same, other]
  for (let step = 0; step < 12; step += 1) {
    const middle = Math.sqrt(near * far)
    if (isSame(middle)) near = middle
    else far = middle
  }
  return far
}

function turnText(decision: PlannedStep['decision'], rate: number | undefined): string | undefined {
  if (rate === undefined) return undefined
  return decision === 'bake' ? `would be left below ${formatRate(rate)}` : `would be baked above ${formatRate(rate)}`
}

/** `12 launches a day`, `one launch in 3 days`. */
export function formatRate(perDay: number): string {
  if (perDay >= 0.95) {
    const rounded = perDay < 9.95 ? perDay.toFixed(1).replace(/\.0$/, '') : String(Math.round(perDay))
    return rounded === '1' ? '1 launch a day' : `${rounded} launches a day`
  }
  return `one launch in ${formatNumber(1 / perDay)} days`
}

function formatNumber(value: number): string {
  return value < 9.95 ? value.toFixed(1).replace(/\.0$/, '') : String(Math.round(value))
}

function roomFor(question: Question, members: Uint8Array, index: number): string {
  const { candidates, needs, settings } = question
  const bytes = bytesOf(candidates)
  const part = follow(index, needs).filter((each) => members[each] === 0)
  const room = (settings.maxImageGrowthBytes ?? 0) - sumOf(bytes, members)
  const more = part.reduce((sum, each) => sum + (bytes[each] as number), 0) - room
  return more > 0
    ? `would fit beside the others with ${formatBytes(more)} more of plan.maxImageGrowth`
    : 'would fit in place of others that bring more'
}

/** The rate of change below which the step would pay for itself, the steps that it needs being baked anyway. */
function rateText(candidate: Candidate, { model }: Question): string | undefined {
  const { costs, wallSeconds = 0 } = candidate
  const pays = (perDay: number) => {
    const fresh = Math.exp(-perDay * (model.rebakeSeconds.value / 86_400))
    const own = (candidate.ownChangesPerDay / costs.changesPerDay.value) * perDay
    const bakes = model.bakeWeight.value * (own * model.bakeOverheadSeconds.value + perDay * wallSeconds)
    return model.launchesPerDay.value * fresh * costs.savedSeconds > bakes
  }
  if (!pays(costs.changesPerDay.value / 2 ** 20)) return undefined
  let [low, high] = [costs.changesPerDay.value / 2 ** 20, costs.changesPerDay.value]
  for (let step = 0; step < 40; step += 1) {
    const middle = Math.sqrt(low * high)
    if (pays(middle)) low = middle
    else high = middle
  }
  return `would be baked with less than ${low >= 1 ? `${formatNumber(low)} changes a day` : `a change in ${formatNumber(1 / low)} days`}`
}
