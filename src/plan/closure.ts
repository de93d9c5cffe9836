import { FlowNetwork } from './max-flow.ts'

/** By index: the indexes of what each item needs directly. Acyclic. */
export type Needs = readonly (readonly number[])[]

/** What a solver may no longer choose: 1 in, -1 out, 0 free. Closed: what an item that is in needs is in, and so on. */
export type Fixed = Int8Array

/** The sum of the weights is scaled to this, so that sums stay exact whole numbers. */
const scale = 2 ** 50

/**
 * Finds sets that hold whatever their members need, of greatest weight: the maximum-weight closure, as a minimum cut
 * (Picard 1976). Exact on whole numbers; others are rounded to 2^-50 of the sum of their absolute values.
 */
export class ClosureSolver {
  readonly size: number
  /** Without those that follow from others. */
  readonly needs: Needs
  readonly #network: FlowNetwork
  readonly #source: number
  readonly #sink: number
  readonly #fromSource: number[] = []
  readonly #toSink: number[] = []
  readonly #between: number[] = []

  constructor(needs: Needs) {
    this.size = needs.length
    this.needs = reduceNeeds(needs)
    this.#source = this.size
    this.#sink = this.size + 1
    this.#network = new FlowNetwork(this.size + 2)
    // Edges are tried last to first: needs before what needs them, and at each item its own sink before its needs.
    for (const item of inOrder(this.needs).toReversed()) {
      for (const need of this.needs[item] ?? []) this.#between.push(this.#network.connect(item, need, 0))
      this.#fromSource[item] = this.#network.connect(this.#source, item, 0)
      this.#toSink[item] = this.#network.connect(item, this.#sink, 0)
    }
  }

  /** Edges looked at by all searches so far. */
  get work(): number {
    return this.#network.work
  }

  /** The smallest of the closures of greatest weight that keep to `fixed`; 1 for members. */
  solve(weights: readonly number[], fixed?: Fixed): Uint8Array {
    const rounded = wholeWeights(weights)
    const endless = rounded.reduce((sum, weight) => sum + Math.abs(weight), 1)
    for (let item = 0; item < this.size; item += 1) {
      const state = fixed?.[item] ?? 0
      const weight = rounded[item] as number
      this.#network.reset(
        this.#fromSource[item] as number,
        state === 1 ? endless : state === 0 ? Math.max(0, weight) : 0,
      )
      this.#network.reset(this.#toSink[item] as number, state === -1 ? endless : state === 0 ? Math.max(0, -weight) : 0)
    }
    for (const edge of this.#between) this.#network.reset(edge, endless)
    this.#network.maximise(this.#source, this.#sink)
    const reached = this.#network.reachable(this.#source)
    return Uint8Array.from({ length: this.size }, (_, item) => (reached(item) ? 1 : 0))
  }
}

/** The smallest closure of greatest weight. */
export function maxClosure(weights: readonly number[], needs: Needs): Uint8Array {
  return new ClosureSolver(needs).solve(weights)
}

function wholeWeights(weights: readonly number[]): readonly number[] {
  const sum = weights.reduce((total, weight) => total + Math.abs(weight), 0)
  if (sum <= scale && weights.every((weight) => Number.isInteger(weight))) return weights
  return weights.map((weight) => Math.round((weight / sum) * scale))
}

/**
 * The transitive reduction: drops each need that another need leads to. Where nothing is declared, a step needs all
 * before it: two million needs for two thousand steps, of which two thousand say everything.
 */
export function reduceNeeds(needs: Needs): Needs {
  const order = inOrder(needs)
  const position = new Int32Array(needs.length)
  for (const [index, item] of order.entries()) position[item] = index
  const words = Math.ceil(needs.length / 32)
  const reach: Uint32Array[] = []
  const reduced: number[][] = needs.map(() => [])
  for (const item of order) {
    const mine = new Uint32Array(words)
    const nearestFirst = (needs[item] ?? []).toSorted((a, b) => (position[b] as number) - (position[a] as number))
    for (const need of nearestFirst) {
      if ((((mine[need >>> 5] as number) >>> (need & 31)) & 1) === 1) continue
      reduced[item]?.push(need)
      const theirs = reach[need] as Uint32Array
      for (let word = 0; word < words; word += 1) mine[word] = (mine[word] as number) | (theirs[word] as number)
      mine[need >>> 5] = (mine[need >>> 5] as number) | (1 << (need & 31))
    }
    reach[item] = mine
  }
  return reduced
}

/** All items, each after what it needs. Throws RangeError for a circle. */
export function inOrder(needs: Needs): readonly number[] {
  const waiting = needs.map((each) => each.length)
  const users: number[][] = needs.map(() => [])
  for (const [item, each] of needs.entries()) for (const need of each) users[need]?.push(item)
  const order = waiting.flatMap((count, item) => (count === 0 ? [item] : []))
  for (let at = 0; at < order.length; at += 1) {
    for (const user of users[order[at] as number] ?? []) {
      waiting[user] = (waiting[user] as number) - 1
      if (waiting[user] === 0) order.push(user)
    }
  }
  if (order.length < needs.length) throw new RangeError('needs lead back to themselves')
  return order
}

/** By index: what needs each item directly. */
export function usersOf(needs: Needs): Needs {
  const users: number[][] = needs.map(() => [])
  for (const [item, each] of needs.entries()) for (const need of each) users[need]?.push(item)
  return users
}

/** Items that lead to or follow from `item` along `edges`, itself included. */
export function follow(item: number, edges: Needs): readonly number[] {
  const found = new Set([item])
  for (const each of found) for (const next of edges[each] ?? []) found.add(next)
  return [...found]
}

/** Sum of the values of members. */
export function sumOf(values: readonly number[], members: Uint8Array): number {
  let sum = 0
  for (let item = 0; item < members.length; item += 1) if (members[item] === 1) sum += values[item] as number
  return sum
}
