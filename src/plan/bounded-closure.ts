import { ClosureSolver, follow, inOrder, sumOf, usersOf, type Fixed, type Needs } from './closure.ts'

/** Choose a closure of greatest value whose cost is at most `limit`. Values and costs are whole and may be negative. */
export interface BoundedProblem {
  readonly values: readonly number[]
  readonly costs: readonly number[]
  readonly limit: number
  readonly needs: Needs
  /** What is settled beforehand, closed as a solver wants it; nothing by default. */
  readonly fixed?: Fixed
}

export interface BoundedResult {
  readonly members: Uint8Array
  readonly value: number
  /** No closure within the limit is worth more than this. */
  readonly bound: number
  /** True where `value` is proved to be the greatest. */
  readonly exact: boolean
}

/**
 * Edges that may be looked at before the best so far is taken, with the bound as it is then: about a second for either.
 * Work, not time, so that a plan is the same on every machine.
 */
const workOf = (size: number) => (size <= 500 ? 60_000_000 : 8_000_000)

/** Items in which two closures differ. */
const manyOpen = 16

interface Node {
  readonly fixed: Fixed
  readonly bound: number
  /** Price of a unit of cost at which the bound is lowest. */
  readonly price: number
  /** The two closures that meet at that price: within the limit, and beyond it. */
  readonly within: Uint8Array
  readonly beyond: Uint8Array
}

/**
 * Branch and bound over Lagrange's relaxation: with a price on each unit of cost the problem is a closure problem, and the
 * best price gives the bound of the linear relaxation, for closures are integral. Branches on an item in which the two
 * closures that meet at that price differ. Undefined where no closure keeps to the limit.
 */
export function boundedClosure(
  problem: BoundedProblem,
  maxWork = workOf(problem.values.length),
): BoundedResult | undefined {
  const search = new Search(problem)
  return search.run(maxWork)
}

class Search {
  readonly #problem: BoundedProblem
  readonly #solver: ClosureSolver
  readonly #users: Needs
  readonly #order: readonly number[]
  /** Sums of absolute values. */
  readonly #size: { readonly values: number; readonly costs: number }
  #best: Uint8Array | undefined
  #bestValue = Number.NEGATIVE_INFINITY

  constructor(problem: BoundedProblem) {
    this.#problem = problem
    this.#solver = new ClosureSolver(problem.needs)
    this.#users = usersOf(this.#solver.needs)
    this.#order = inOrder(this.#solver.needs)
    this.#size = { values: sumOfSizes(problem.values), costs: sumOfSizes(problem.costs) + Math.abs(problem.limit) }
  }

  run(maxWork: number): BoundedResult | undefined {
    const open: Node[] = []
    const root = this.#relax(this.#problem.fixed ?? new Int8Array(this.#solver.size), 0)
    if (root !== undefined) open.push(root)
    let bound = Number.NEGATIVE_INFINITY
    while (open.length > 0) {
      const node = takeBest(open)
      bound = node.bound
      if (this.#hopeless(bound) || this.#solver.work > maxWork) break
      for (const fixed of this.#branch(node)) {
        const child = this.#relax(fixed, node.price)
        if (child !== undefined && !this.#hopeless(child.bound)) open.push(child)
      }
      if (open.length === 0) bound = this.#bestValue
    }
    if (this.#best === undefined) return undefined
    const exact = this.#hopeless(bound)
    return {
      members: this.#best,
      value: this.#bestValue,
      bound: exact ? this.#bestValue : Math.floor(bound),
      exact,
    }
  }

  /** Values are whole, so a bound less than one above the best cannot hide a better one. */
  #hopeless(bound: number): boolean {
    return Math.floor(bound) <= this.#bestValue
  }

  /** Undefined where nothing in this branch keeps to the limit, or where its best was found. */
  #relax(fixed: Fixed, price: number): Node | undefined {
    const { values, costs, limit } = this.#problem
    const free = this.#solver.solve(values, fixed)
    if (sumOf(costs, free) <= limit) {
      this.#offer(free)
      return undefined
    }
    const cheapest = this.#solver.solve(
      costs.map((cost) => -cost),
      fixed,
    )
    if (sumOf(costs, cheapest) > limit) return undefined
    this.#offer(cheapest)
    let within = cheapest
    let beyond = free
    let at = price > 0 ? price : this.#meeting(within, beyond)
    for (;;) {
      const found = this.#solver.solve(this.#priced(at), fixed)
      const slack = this.#slack(at)
      const bound = this.#lagrange(found, at) + slack
      if (this.#hopeless(bound)) return undefined
      const [low, high] = [this.#lagrange(within, at), this.#lagrange(beyond, at)]
      // A price taken from the parent is a guess: only where the two closures meet can the bound be the lowest.
      const settled = Math.abs(low - high) <= slack && bound <= Math.max(low, high) + 3 * slack
      if (sumOf(costs, found) > limit) beyond = found
      else {
        this.#offer(found)
        within = found
      }
      const next = settled ? at : this.#meeting(within, beyond)
      if (next === at) return { fixed, bound, price: at, within, beyond }
      at = next
    }
  }

  #priced(price: number): readonly number[] {
    const { values, costs } = this.#problem
    return values.map((value, item) => value - price * (costs[item] as number))
  }

  #lagrange(members: Uint8Array, price: number): number {
    const { values, costs, limit } = this.#problem
    return sumOf(values, members) + price * (limit - sumOf(costs, members))
  }

  /** What the solver's rounding of weights may hide, at most. */
  #slack(price: number): number {
    return this.#size.values * 1e-12 + price * this.#size.costs * 1e-12
  }

  #meeting(within: Uint8Array, beyond: Uint8Array): number {
    const { values, costs } = this.#problem
    const value = sumOf(values, beyond) - sumOf(values, within)
    return Math.max(0, value / (sumOf(costs, beyond) - sumOf(costs, within)))
  }

  #offer(members: Uint8Array): void {
    const value = sumOf(this.#problem.values, members)
    if (value <= this.#bestValue) return
    this.#best = members
    this.#bestValue = value
    const filled = this.#fill(members)
    const filledValue = sumOf(this.#problem.values, filled)
    if (filledValue > this.#bestValue) {
      this.#best = filled
      this.#bestValue = filledValue
    }
  }

  /** Adds what still fits, with what it needs, the most value for the cost first. */
  #fill(members: Uint8Array): Uint8Array {
    const { values, costs, limit } = this.#problem
    const filled = members.slice()
    let room = limit - sumOf(costs, filled)
    const parts = values.flatMap((_, item) => {
      if (filled[item] === 1) return []
      const part = follow(item, this.#solver.needs).filter((each) => filled[each] === 0)
      const value = part.reduce((sum, each) => sum + (values[each] as number), 0)
      const cost = part.reduce((sum, each) => sum + (costs[each] as number), 0)
      return value > 0 ? [{ item, rank: value / Math.max(cost, 1) }] : []
    })
    for (const { item } of parts.toSorted((a, b) => b.rank - a.rank || a.item - b.item)) {
      const part = follow(item, this.#solver.needs).filter((each) => filled[each] === 0)
      const value = part.reduce((sum, each) => sum + (values[each] as number), 0)
      const cost = part.reduce((sum, each) => sum + (costs[each] as number), 0)
      if (value <= 0 || cost > room) continue
      for (const each of part) filled[each] = 1
      room -= cost
    }
    return filled
  }

  /** Both ways to settle one item in which the closures of a node differ; none where it is settled already. */
  #branch({ fixed, within, beyond, price }: Node): readonly Fixed[] {
    const item = this.#branchItem(fixed, within, beyond, price)
    if (item === undefined) return []
    const branches: Fixed[] = []
    const needed = follow(item, this.#solver.needs)
    if (needed.every((each) => fixed[each] !== -1)) branches.push(withFixed(fixed, needed, 1))
    const users = follow(item, this.#users)
    if (users.every((each) => fixed[each] !== 1)) branches.push(withFixed(fixed, users, -1))
    return branches
  }

  /**
   * Where the two closures differ by much, an item in the middle, so that each branch settles half; else one that weighs
   * much.
   */
  #branchItem(fixed: Fixed, within: Uint8Array, beyond: Uint8Array, price: number): number | undefined {
    const { costs, values } = this.#problem
    const open = this.#order.filter((item) => within[item] !== beyond[item] && fixed[item] === 0)
    if (open.length > manyOpen) return open[Math.floor(open.length / 2)]
    const weight = (item: number) => Math.abs(values[item] as number) + price * Math.abs(costs[item] as number)
    return open.reduce<number | undefined>(
      (best, item) => (best === undefined || weight(item) > weight(best) ? item : best),
      undefined,
    )
  }
}

function withFixed(fixed: Fixed, items: readonly number[], state: 1 | -1): Fixed {
  const copy = fixed.slice()
  for (const item of items) copy[item] = state
  return copy
}

function sumOfSizes(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + Math.abs(value), 0)
}

function takeBest(open: Node[]): Node {
  let best = 0
  for (let index = 1; index < open.length; index += 1) {
    if ((open[index] as Node).bound > (open[best] as Node).bound) best = index
  }
  const [node] = open.splice(best, 1)
  return node as Node
}
