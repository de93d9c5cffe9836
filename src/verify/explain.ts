import type { Difference } from './compare.ts'
import { globPattern } from './glob.ts'
import type { Aspect, Kind } from './inventory.ts'

/** A kind of difference that is known and meant. */
export interface Allowance {
  /** Names it in reports. */
  readonly id: string
  readonly kind: Kind
  /** Which things, as src/verify/glob.ts reads it. */
  readonly glob: string
  /** What may differ about them; left out: anything. */
  readonly aspects?: readonly Aspect[]
  /** Things that only this system has; left out: either. Says something about `existence` only. */
  readonly only?: 'base' | 'image'
  /** Why the systems are still equal. */
  readonly reason: string
  /** Who says so. */
  readonly source: 'built-in' | 'recipe'
}

export interface Explained {
  readonly difference: Difference
  readonly by: { readonly id: string; readonly source: Allowance['source'] | 'launches'; readonly reason: string }
}

export interface Explanation {
  readonly unexplained: readonly Difference[]
  readonly explained: readonly Explained[]
  /** The recipe's own allowances that explained nothing. */
  readonly unused: readonly Allowance[]
}

const perLaunch = {
  id: 'per-launch',
  source: 'launches',
  reason: 'differs between two launches of the image as well, so it belongs to the launch and not to the image',
} as const

/**
 * Sorts differences between a host from the base and one from the image into those that an allowance or a second launch of
 * the image explains, and the rest. The first allowance that fits counts. `betweenLaunches` are the differences between two
 * launches of the one image.
 */
export function explain(
  differences: readonly Difference[],
  allowances: readonly Allowance[],
  betweenLaunches: readonly Difference[],
): Explanation {
  const rules = allowances.map((allowance) => ({ allowance, pattern: globPattern(allowance.glob) }))
  const noise = new Set(betweenLaunches.map(keyOf))
  const used = new Set<Allowance>()
  const unexplained: Difference[] = []
  const explained: Explained[] = []
  for (const difference of differences) {
    const rule = rules.find(({ allowance, pattern }) => applies(allowance, pattern, difference))
    if (rule !== undefined) {
      used.add(rule.allowance)
      const { id, source, reason } = rule.allowance
      explained.push({ difference, by: { id, source, reason } })
    } else if (noise.has(keyOf(difference))) {
      explained.push({ difference, by: perLaunch })
    } else {
      unexplained.push(difference)
    }
  }
  return {
    unexplained,
    explained,
    unused: allowances.filter((allowance) => allowance.source === 'recipe' && !used.has(allowance)),
  }
}

function applies(allowance: Allowance, pattern: RegExp, difference: Difference): boolean {
  if (allowance.kind !== difference.kind || !pattern.test(difference.name)) return false
  if (allowance.aspects !== undefined && !allowance.aspects.includes(difference.aspect)) return false
  if (allowance.only === undefined || difference.aspect !== 'existence') return true
  return difference[allowance.only] !== undefined
}

function keyOf({ kind, name, aspect }: Difference): string {
  return `${kind} ${aspect} ${name}`
}
