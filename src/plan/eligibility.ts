import type { Step } from '../recipe/model.ts'
import type { StepProfile } from '../profile/model.ts'
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
  const results = new Map<string, Eligibility>()
  for (const step of steps) {
    const own = ownReason(step, measured.get(step.digest))
    if (own !== undefined) {
      results.set(step.name, { eligible: false, reason: own, blockedBy: [] })
      continue
    }
    const blockedBy = [...transitiveNeeds(step.name, byName)].filter((name) => {
      const need = byName.get(name)
      return name === step.name || need === undefined || ownReason(need, measured.get(need.digest)) !== undefined
    })
    results.set(
      step.name,
      blockedBy.length === 0 ? { eligible: true } : { eligible: false, reason: 'needs-runtime', blockedBy },
    )
  }
  return results
}

/** Names of all steps that a step needs, directly or not, nearest first; itself only where it needs itself. */
export function transitiveNeeds(name: string, byName: ReadonlyMap<string, Step>): ReadonlySet<string> {
  const found = new Set<string>()
  const queue = [...(byName.get(name)?.needs ?? [])]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    if (!found.has(next)) {
      found.add(next)
      queue.push(...(byName.get(next)?.needs ?? []))
    }
  }
  return found
}

function ownReason(step: Step, profile: StepProfile | undefined): RuntimeReason | undefined {
  if (step.when !== 'change') return 'when'
  if (step.bake === 'never') return 'bake-never'
  if (profile !== undefined && profile.count === 0 && profile.failures > 0) return 'only-failures'
  return undefined
}
