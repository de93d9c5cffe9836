import { UserError } from '../errors.ts'
import type { Context } from '../context.ts'
import type { PlannedStep } from '../plan/model.ts'
import type { Report } from '../profile/report.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { chainKeys } from '../step-cache/keys.ts'
import type { CachedState, StepCache } from '../step-cache/cache.ts'
import { worthKeeping } from '../step-cache/worth.ts'
import { canonicalJson, type Json } from '../util/canonical-json.ts'
import { sha256 } from '../util/sha256.ts'
import type {
  BakeEngine,
  BakeJob,
  BakeSession,
  OpenOptions,
  PackageCacheAddress,
  SealedDisk,
  Tuning,
} from './engine.ts'
import { bootstrapScript } from './guest-files.ts'
import { onStepFailure, type FailureMode } from './on-failure.ts'

/** What a bake did with one step. */
export interface BakedStep {
  readonly name: string
  readonly digest: string
  /** Wall seconds it took when it ran. */
  readonly seconds: number
  /** Bytes by which the root file system grew. */
  readonly diskBytes: number
  /** True where an earlier bake had run it. */
  readonly cached: boolean
}

export interface JobOptions {
  readonly job: BakeJob
  readonly engine: BakeEngine
  readonly recipe: Recipe
  /** The baked steps of the plan, in order. */
  readonly steps: readonly PlannedStep[]
  /** Names of the boot tunings to apply. */
  readonly tunings: readonly string[]
  readonly thin: boolean
  readonly onFailure: FailureMode
  readonly cache: StepCache
  /** Without it nothing is taken from the cache; states are kept all the same. */
  readonly useCache: boolean
  /** A folder that outlives the disk. */
  readonly work: string
  readonly packageCache?: PackageCacheAddress
}

export interface JobResult {
  readonly disk: SealedDisk
  readonly steps: readonly BakedStep[]
  /** What the agent said at the end; its identity is that of the machine that was baked on. */
  readonly report: Report
  readonly accelerator: string
}

/**
 * Runs the steps in the engine, going on from the longest prefix in the cache and keeping what is worth it, applies the
 * boot tunings, seals. Throws UserError where a step or the seal fails.
 */
export async function runJob(context: Context, options: JobOptions): Promise<JobResult> {
  const { job, engine, cache } = options
  const units = unitsOf(options)
  const keys = chainKeys({
    fingerprint: { engine: engine.name, of: await engine.fingerprint(job, context) },
    baseDigest: job.base.digest,
    steps: units.map(keyOf),
  })
  const from = options.useCache ? await cache.longestPrefix(keys) : undefined
  const done = from === undefined ? 0 : keys.indexOf(from.entry.key as (typeof keys)[number])
  const layer = await cache.reserve()
  const begin = performance.now()
  const label = from === undefined ? `boot the base in the ${engine.name}` : `go on ${after(from)}`
  await using session = await phase(
    context.reporter,
    label,
    () => engine.open(job, openOptions(options, layer, from), context),
    () =>
      from === undefined ? {} : { detail: `${stepsOf(from).length} of ${options.steps.length} steps from the cache` },
  )
  const openSeconds = (performance.now() - begin) / 1000
  const run = new UnitRun(context, options, session, keys, { layer, parent: from, openSeconds })
  return await run.toDisk(units.slice(done))
}

/** What a bake does one after the other; after each a state can be kept. */
type Unit =
  | { readonly kind: 'tune'; readonly names: readonly string[] }
  | { readonly kind: 'step'; readonly step: PlannedStep }

/**
 * The boot tunings come first: they change how the system starts and nothing that a step works with, so steps can run beside
 * them, and a change of a later step does not bring them again.
 */
function unitsOf({ tunings, steps }: JobOptions): readonly Unit[] {
  return [
    ...(tunings.length === 0 ? [] : [{ kind: 'tune', names: tunings } as const]),
    ...steps.map((step) => ({ kind: 'step', step }) as const),
  ]
}

function keyOf(unit: Unit): string {
  return unit.kind === 'step'
    ? unit.step.digest
    : sha256(canonicalJson({ script: sha256(bootstrapScript('tune.sh')), names: [...unit.names] }))
}

function openOptions(options: JobOptions, layer: string, from: CachedState | undefined): OpenOptions {
  const { work, thin, packageCache } = options
  return {
    layer,
    work,
    thin,
    ...(from === undefined
      ? {}
      : { from: { folder: from.folder, chain: from.chain.map((state) => state.folder), note: noteOf(from).engine } }),
    ...(packageCache === undefined ? {} : { packageCache }),
  }
}

function after({ entry }: CachedState): string {
  return entry.stepName === null ? 'from the booted base' : `after step ${entry.stepName}`
}

/** What the spine writes down with a kept state, the engine's own note in it. */
interface StateNote {
  readonly engine: Json
  readonly steps: readonly Omit<BakedStep, 'cached'>[]
}

function noteOf(state: CachedState): StateNote {
  return state.entry.note as unknown as StateNote
}

function stepsOf(state: CachedState): readonly BakedStep[] {
  return noteOf(state).steps.map((step) => ({ ...step, cached: true }))
}

/** One session from its first unit to the sealed disk. */
class UnitRun {
  readonly #context: Context
  readonly #options: JobOptions
  readonly #session: BakeSession
  readonly #keys: readonly string[]
  readonly #openSeconds: number
  readonly #steps: BakedStep[]
  #layer: string
  #parent: CachedState | undefined
  /** Index into the keys: of the state that the session is in. */
  #at: number
  #secondsSinceKept = 0
  /** Boot tunings that are still being applied. */
  #tuning: Tuning | undefined

  constructor(
    context: Context,
    options: JobOptions,
    session: BakeSession,
    keys: readonly string[],
    start: { readonly layer: string; readonly parent: CachedState | undefined; readonly openSeconds: number },
  ) {
    this.#context = context
    this.#options = options
    this.#session = session
    this.#keys = keys
    this.#layer = start.layer
    this.#parent = start.parent
    this.#openSeconds = start.openSeconds
    this.#steps = start.parent === undefined ? [] : [...stepsOf(start.parent)]
    this.#at = start.parent === undefined ? 0 : keys.indexOf(start.parent.entry.key)
  }

  async toDisk(units: readonly Unit[]): Promise<JobResult> {
    const { job, steps, thin, engine } = this.#options
    const session = this.#session
    if (this.#parent === undefined && engine.keepsBoot) await this.#keep(null, null, this.#openSeconds)
    for (const unit of units) {
      await (unit.kind === 'tune' ? this.#tune(unit.names) : this.#run(unit.step))
    }
    await this.#tuned()
    const report = await session.runStep('-')
    refuseUnstamped(report, steps)
    const disk = await phase(this.#context.reporter, 'seal', () => session.seal({ imageId: job.imageId, thin }))
    return { disk, steps: this.#steps, report, accelerator: session.accelerator }
  }

  async #tune(names: readonly string[]): Promise<void> {
    // The agent's unit must be there: some tunings are about it.
    await this.#session.runStep('-')
    this.#tuning = await phase(
      this.#context.reporter,
      'begin to tune the boot',
      () => this.#session.tune(names),
      () => ({ detail: names.join(', ') }),
    )
    this.#at += 1
  }

  /** Waits for boot tunings that are still being applied. */
  async #tuned(): Promise<void> {
    const tuning = this.#tuning
    if (tuning === undefined) return
    this.#tuning = undefined
    const began = performance.now()
    await phase(this.#context.reporter, 'wait for the boot tunings', () => tuning.ended())
    this.#secondsSinceKept += (performance.now() - began) / 1000
  }

  async #run(step: PlannedStep): Promise<void> {
    // It may bring another kernel, and with it what a tuning is about.
    if (this.#options.job.vmStepNames.includes(step.name)) await this.#tuned()
    const report = await phase(
      this.#context.reporter,
      `bake step ${step.name}`,
      () => this.#session.runStep(step.name),
      (result) => (result.outcome === 'failed' ? { detail: 'failed' } : {}),
    )
    const result = report.steps.find((each) => each.digest === step.digest)
    if (result === undefined || (result.outcome !== 'ran' && result.outcome !== 'not-applicable')) {
      const kept = this.#parent?.entry.stepName
      throw await onStepFailure(this.#context, {
        ...{ mode: this.#options.onFailure, recipe: this.#options.recipe, step: step.name },
        ...{ session: this.#session, report, resumesAfter: kept ?? undefined },
      })
    }
    const diskBytes = Math.max(0, result.diskBytes)
    this.#steps.push({ name: step.name, digest: step.digest, seconds: result.wall, diskBytes, cached: false })
    await this.#done(step.name, step.digest, result.wall, diskBytes)
  }

  /** A unit is done; keeps the state where that is worth it. */
  async #done(name: string, digest: string, seconds: number, sizeBytes: number): Promise<void> {
    this.#at += 1
    this.#secondsSinceKept += seconds
    const { keepSeconds } = this.#session
    if (worthKeeping({ secondsSinceLast: this.#secondsSinceKept, keepSeconds, sizeBytes })) {
      await this.#keep(name, digest, this.#secondsSinceKept)
    }
  }

  async #keep(name: string | null, digest: string | null, seconds: number): Promise<void> {
    const { cache, job, engine } = this.#options
    await this.#tuned()
    const next = await cache.reserve()
    const { sizeBytes, note } = await this.#session.keep(next)
    const kept: StateNote = { engine: note, steps: this.#steps.map(({ cached: _, ...rest }) => rest) }
    this.#parent = await cache.keep(this.#layer, {
      key: this.#keys[this.#at] as string,
      parent: this.#parent?.entry.id ?? null,
      engine: engine.name,
      base: job.base.digest,
      ...{ stepName: name, stepDigest: digest, seconds, sizeBytes },
      note: kept as unknown as Json,
    })
    this.#layer = next
    this.#secondsSinceKept = 0
  }
}

/** The agent itself must say that every step is in place: a stamp that is missing now would be missing in the image. */
function refuseUnstamped(report: Report, steps: readonly PlannedStep[]): void {
  const done = report.steps.filter(({ outcome }) => outcome === 'stamped' || outcome === 'not-applicable')
  const digests = new Set(done.map((step) => step.digest))
  const missing = steps.filter((step) => !digests.has(step.digest)).map((step) => step.name)
  if (missing.length > 0) {
    throw new UserError(`after the bake the agent does not find these steps done: ${missing.join(', ')}`, {
      hint: 'a later step removed what it had written: /var/lib/parbake must stay',
      code: 'bake-failed',
    })
  }
}
