import type { PlanDefaults } from '../config.ts'
import type { When } from '../recipe/model.ts'

/** Why a step is baked. */
export type BakeReason =
  /** Its recipe says `bake: always`. */
  | 'forced'
  /** Its measured median reaches the threshold. */
  | 'slow'
  /** A step that is baked needs it. */
  | 'needed'

/** Why a step is left to runtime. */
export type RuntimeReason =
  /** Its `when` is not `change`: every instance, boot or converge has to run it. */
  | 'when'
  /** Its recipe says `bake: never`. */
  | 'bake-never'
  /** It needs, directly or not, a step that cannot be baked. */
  | 'needs-runtime'
  /** It only ever failed when measured, so a bake of it would fail too. */
  | 'only-failures'
  | 'not-measured'
  /** Its measured median is below the threshold. */
  | 'quick'

interface PlannedStepBase {
  readonly name: string
  readonly digest: string
  readonly when: When
  /** A sentence for people, with the numbers that decided. */
  readonly explanation: string
  /** Median wall seconds in cold boots; absent where never measured. */
  readonly medianSeconds?: number
  /** Samples behind the median; 0 where there are none. */
  readonly count: number
  /** Median share of launch-to-ready, 0 to 1. */
  readonly share?: number
}

/** The decision about one step. */
export type PlannedStep =
  | (PlannedStepBase & {
      readonly decision: 'bake'
      readonly reason: BakeReason
      /** Baked steps that need it, directly or not; only with reason `needed`. */
      readonly neededBy: readonly string[]
    })
  | (PlannedStepBase & {
      readonly decision: 'runtime'
      readonly reason: RuntimeReason
      /** Steps it needs that cannot be baked themselves; only with reason `needs-runtime`. */
      readonly blockedBy: readonly string[]
    })

/** What a launch of the baked image should take, from medians. */
export interface Prediction {
  /** Median launch-to-ready of boots in which nothing was baked, seconds. */
  readonly unbakedSeconds: number
  /** Boots behind it. */
  readonly count: number
  /** The same less the medians of the baked steps, plus the residual; never below the residual. */
  readonly bakedSeconds: number
  readonly savingSeconds: number
  /** What a stamped step still costs at boot, seconds, all of them together. */
  readonly residualSeconds: number
  /** True where the boots behind it ran this very version of the recipe. */
  readonly current: boolean
  /** True where firmware time is in all of the figures. */
  readonly fromPowerOn: boolean
}

/** The decision about one way to make the image boot faster. */
export interface PlannedTuning {
  readonly name: string
  readonly title: string
  readonly apply: boolean
  /** Why it is safe, or why it is left; a clause for people. */
  readonly why: string
}

/** What to bake and what to leave: pure data, all digests resolved. */
export interface Plan {
  readonly v: 1
  readonly recipe: string
  /** Digest of the base, where the plan was made for one. */
  readonly base?: string
  readonly settings: PlanDefaults
  /** What a step's median had to reach, seconds. */
  readonly thresholdSeconds: number
  /** All steps, in the order in which they run. */
  readonly steps: readonly PlannedStep[]
  /** Ways to make the image boot faster, in the order in which they are applied; empty where none were considered. */
  readonly tunings: readonly PlannedTuning[]
  /** Absent where no boot without baked steps was measured. */
  readonly prediction?: Prediction
  /** What the user should know about the figures. */
  readonly notes: readonly string[]
  /**
   * sha256 of canonical JSON of the base, the baked digests in order and the names of the tunings, if any: equal exactly
   * while the same would be baked.
   */
  readonly planDigest: string
}

/** Names of the tunings to apply, in order. */
export function appliedTunings(plan: Plan): readonly string[] {
  return plan.tunings.filter((tuning) => tuning.apply).map((tuning) => tuning.name)
}

/** The baked steps, in the order in which they run. */
export function bakedSteps(plan: Plan): readonly PlannedStep[] {
  return plan.steps.filter((step) => step.decision === 'bake')
}
