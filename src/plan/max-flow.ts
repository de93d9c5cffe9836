/** Directed edges with capacities, in pairs: edge `e` and its reverse `e ^ 1`. Capacities are whole numbers. */
export class FlowNetwork {
  readonly #nodes: number
  readonly #first: Int32Array
  readonly #next: number[] = []
  readonly #to: number[] = []
  readonly #capacity: number[] = []
  /** Edges looked at so far, over all runs: the work done, the same on every machine. */
  work = 0

  constructor(nodes: number) {
    this.#nodes = nodes
    this.#first = new Int32Array(nodes).fill(-1)
  }

  /** Adds an edge and returns its number. */
  connect(from: number, to: number, capacity: number): number {
    const edge = this.#to.length
    this.#push(from, to, capacity)
    this.#push(to, from, 0)
    return edge
  }

  /** Sets an edge's capacity and takes its flow back. */
  reset(edge: number, capacity: number): void {
    this.#capacity[edge] = capacity
    this.#capacity[edge ^ 1] = 0
  }

  /**
   * Sends as much as possible from `source` to `sink` by Dinic's algorithm (Dinitz 1970): shortest augmenting paths by
   * phases. Exact while the sum of the capacities at the source stays below 2^53. The edges as they were added must lead
   * in no circle: what they carry by themselves is sent first, which leaves few phases where paths are long.
   */
  maximise(source: number, sink: number): number {
    let total = this.#block(source, sink, new Int32Array(this.#nodes), true)
    for (let level = this.#levels(source); level[sink] !== -1; level = this.#levels(source)) {
      total += this.#block(source, sink, level, false)
    }
    return total
  }

  /** Nodes that `source` still reaches: the source's side of the smallest minimum cut, after `maximise`. */
  reachable(source: number): (node: number) => boolean {
    const level = this.#levels(source)
    return (node) => level[node] !== -1
  }

  #push(from: number, to: number, capacity: number): void {
    this.#next.push(this.#first[from] as number)
    this.#first[from] = this.#to.length
    this.#to.push(to)
    this.#capacity.push(capacity)
  }

  #levels(source: number): Int32Array {
    const level = new Int32Array(this.#nodes).fill(-1)
    const queue = new Int32Array(this.#nodes)
    level[source] = 0
    queue[0] = source
    let end = 1
    for (let at = 0; at < end; at += 1) {
      const node = queue[at] as number
      for (let edge = this.#first[node] as number; edge !== -1; edge = this.#next[edge] as number) {
        const to = this.#to[edge] as number
        this.work += 1
        if ((this.#capacity[edge] as number) > 0 && level[to] === -1) {
          level[to] = (level[node] as number) + 1
          queue[end] = to
          end += 1
        }
      }
    }
    return level
  }

  /**
   * A blocking flow in the level graph, or along the edges as they were added. With a stack of its own: paths may be as
   * long as a recipe.
   */
  #block(source: number, sink: number, level: Int32Array, asAdded: boolean): number {
    const at = this.#first.slice()
    const path: number[] = []
    let total = 0
    let node = source
    for (;;) {
      if (node === sink) {
        total += this.#augment(path)
        const cut = path.findIndex((edge) => this.#capacity[edge] === 0)
        node = this.#to[(path[cut] as number) ^ 1] as number
        path.length = cut
      }
      const edge = asAdded ? this.#advanceAsAdded(node, at, level) : this.#advance(node, at, level)
      if (edge !== -1) {
        path.push(edge)
        node = this.#to[edge] as number
      } else if (path.length === 0) {
        return total
      } else {
        level[node] = -1
        node = this.#to[(path.pop() as number) ^ 1] as number
      }
    }
  }

  #advance(node: number, at: Int32Array, level: Int32Array): number {
    const wanted = (level[node] as number) + 1
    for (let edge = at[node] as number; edge !== -1; edge = this.#next[edge] as number) {
      this.work += 1
      at[node] = edge
      if ((this.#capacity[edge] as number) > 0 && level[this.#to[edge] as number] === wanted) return edge
    }
    at[node] = -1
    return -1
  }

  #advanceAsAdded(node: number, at: Int32Array, level: Int32Array): number {
    for (let edge = at[node] as number; edge !== -1; edge = this.#next[edge] as number) {
      this.work += 1
      at[node] = edge
      if ((edge & 1) === 0 && (this.#capacity[edge] as number) > 0 && level[this.#to[edge] as number] !== -1)
        return edge
    }
    at[node] = -1
    return -1
  }

  #augment(path: readonly number[]): number {
    let amount = Number.POSITIVE_INFINITY
    for (const edge of path) amount = Math.min(amount, this.#capacity[edge] as number)
    for (const edge of path) {
      this.#capacity[edge] = (this.#capacity[edge] as number) - amount
      this.#capacity[edge ^ 1] = (this.#capacity[edge ^ 1] as number) + amount
    }
    this.work += path.length
    return amount
  }
}
