import { groupDimensions, type GroupDimension, type SlowRun } from '../fleet.ts'
import type { StepReport } from '../report.ts'
import { Sketch, type SketchJson } from '../sketch.ts'

/** A value of each dimension: what the host was. */
export type GroupValues = Readonly<Record<GroupDimension, string>>

/** More values of a dimension than this share one name: hosts choose them, and memory is bounded. */
export const maxGroupValues = 200
export const otherGroup = '(other)'
/** Slowest runs kept by name. */
const maxSlowest = 5

export const quantities = ['wall', 'cpu', 'rxBytes', 'diskBytes', 'share', 'lockSeconds', 'retrySeconds'] as const
export type Quantity = (typeof quantities)[number]

export interface RunsJson {
  readonly failures: number
  readonly baked: number
  readonly retried: number
  readonly sketches: Readonly<Partial<Record<Quantity, SketchJson>>>
  /** Wall seconds. */
  readonly by: Readonly<Partial<Record<GroupDimension, Readonly<Record<string, SketchJson>>>>>
  readonly slowest: readonly SlowRun[]
}

export interface RunContext {
  readonly run: string
  readonly host: string
  readonly groups: GroupValues
  /** Undefined for boots that failed and for converges that were no boot. */
  readonly launchToReady: number | undefined
}

/** Runs of one step digest, mergeable. */
export class RunsTally {
  failures = 0
  baked = 0
  retried = 0
  readonly sketches = new Map<Quantity, Sketch>()
  readonly by = new Map<GroupDimension, Map<string, Sketch>>()
  slowest: readonly SlowRun[] = []

  get count(): number {
    return this.sketches.get('wall')?.count ?? 0
  }

  add(step: StepReport, context: RunContext): void {
    if (step.outcome === 'failed') this.failures += 1
    if (step.outcome === 'stamped' && step.baked) this.baked += 1
    if (step.outcome !== 'ran') return
    if (step.attempts > 1) this.retried += 1
    this.#sample('wall', step.wall)
    this.#sample('cpu', step.cpu)
    this.#sample('rxBytes', step.rxBytes)
    this.#sample('diskBytes', step.diskBytes)
    if (step.lockSeconds !== undefined) this.#sample('lockSeconds', step.lockSeconds)
    if (step.retrySeconds !== undefined) this.#sample('retrySeconds', step.retrySeconds)
    if (context.launchToReady !== undefined && context.launchToReady > 0) {
      this.#sample('share', step.wall / context.launchToReady)
    }
    for (const dimension of groupDimensions) groupSketch(this.by, dimension, context.groups[dimension]).add(step.wall)
    this.slowest = withSlowRun(this.slowest, { run: context.run, host: context.host, seconds: step.wall })
  }

  merge(other: RunsTally): void {
    this.failures += other.failures
    this.baked += other.baked
    this.retried += other.retried
    for (const [quantity, sketch] of other.sketches) this.#sketch(quantity).merge(sketch)
    for (const [dimension, values] of other.by) {
      for (const [value, sketch] of values) groupSketch(this.by, dimension, value).merge(sketch)
    }
    for (const run of other.slowest) this.slowest = withSlowRun(this.slowest, run)
  }

  toJSON(): RunsJson {
    return {
      failures: this.failures,
      baked: this.baked,
      retried: this.retried,
      sketches: Object.fromEntries([...this.sketches].map(([quantity, sketch]) => [quantity, sketch.toJSON()])),
      by: Object.fromEntries([...this.by].map(([dimension, values]) => [dimension, sketchesJson(values)])),
      slowest: this.slowest,
    }
  }

  static fromJSON(json: RunsJson): RunsTally {
    const tally = new RunsTally()
    tally.failures = json.failures
    tally.baked = json.baked
    tally.retried = json.retried
    tally.slowest = json.slowest
    for (const quantity of quantities) {
      const sketch = json.sketches[quantity]
      if (sketch !== undefined) tally.sketches.set(quantity, Sketch.fromJSON(sketch))
    }
    for (const dimension of groupDimensions) tally.by.set(dimension, sketchesFromJson(json.by[dimension] ?? {}))
    return tally
  }

  #sample(quantity: Quantity, value: number): void {
    this.#sketch(quantity).add(value)
  }

  #sketch(quantity: Quantity): Sketch {
    const known = this.sketches.get(quantity)
    if (known !== undefined) return known
    const sketch = new Sketch()
    this.sketches.set(quantity, sketch)
    return sketch
  }
}

/** The slowest runs with one more, slowest first; of equal ones the first by name, so that no order of merging matters. */
export function withSlowRun(slowest: readonly SlowRun[], run: SlowRun): readonly SlowRun[] {
  const last = slowest.at(-1)
  if (slowest.length >= maxSlowest && last !== undefined && bySlowness(last, run) <= 0) return slowest
  return [...slowest, run].toSorted(bySlowness).slice(0, maxSlowest)
}

function bySlowness(a: SlowRun, b: SlowRun): number {
  return b.seconds - a.seconds || (a.run < b.run ? -1 : a.run > b.run ? 1 : 0)
}

/** The entry of a group value, made where it is missing; beyond the bound that of `otherGroup`. */
export function groupEntry<T>(values: Map<string, T>, value: string, make: () => T): T {
  const known = values.get(value)
  if (known !== undefined) return known
  const name = values.size >= maxGroupValues ? otherGroup : value
  const entry = values.get(name) ?? make()
  values.set(name, entry)
  return entry
}

function groupSketch(by: Map<GroupDimension, Map<string, Sketch>>, dimension: GroupDimension, value: string): Sketch {
  const values = by.get(dimension) ?? new Map<string, Sketch>()
  by.set(dimension, values)
  return groupEntry(values, value, () => new Sketch())
}

function sketchesJson(sketches: ReadonlyMap<string, Sketch>): Record<string, SketchJson> {
  return Object.fromEntries([...sketches].map(([value, sketch]) => [value, sketch.toJSON()]))
}

function sketchesFromJson(json: Readonly<Record<string, SketchJson>>): Map<string, Sketch> {
  return new Map(Object.entries(json).map(([value, sketch]) => [value, Sketch.fromJSON(sketch)]))
}
