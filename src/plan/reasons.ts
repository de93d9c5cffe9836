import { follow, usersOf } from './closure.ts'
import { bytesOf, worthOf, type Question } from './choose.ts'
import type { Candidate } from './costs.ts'
import type { BakeReason, RuntimeReason } from './model.ts'
import { assumed } from './settings.ts'

/** Why one candidate is baked or left. */
export type Reasoned =
  | { readonly decision: 'bake'; readonly reason: BakeReason; readonly neededBy: readonly string[] }
  | { readonly decision: 'runtime'; readonly reason: RuntimeReason }

/** What was chosen, and what would have been but for the image in force. */
export interface Chosen {
  readonly members: Uint8Array
  /** The best by the objective; the same unless the image in force was kept. */
  readonly best: Uint8Array
}

/** The reason for each candidate's decision, by index. */
export function reasonsOf(question: Question, chosen: Chosen): readonly Reasoned[] {
  const { candidates, needs, thresholdSeconds } = question
  const own = candidates.map((candidate, index) =>
    chosen.members[index] === 1 ? bakedFor(candidate, chosen.best[index] === 1, thresholdSeconds) : undefined,
  )
  const users = usersOf(needs)
  return candidates.map((candidate, index): Reasoned => {
    if (chosen.members[index] !== 1) return { decision: 'runtime', reason: leftFor(question, chosen, index) }
    const reason = own[index]
    if (reason === 'forced' || reason === 'slow') return { decision: 'bake', reason, neededBy: [] }
    const baked = follow(index, users).filter((user) => user !== index && own[user] !== undefined)
    const causes = baked.filter((user) => own[user] !== 'kept')
    if (reason === 'kept' && causes.length === 0) return { decision: 'bake', reason, neededBy: [] }
    const neededBy = baked.toSorted((a, b) => a - b).map((user) => (candidates[user] as Candidate).step.name)
    // What nobody needs and no threshold asks for has a digest that another baked step has too.
    return neededBy.length === 0
      ? { decision: 'bake', reason: 'kept', neededBy }
      : { decision: 'bake', reason: 'needed', neededBy }
  })
}

/** Why a step is baked for its own sake; undefined where only others need it. */
function bakedFor(
  { step, profile, floorSeconds }: Candidate,
  isBest: boolean,
  thresholdSeconds: number,
): 'forced' | 'slow' | 'kept' | undefined {
  if (step.bake === 'always') return 'forced'
  const median = profile?.wall?.median
  if (!isBest) return 'kept'
  if (median === undefined) return undefined
  if (median >= thresholdSeconds) return 'slow'
  return median >= floorSeconds ? 'kept' : undefined
}

function leftFor(question: Question, { members, best }: Chosen, index: number): RuntimeReason {
  const { candidates, settings } = question
  const { profile, floorSeconds, wallSeconds } = candidates[index] as Candidate
  if (wallSeconds === undefined || profile?.wall === undefined) return 'not-measured'
  if (best[index] === 1) return 'unsettled'
  if (profile.wall.median < floorSeconds) {
    // Only what has to clear a raised floor lies between the two.
    return floorSeconds > question.thresholdSeconds && profile.wall.median >= question.thresholdSeconds
      ? 'unsettled'
      : 'quick'
  }
  const part = follow(index, question.needs).filter((each) => members[each] === 0)
  const gain = (worth: readonly number[]) => part.reduce((sum, each) => sum + (worth[each] as number), 0)
  if (gain(worthOf(question)) > 0) {
    if (settings.objective === 'smallest' || settings.objective === 'target') return 'not-asked'
    return question.model.execution === 'parallel' ? 'not-worth' : 'no-room'
  }
  if (settings.objective !== 'balanced') return 'not-worth'
  // Seen to change, and more often than is assumed where nothing was seen.
  const changing = part.some((each) => {
    const { source, value } = (candidates[each] as Candidate).costs.changesPerDay
    return source === 'measured' && value > assumed.priorChanges / assumed.priorDays
  })
  return changing && gain(withoutChanges(question)) > 0 ? 'changes-often' : 'not-worth'
}

/** What each candidate would be worth if nothing ever changed. */
function withoutChanges({ candidates, model }: Question): readonly number[] {
  const bytes = bytesOf(candidates)
  return candidates.map(({ costs, gainPerLaunch }, index) => {
    const delay = (model.secondsPerGiB.value * (bytes[index] as number)) / 1024 ** 3
    const fresh = costs.freshShare > 0 ? (gainPerLaunch + delay) / costs.freshShare : costs.savedSeconds
    return model.launchesPerDay.value * (fresh - delay)
  })
}
