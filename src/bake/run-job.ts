import { UserError } from '../errors.ts'
import type { Context } from '../context.ts'
import type { PlannedStep } from '../plan/model.ts'
import { reportSchema, type Report, type StepReport } from '../profile/report.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { formatSeconds } from '../report/reporters.ts'
import { chainKeys } from '../step-cache/keys.ts'
import type { CachedState, StepCache } from '../step-cache/cache.ts'
import { worthKeeping } from '../step-cache/worth.ts'
import type { Json } from '../util/canonical-json.ts'
import type { BakeEngine, BakeJob, BakeSession, PackageCacheAddress, SealedDisk } from './engine.ts'
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
  readonly tuningSeconds: number
  readonly consoleLog: string
}

/**
 * Runs the steps in the engine, going on from the longest prefix in the cache and keeping what is worth it, applies the
 * boot tunings, seals. Throws UserError where a step or the seal fails.
 */
export async function runJob(context: Context, options: JobOptions): Promise<JobResult> {
  const { job, engine, cache, steps } = options
  const keys = chainKeys({
    fingerprint: { engine: engine.name, of: await engine.fingerprint(job, context) },
    baseDigest: job.base.digest,
    steps: steps.map((step) => step.digest),
  })
  const from = options.useCache ? await cache.longestPrefix(keys) : undefined
  const done = from === undefined ? [] : stepsOf(from)
  const layer = await cache.reserve()
  const begin = performance.now()
  const label = from === undefined ? `boot the base in the ${engine.name}` : `go on ${after(from)}`
  await using session = await phase(
    context.reporter,
    label,
    () =>
      engine.open(
        job,
        {
          layer,
          work: options.work,
          ...(from === undefined
            ? {}
            : {
                from: {
                  folder: from.folder,
                  chain: from.chain.map((state) => state.folder),
                  note: noteOf(from).engine,
                },
              }),
          ...(options.packageCache === undefined ? {} : { packageCache: options.packageCache }),
        },
        context,
      ),
    () => (from === undefined ? {} : { detail: `${done.length} of ${steps.length} steps from the cache` }),
  )
  const openSeconds = (performance.now() - begin) / 1000
  const run = new StepRun(context, options, session, keys, { layer, parent: from, done, openSeconds })
  return await run.toDisk()
}

function after(state: CachedState): string {
  return state.entry.stepName === null ? 'from the booted base' : `after step ${state.entry.stepName}`
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

/** One session from its first step to the sealed disk. */
class StepRun {
  readonly #context: Context
  readonly #options: JobOptions
  readonly #session: BakeSession
  readonly #keys: readonly string[]
  #layer: string
  #parent: CachedState | undefined
  readonly #done: BakedStep[]
  readonly #openSeconds: number
  #secondsSinceKept: number

  constructor(
    context: Context,
    options: JobOptions,
    session: BakeSession,
    keys: readonly string[],
    start: {
      readonly layer: string
      readonly parent: CachedState | undefined
      readonly done: readonly BakedStep[]
      readonly openSeconds: number
    },
  ) {
    this.#context = context
    this.#options = options
    this.#session = session
    this.#keys = keys
    this.#layer = start.layer
    this.#parent = start.parent
    this.#done = [...start.done]
    this.#openSeconds = start.openSeconds
    this.#secondsSinceKept = 0
  }

  async toDisk(): Promise<JobResult> {
    const { job, steps, tunings, thin, engine } = this.#options
    const { reporter } = this.#context
    const session = this.#session
    if (this.#parent === undefined && engine.keepsBoot) await this.#keep(null, this.#openSeconds)
    for (const step of steps.slice(this.#done.length)) await this.#run(step)
    const report = await session.runStep('-')
    refuseUnstamped(report, steps)
    const tuningSeconds =
      tunings.length === 0
        ? 0
        : await phase(
            reporter,
            'tune the boot',
            () => session.tune(tunings),
            () => ({ detail: tunings.join(', ') }),
          )
    const disk = await phase(reporter, 'seal', () => session.seal({ imageId: job.imageId, thin }))
    return {
      disk,
      steps: this.#done,
      report,
      accelerator: session.accelerator,
      tuningSeconds,
      consoleLog: session.consoleLog,
    }
  }

  async #run(step: PlannedStep): Promise<void> {
    const { reporter } = this.#context
    const report = await phase(
      reporter,
      `bake step ${step.name}`,
      () => this.#session.runStep(step.name),
      (result) => (result.outcome === 'failed' ? { detail: 'failed' } : {}),
    )
    const result = report.steps.find((each) => each.digest === step.digest)
    if (result === undefined || result.outcome !== 'ran') {
      throw await onStepFailure(this.#context, {
        ...{ mode: this.#options.onFailure, recipe: this.#options.recipe, step: step.name },
        ...{ session: this.#session, report, resumesAfter: this.#parent?.entry.stepName ?? undefined },
      })
    }
    this.#done.push({
      name: step.name,
      digest: step.digest,
      seconds: result.wall,
      diskBytes: Math.max(0, result.diskBytes),
      cached: false,
    })
    this.#secondsSinceKept += result.wall
    await this.#keepIfWorthIt(step, result)
  }

  async #keepIfWorthIt(step: PlannedStep, result: StepReport): Promise<void> {
    const seconds = this.#secondsSinceKept
    const sizeBytes = Math.max(0, result.diskBytes)
    if (!worthKeeping({ secondsSinceLast: seconds, keepSeconds: this.#session.keepSeconds, sizeBytes })) return
    await this.#keep(step, seconds)
  }

  async #keep(step: PlannedStep | null, seconds: number): Promise<void> {
    const { cache, job, engine } = this.#options
    const next = await cache.reserve()
    const { sizeBytes, note } = await this.#session.keep(next)
    const kept: StateNote = { engine: note, steps: this.#done.map(({ cached: _, ...rest }) => rest) }
    this.#parent = await cache.keep(this.#layer, {
      key: this.#keys[this.#done.length] as string,
      parent: this.#parent?.entry.id ?? null,
      engine: engine.name,
      base: job.base.digest,
      stepName: step?.name ?? null,
      stepDigest: step?.digest ?? null,
      seconds,
      sizeBytes,
      note: kept as unknown as Json,
    })
    this.#layer = next
    this.#secondsSinceKept = 0
  }
}

/** The agent itself must say that every step is in place: a stamp that is missing now would be missing in the image. */
function refuseUnstamped(report: Report, steps: readonly PlannedStep[]): void {
  const stamped = new Set(
    reportSchema
      .parse(report)
      .steps.filter((step) => step.outcome === 'stamped')
      .map((step) => step.digest),
  )
  const missing = steps.filter((step) => !stamped.has(step.digest)).map((step) => step.name)
  if (missing.length > 0) {
    throw new UserError(`after the bake the agent does not find these steps done: ${missing.join(', ')}`, {
      hint: 'a later step removed what it had written: /var/lib/parbake must stay',
      code: 'bake-failed',
    })
  }
}

/** How long a whole bake of these steps took, cached ones not counted. */
export function stepsSummary(steps: readonly BakedStep[]): string {
  const ran = steps.filter((step) => !step.cached)
  const seconds = ran.reduce((sum, step) => sum + step.seconds, 0)
  return `${ran.length} run in ${formatSeconds(seconds)}, ${steps.length - ran.length} from the cache`
}
