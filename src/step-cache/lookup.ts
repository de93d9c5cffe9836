import type { StateEntry } from './entry.ts'
import { newestFirst } from './eviction.ts'

/** Entries by id. */
export type Entries = ReadonlyMap<string, StateEntry>

/**
 * May its content be trusted? What was not synced before the machine went down may have any content; what was written
 * since the machine started is in its memory, at least.
 */
export function isTrusted(entry: StateEntry, bootId: string): boolean {
  return entry.durable || entry.bootId === bootId
}

/** A state and all that it builds on, the lowest first; undefined where one of them is missing or not to be trusted. */
export function chainOf(entries: Entries, id: string, bootId: string): readonly StateEntry[] | undefined {
  const chain: StateEntry[] = []
  for (let next: string | null = id; next !== null;) {
    const entry = entries.get(next)
    // A chain that is longer than there are entries goes in a circle.
    if (entry === undefined || !isTrusted(entry, bootId) || chain.length >= entries.size) return undefined
    chain.unshift(entry)
    next = entry.parent
  }
  return chain
}

/**
 * The states that a bake with these keys can start from, best first: the most steps done, of equal ones the newest.
 * Each as its chain. What it builds on must lie on the way of the same keys.
 */
export function prefixes(
  entries: Entries,
  keys: readonly string[],
  bootId: string,
): readonly (readonly StateEntry[])[] {
  const depth = new Map(keys.map((key, index) => [key, index]))
  const depthOf = ({ key }: StateEntry) => depth.get(key) ?? -1
  return [...entries.values()]
    .filter((entry) => depthOf(entry) >= 0)
    .toSorted((a, b) => depthOf(b) - depthOf(a) || newestFirst(a, b))
    .flatMap((entry) => {
      const chain = chainOf(entries, entry.id, bootId)
      const rises = chain?.every((link, index) => {
        const before = chain[index - 1]
        return depthOf(link) > (before === undefined ? -1 : depthOf(before))
      })
      return chain !== undefined && rises === true ? [chain] : []
    })
}
