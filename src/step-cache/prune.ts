import type { Context } from '../context.ts'
import type { StateEntry } from './entry.ts'
import { planEviction, planExpiry } from './eviction.ts'
import { boundOf, findLost, lockSteps, makeStepFolder, removeStates, stepFolder, survey } from './folder.ts'
import { candidateOf, onlyOf, writeLedger } from './ledger.ts'
import { missingBytes, spaceAt } from './limits.ts'
import { isTrusted } from './lookup.ts'
import { whereWeAre } from './users.ts'

/** A kept state as a listing shows it. */
export interface ListedState {
  readonly entry: StateEntry
  /** ISO 8601, UTC. */
  readonly usedAt: string
  /** How often a bake went on from it or from what builds on it, being made included. */
  readonly uses: number
  /** How many kept states build on it directly. */
  readonly children: number
  /** A running bake uses it. */
  readonly inUse: boolean
  /** False where it may have been lost with power: it will be swept. */
  readonly trusted: boolean
}

/** All kept states, what others build on first, and the bound that the configuration asks for. */
export async function listStates(
  context: Pick<Context, 'config'>,
): Promise<{ readonly states: readonly ListedState[]; readonly maxBytes: number }> {
  const folder = stepFolder(context.config)
  await makeStepFolder(folder)
  const here = await whereWeAre()
  const found = await survey(folder, here, false)
  const entries = [...found.entries.values()]
  const states = inTreeOrder(entries).map((entry) => ({
    entry,
    usedAt: found.ledger.uses[entry.id]?.usedAt ?? entry.createdAt,
    uses: found.ledger.uses[entry.id]?.count ?? 0,
    children: entries.filter(({ parent }) => parent === entry.id).length,
    inUse: found.claims.has(entry.id),
    trusted: isTrusted(entry, here.bootId),
  }))
  return { states, maxBytes: await boundOf(context.config, folder) }
}

/** Each state followed by what builds on it; roots by age. */
export function inTreeOrder(entries: readonly StateEntry[]): readonly StateEntry[] {
  const ids = new Set(entries.map(({ id }) => id))
  const byAge = entries.toSorted((a, b) => Date.parse(a.createdAt) - Date.parse(b.createdAt))
  const seen = new Set<string>()
  const below = (parent: string): readonly StateEntry[] =>
    byAge.filter((entry) => entry.parent === parent).flatMap(walk)
  const walk = (entry: StateEntry): readonly StateEntry[] => {
    if (seen.has(entry.id)) return []
    seen.add(entry.id)
    return [entry, ...below(entry.id)]
  }
  const roots = byAge.filter(({ parent }) => parent === null || !ids.has(parent))
  return [...roots, ...byAge].flatMap(walk)
}

export interface PruneStatesOptions {
  /** Instead of the configured bound. */
  readonly maxBytes?: number
  /** Also removes what was not used for so long. */
  readonly olderThanMs?: number
  /** Change nothing. */
  readonly dryRun: boolean
}

/** Brings the kept states below a bound; those in use stay. Resolves with what was (or would be) removed. */
export async function pruneStates(context: Context, options: PruneStatesOptions): Promise<readonly StateEntry[]> {
  const folder = stepFolder(context.config)
  await makeStepFolder(folder)
  const here = await whereWeAre()
  await using _ = await lockSteps(folder, context.signal)
  const found = await survey(folder, here, !options.dryRun)
  const lost = await findLost(folder, here, found)
  const gone = new Set(lost)
  const left = () =>
    [...found.entries.values()].filter(({ id }) => !gone.has(id)).map((entry) => candidateOf(entry, found.ledger))
  const { olderThanMs } = options
  if (olderThanMs !== undefined) {
    const before = Date.now() - olderThanMs
    for (const id of planExpiry(left(), found.claims, ({ usedAt }) => Date.parse(usedAt) < before)) gone.add(id)
  }
  const { evict, inflation } = planEviction({
    candidates: left(),
    pinned: found.claims,
    maxBytes: options.maxBytes ?? (await boundOf(context.config, folder)),
    mustFreeBytes: missingBytes(await spaceAt(folder.root)),
    inflation: found.ledger.inflation,
  })
  for (const id of evict) gone.add(id)
  if (!options.dryRun) {
    await removeStates(context, folder, [...gone])
    const remaining = new Set(left().map(({ id }) => id))
    await writeLedger(folder.ledger, onlyOf({ ...found.ledger, inflation }, remaining))
  }
  return [...gone].flatMap((id) => found.entries.get(id) ?? [])
}
