import { compareCodeUnits } from '../util/canonical-json.ts'

/** What the choice of victims depends on. */
export interface Candidate {
  readonly id: string
  readonly key: string
  /** The state it builds on; one that is not among the candidates counts as none. */
  readonly parent: string | null
  readonly sizeBytes: number
  /** From `creditOf`, at its last use. */
  readonly credit: number
  readonly createdAt: string
}

export interface EvictionInput {
  readonly candidates: readonly Candidate[]
  /** In use, and so is what they build on. */
  readonly pinned: ReadonlySet<string>
  readonly maxBytes: number
  /** Bytes that must go whatever the bound says, because the disk is full. */
  readonly mustFreeBytes: number
  readonly inflation: number
}

export interface Eviction {
  /** In the order in which they must go: never one that a remaining one builds on. */
  readonly evict: readonly string[]
  /** What credits start from hereafter. */
  readonly inflation: number
  /** What remains. */
  readonly totalBytes: number
}

const mebibyte = 1024 ** 2

/**
 * The worth of a state at the moment it is used: GreedyDual-Size (Cao and Irani, "Cost-aware WWW proxy caching
 * algorithms", 1997), cost over size on top of an inflation that rises with every eviction, so that what nobody uses ages.
 */
export function creditOf(state: { readonly seconds: number; readonly sizeBytes: number }, inflation: number): number {
  return inflation + state.seconds / Math.max(1, state.sizeBytes / mebibyte)
}

/**
 * Chooses what goes until the bound holds or the rest is in use: the least credit first, leaves before what they build
 * on, and before anything else a second state with the key of another, which no lookup takes.
 */
export function planEviction(input: EvictionInput): Eviction {
  const forest = new Forest(input.candidates, input.pinned)
  const spare = spares(input.candidates)
  const evict: string[] = []
  let { inflation } = input
  let totalBytes = input.candidates.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let freed = 0
  while (totalBytes > input.maxBytes || freed < input.mustFreeBytes) {
    const worth = ({ id, credit }: Candidate) => (spare.has(id) ? Number.NEGATIVE_INFINITY : credit)
    const victim = forest.takeLeaf((a, b) => compareNumbers(worth(a), worth(b)) || newestFirst(b, a))
    if (victim === undefined) break
    evict.push(victim.id)
    totalBytes -= victim.sizeBytes
    freed += victim.sizeBytes
    if (!spare.has(victim.id)) inflation = Math.max(inflation, victim.credit)
  }
  return { evict, inflation, totalBytes }
}

/** Everything that `isOver` says and that nothing else needs, in an order in which it can go. */
export function planExpiry<T extends Candidate>(
  candidates: readonly T[],
  pinned: ReadonlySet<string>,
  isOver: (candidate: T) => boolean,
): readonly string[] {
  const forest = new Forest(candidates, pinned)
  const expired: string[] = []
  for (;;) {
    const victim = forest.takeLeaf((a, b) => newestFirst(b, a), isOver)
    if (victim === undefined) return expired
    expired.push(victim.id)
  }
}

/** The newest first: of states with one key, lookups take that one, for whoever made it anew had a reason. */
export function newestFirst(a: Pick<Candidate, 'id' | 'createdAt'>, b: Pick<Candidate, 'id' | 'createdAt'>): number {
  return compareCodeUnits(b.createdAt, a.createdAt) || compareCodeUnits(a.id, b.id)
}

/** A difference of infinities would be no number. */
function compareNumbers(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function spares(candidates: readonly Candidate[]): ReadonlySet<string> {
  const first = new Map<string, Candidate>()
  for (const candidate of candidates) {
    const known = first.get(candidate.key)
    if (known === undefined || newestFirst(candidate, known) < 0) first.set(candidate.key, candidate)
  }
  return new Set(candidates.filter(({ key, id }) => first.get(key)?.id !== id).map(({ id }) => id))
}

/** What builds on what, with leaves that can be taken one after the other. */
class Forest<T extends Candidate> {
  readonly #left: Map<string, T>
  readonly #children = new Map<string, number>()
  readonly #pinned: ReadonlySet<string>

  constructor(candidates: readonly T[], pinned: ReadonlySet<string>) {
    this.#left = new Map(candidates.map((candidate) => [candidate.id, candidate]))
    this.#pinned = pinned
    for (const { parent } of candidates) this.#count(parent, 1)
  }

  /** Takes out the first by `compare` of the leaves that are not in use. */
  takeLeaf(compare: (a: T, b: T) => number, matches: (candidate: T) => boolean = () => true): T | undefined {
    let best: T | undefined
    for (const candidate of this.#left.values()) {
      if (this.#pinned.has(candidate.id) || (this.#children.get(candidate.id) ?? 0) > 0 || !matches(candidate)) continue
      if (best === undefined || compare(candidate, best) < 0) best = candidate
    }
    if (best !== undefined) {
      this.#left.delete(best.id)
      this.#count(best.parent, -1)
    }
    return best
  }

  #count(parent: string | null, change: number): void {
    if (parent !== null) this.#children.set(parent, (this.#children.get(parent) ?? 0) + change)
  }
}
