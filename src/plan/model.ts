import type { Objective, PlanDefaults } from '../config.ts'
import type { When } from '../recipe/model.ts'

/** Why a step is baked. */
export type BakeReason =
  /** Its recipe says `bake: always`. */
  | 'forced'
  /** Its measured median reaches the threshold, and what it saves is worth what it costs. */
  | 'slow'
  /** A step that is baked needs it. */
  | 'needed'
  /** The image in force has it, and what was measured since does not show clearly that it should not. */
  | 'kept'

/** Why a step is left to runtime. */
export type RuntimeReason =
  /** Its `when` is not `change`: every instance, boot or converge has to run it. */
  | 'when'
  /** Its recipe says `bake: never`. */
  | 'bake-never'
  /** It uses a secret, which no image may hold. */
  | 'secret'
  /** Its `if` asks about the platform or a tag, which may differ between the bake and a host. */
  | 'condition'
  /** It needs, directly or not, a step that cannot be baked. */
  | 'needs-runtime'
  /** It only ever failed when measured, so a bake of it would fail too. */
  | 'only-failures'
  | 'not-measured'
  /** Its measured median is below the threshold. */
  | 'quick'
  /** It changes so often that images with it would be stale, or baked again, more than it saves. */
  | 'changes-often'
  /** With the steps it needs it costs more than it saves. */
  | 'not-worth'
  /** The limit on the image's growth leaves no room for it. */
  | 'no-room'
  /** What the objective asks for is reached without it. */
  | 'not-asked'
  /** The image in force is without it, and what was measured does not show clearly that it should have it. */
  | 'unsettled'

/** Where a number of the model comes from. */
export type Source = 'measured' | 'setting' | 'assumed'

export interface Figure {
  readonly value: number
  readonly source: Source
}

/** What the costs of all steps are reckoned with. */
export interface CostModel {
  /** `serial`: the agent runs one step after the other. `parallel`: steps run as soon as what they need is done. */
  readonly execution: 'serial' | 'parallel'
  readonly launchesPerDay: Figure
  /** Seconds by which a GiB of image, as stored, delays a launch. */
  readonly secondsPerGiB: Figure
  /** Bytes stored in the image for each byte by which a step grows the file system. */
  readonly storedShare: Figure
  /** Seconds of a bake besides its steps: boot, seal, compression, verification. */
  readonly bakeOverheadSeconds: Figure
  /** Seconds from a change of the recipe until the image has it. */
  readonly rebakeSeconds: Figure
  /** What a second of a bake weighs against a second of a launch. */
  readonly bakeWeight: Figure
}

/** What baking one step saves and costs, as far as it is known. */
export interface StepCosts {
  /** `earlier`: of another digest of the same step, the newest. */
  readonly measured: 'this-version' | 'earlier' | 'never'
  /** Seconds that a launch of an image with this very version is sooner ready. */
  readonly savedSeconds: number
  /** What the step still takes when it is baked, seconds. */
  readonly residualSeconds: Figure
  /** Bytes that it adds to the image as stored; absent where unknown. */
  readonly imageBytes?: number
  /** How often its digest changes, with the steps it needs. */
  readonly changesPerDay: Figure
  /** Share of launches, 0 to 1, that find the version in the image to be the current one. */
  readonly freshShare: number
  /** What baking it brings, counting its own savings only if they reach the threshold: launch seconds a day … */
  readonly gainPerDay: number
  /** … and what it costs in bakes and storage, in weighed seconds a day. */
  readonly costPerDay: number
}

interface PlannedStepBase {
  readonly name: string
  readonly digest: string
  readonly when: When
  /** A sentence for people, with the numbers that decided. */
  readonly explanation: string
  /** What would have to be different for another decision; absent where nothing measurable would do. */
  readonly wouldChange?: string
  /** Median wall seconds in cold boots; absent where never measured. */
  readonly medianSeconds?: number
  /** Samples behind the median; 0 where there are none. */
  readonly count: number
  /** Median share of launch-to-ready, 0 to 1. */
  readonly share?: number
  readonly costs: StepCosts
  /** Whether the image in force has it: this version, another one, or none. Absent where there is no image. */
  readonly inForce?: 'this-version' | 'another' | 'no'
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

/** Where a launch of the baked image should be ready in nine of ten cases. */
export interface Interval {
  readonly lowSeconds: number
  readonly highSeconds: number
  /** Share of launches that should lie in it. */
  readonly coverage: number
  /**
   * `student-t`: of Student, from the boots' spread and an assumed one; `empirical`: the boots' own quantiles, from 40 boots
   * on; `assumed`: from the assumed spread alone, for one boot shows none.
   */
  readonly formula: 'student-t' | 'empirical' | 'assumed'
  /** Boots behind it. */
  readonly samples: number
}

/** What a launch of the baked image should take. */
export interface Prediction {
  /** Median launch-to-ready of boots in which nothing was baked, seconds. */
  readonly unbakedSeconds: number
  /** Boots behind it. */
  readonly count: number
  /** Median of what the boots took, less what they ran and is baked, plus what they did not run and is not, plus the residual. */
  readonly bakedSeconds: number
  readonly savingSeconds: number
  /** What a stamped step still costs at boot, seconds, all of them together. */
  readonly residualSeconds: number
  /** True where the boots behind it ran this very version of the recipe. */
  readonly current: boolean
  /** True where firmware time is in all of the figures. */
  readonly fromPowerOn: boolean
  readonly interval: Interval
  /**
   * Which boots it comes from: of images, which start like the new one will; else of the plain base, which start the agent
   * later than an image does; else from the profile's medians alone.
   */
  readonly basis: 'images' | 'base' | 'medians'
}

/** What was foretold for an earlier image and the median of its verifying launches, on the machine that baked it. */
export interface EarlierPrediction {
  readonly imageId: string
  readonly predictedSeconds: number
  readonly measuredSeconds: number
  /** How many verifying launches there were. */
  readonly launches: number
  /** (measured - predicted) / predicted. */
  readonly error: number
}

/** The decision about one way to make the image boot faster. */
export interface PlannedTuning {
  readonly name: string
  readonly title: string
  readonly apply: boolean
  /** Why it is safe, or why it is left; a clause for people. */
  readonly why: string
}

/** What the plan asks the solver for. */
export interface PlanSettings extends PlanDefaults {
  readonly objective: Objective
  readonly minSavingSeconds: number
  readonly minShare: number
}

/** How good the choice is. */
export interface Optimum {
  /** `closure`: minimum cut. `bounded`: branch and bound. `critical-path`: all choices that can be best, compared. */
  readonly method: 'closure' | 'bounded' | 'critical-path'
  /** True where it is proved that no other choice is better. */
  readonly exact: boolean
  /** By how much of its value, 0 to 1, a better choice could be better at most; 0 where exact. */
  readonly gap: number
}

/** What the plan brings and costs, against baking nothing. */
export interface Economics {
  /** Seconds that a launch of a fresh image is sooner ready. */
  readonly savedPerLaunch: number
  /** Over all launches, with the share of those that find steps stale. */
  readonly savedPerDay: number
  /** Bytes that the steps add to the image as stored. */
  readonly imageBytes: number
  /** How often a baked step changes, so that another bake is due. */
  readonly bakesPerDay: number
  /** Seconds of baking a day. */
  readonly bakeSecondsPerDay: number
  /** Share of launches, 0 to 1, that find at least one baked step stale. */
  readonly staleShare: number
  /** A month's worth in the user's prices; absent without prices. */
  readonly money?: {
    readonly currency: string
    readonly savedPerMonth: number
    readonly bakesPerMonth: number
    readonly storagePerMonth: number
  }
}

/** The image in force and what the plan would make different. */
export interface Difference {
  readonly imageId: string
  /** Steps, by name, that the image has not and the plan bakes. */
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** Steps that both have, in different versions. */
  readonly changed: readonly string[]
  /** True where another choice would be a little better, but not by enough to bake anew for. */
  readonly kept: boolean
}

/** What to bake and what to leave: pure data, all digests resolved. */
export interface Plan {
  readonly v: 1
  readonly recipe: string
  /** Digest of the base, where the plan was made for one. */
  readonly base?: string
  readonly settings: PlanSettings
  readonly model: CostModel
  readonly optimum: Optimum
  /** What a step's median had to reach, seconds. */
  readonly thresholdSeconds: number
  /** All steps, in the order in which they run. */
  readonly steps: readonly PlannedStep[]
  /** Ways to make the image boot faster, in the order in which they are applied; empty where none were considered. */
  readonly tunings: readonly PlannedTuning[]
  readonly economics: Economics
  /** Absent where no boot without baked steps was measured. */
  readonly prediction?: Prediction
  /** Of the images baked before, oldest first. */
  readonly earlier: readonly EarlierPrediction[]
  /** Absent where there is no image yet. */
  readonly inForce?: Difference
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
