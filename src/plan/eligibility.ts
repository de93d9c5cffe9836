import type { Step } from '../recipe/model.ts'
import type { StepProfile } from '../profile/model.ts'
import { hostFactsOf } from '../steps/conditions.ts'
import { inOrder, reduceNeeds } from './closure.ts'
import type { RuntimeReason } from './model.ts'

/** Whether a step may be baked at all, whatever it costs. */
export type Eligibility =
  | { readonly eligible: true }
  | { readonly eligible: false; readonly reason: RuntimeReason; readonly blockedBy: readonly string[] }

/**
 * Eligibility of every step by name. Needs may come in any order; a need that is no step of the recipe, or that leads
 * back to itself, makes what needs it ineligible, since nobody could run it before.
 */
export function eligibilityOf(
  steps: readonly Step[],
  measured: ReadonlyMap<string, StepProfile>,
): ReadonlyMap<string, Eligibility> {
  const byName = new Map(steps.map((step) => [step.name, step]))
  const own = new Map(steps.map((step) => [step.name, ownReason(step, measured.get(step.digest))]))
  const isBlocker = (name: string) => !byName.has(name) || own.get(name) !== undefined
  const blocked = blockersInOrder(steps, isBlocker) ?? blockersAround(steps, byName, isBlocker)
  return new Map(
    steps.map((step, index): [string, Eligibility] => {
      const reason = own.get(step.name)
      const blockedBy = blocked[index] ?? []
      if (reason !== undefined) return [step.name, { eligible: false, reason, blockedBy: [] }]
      if (blockedBy.length === 0) return [step.name, { eligible: true }]
      return [step.name, { eligible: false, reason: 'needs-runtime', blockedBy }]
    }),
  )
}

/** By index: what of a step's direct and further needs blocks it. Undefined where needs lead in a circle. */
function blockersInOrder(
  steps: readonly Step[],
  isBlocker: (name: string) => boolean,
): readonly (readonly string[])[] | undefined {
  const indexes = new Map(steps.map((step, index) => [step.name, index]))
  const all = steps.map((step) => step.needs.flatMap((need) => indexes.get(need) ?? []))
  let order: readonly number[]
  try {
    order = inOrder(all)
  } catch {
    return undefined
  }
  const needs = reduceNeeds(all)
  const blocked: string[][] = steps.map(() => [])
  for (const index of order) {
    const direct = (steps[index]?.needs ?? []).filter((name) => isBlocker(name))
    const further = (needs[index] ?? []).flatMap((need) => blocked[need] ?? [])
    blocked[index] = [...new Set([...direct, ...further])]
  }
  return blocked
}

/** The same for recipes that nobody could run: each step by itself. */
function blockersAround(
  steps: readonly Step[],
  byName: ReadonlyMap<string, Step>,
  isBlocker: (name: string) => boolean,
): readonly (readonly string[])[] {
  return steps.map((step) => {
    const found = new Set<string>(step.needs)
    for (const name of found) for (const need of byName.get(name)?.needs ?? []) found.add(need)
    return [...found].filter((name) => name === step.name || isBlocker(name))
  })
}

function ownReason(step: Step, profile: StepProfile | undefined): RuntimeReason | undefined {
  if (step.when !== 'change') return 'when'
  if (step.bake === 'never') return 'bake-never'
  if (step.rendered.secrets !== undefined) return 'secret'
  if (hostFactsOf(step.rendered.conditions ?? []).length > 0) return 'condition'
  if (profile !== undefined && profile.count === 0 && profile.failures > 0) return 'only-failures'
  return undefined
}
