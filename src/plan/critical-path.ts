import type { ParallelQuestion } from './choose.ts'
import { follow, inOrder, usersOf, type Fixed, type Needs } from './closure.ts'
import type { Candidate } from './costs.ts'

/** A set of steps to bake and by how much launches are sooner ready, steps running side by side. */
export interface ParallelChoice {
  readonly members: Uint8Array
  readonly savedSeconds: number
}

/**
 * The choices of which one is best, for any objective that grows with the time saved and falls with each further step.
 *
 * With steps side by side, what is not baked takes as long as the longest chain of needs through it. Baked steps have all
 * they need baked, so everything that needs an unbaked step is unbaked, and the longest chain from a step onwards, its
 * tail, is the same for each choice that leaves the step. Ready within t thus means: bake exactly the steps whose tail
 * exceeds t. Tails do not grow along needs, so these sets are closed, and nested: one per different tail.
 */
export function criticalPathChoices(
  { steps }: ParallelQuestion,
  candidates: readonly Candidate[],
  needs: Needs,
  forced: Fixed,
): readonly ParallelChoice[] {
  const tails = tailsOf(steps)
  const unbaked = Math.max(0, ...tails)
  const fixedTail = Math.max(
    0,
    ...steps.map(({ candidate }, index) => (candidate === -1 ? (tails[index] as number) : 0)),
  )
  const limits = [...new Set([unbaked, fixedTail, ...tails.filter((tail) => tail > fixedTail), 0])].toSorted(
    (a, b) => b - a,
  )
  const choices: ParallelChoice[] = []
  for (const limit of limits) {
    if (limit < fixedTail) break
    const members = Uint8Array.from(forced)
    for (const [index, { candidate }] of steps.entries()) {
      if (candidate === -1 || (tails[index] as number) <= limit) continue
      for (const each of follow(candidate, needs)) members[each] = 1
    }
    choices.push({ members, savedSeconds: unbaked - readyAfter(steps, members, tails, candidates) })
  }
  return choices
}

/** Seconds from each step's start to the end of the longest chain that needs it, its own included. */
function tailsOf(steps: ParallelQuestion['steps']): readonly number[] {
  const needs = steps.map((step) => step.needs)
  const users = usersOf(needs)
  const tails = steps.map(() => 0)
  for (const index of inOrder(needs).toReversed()) {
    const after = (users[index] ?? []).map((user) => tails[user] as number)
    tails[index] = (steps[index]?.seconds ?? 0) + Math.max(0, ...after)
  }
  return tails
}

/** By how much launches are sooner ready with these members baked. */
export function criticalSavings(
  { steps }: ParallelQuestion,
  candidates: readonly Candidate[],
  members: Uint8Array,
): number {
  const tails = tailsOf(steps)
  return Math.max(0, ...tails) - readyAfter(steps, members, tails, candidates)
}

function readyAfter(
  steps: ParallelQuestion['steps'],
  members: Uint8Array,
  tails: readonly number[],
  candidates: readonly Candidate[],
): number {
  let longest = 0
  let residual = 0
  for (const [index, { candidate }] of steps.entries()) {
    if (candidate !== -1 && members[candidate] === 1)
      residual += candidates[candidate]?.costs.residualSeconds.value ?? 0
    else longest = Math.max(longest, tails[index] as number)
  }
  return residual + longest
}
