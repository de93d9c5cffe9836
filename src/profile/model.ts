import type { When } from '../recipe/model.ts'

/**
 * Order statistics of one measured quantity, in its own unit. Quantiles are type 7 of Hyndman and Fan (linear
 * interpolation between the two nearest order statistics, what numpy and R take by default), so that the median of an
 * even count is the mean of the middle two.
 */
export interface Spread {
  readonly count: number
  readonly median: number
  readonly p95: number
  readonly min: number
  readonly max: number
}

/** What the fleet's cold boots say about one step digest. */
export interface StepProfile {
  readonly name: string
  readonly digest: string
  readonly when: When
  /** Whether the recipe as it is now has this digest; undefined where no recipe was given. */
  readonly current: boolean | undefined
  /** Cold boots in which the step was executed and succeeded: the samples of all spreads below. */
  readonly count: number
  /** True below `fewSamples` samples: treat the figures as hints. */
  readonly few: boolean
  /** Wall seconds over all attempts. */
  readonly wall: Spread | undefined
  /** CPU seconds. */
  readonly cpu: Spread | undefined
  readonly rxBytes: Spread | undefined
  readonly diskBytes: Spread | undefined
  /** Median over successful cold boots of wall seconds by launch-to-ready, 0 to 1. */
  readonly share: number | undefined
  /** Cold boots in which the step failed. */
  readonly failures: number
  /** Cold boots in which its stamp had come with the image. */
  readonly baked: number
}

/** Launch-to-ready of a group of successful cold boots, in seconds. */
export interface ReadyProfile {
  /** Image id, '' for a plain base; undefined where the group mixes images. */
  readonly image: string | undefined
  readonly count: number
  readonly few: boolean
  /** From power-on where `firmware` is known, else from the start of the kernel. */
  readonly launchToReady: Spread
  /** From the start of the kernel, as the guest counts. */
  readonly readyUptime: Spread
  /** Median seconds before the kernel starts; undefined where no launch was measured from outside. */
  readonly firmwareSeconds: number | undefined
  /** True where only boots of the recipe as it is now were counted. */
  readonly current: boolean
}

/** A failed cold boot; kept apart, no launch-to-ready counts it. */
export interface FailedBoot {
  readonly run: string
  readonly host: string
  readonly image: string
  /** Unix seconds. */
  readonly startedAt: number
  readonly error: string
  /** Names of the steps that failed. */
  readonly steps: readonly string[]
}

/** Statistics over many reports of one recipe. Plain data: `--json` prints it as it is. */
export interface Profile {
  readonly v: 1
  /** '' where there was neither a recipe nor a report. */
  readonly recipe: string
  readonly quantiles: 'type-7'
  /** Largest relative error of the quantiles, where the fleet is too large to hold every sample; absent where they are exact. */
  readonly relativeError?: number
  readonly reports: {
    /** Reports of the fleet, each run counted once. */
    readonly fleet: number
    /** Of those, first converges of an instance: only they count below. */
    readonly cold: number
    /** Of the cold ones, those that failed. */
    readonly failed: number
    /** Reports of bakes and of their verification, which no profile counts. */
    readonly otherPurpose: number
  }
  /** Unix seconds of the first and last fleet report. */
  readonly from: number | undefined
  readonly to: number | undefined
  /** In the recipe's order; digests that the recipe has no more come last, newest first. */
  readonly steps: readonly StepProfile[]
  readonly ready: {
    /** Cold boots in which every step ran, none being baked or otherwise done before: what runtime provisioning costs. */
    readonly allRan: ReadyProfile | undefined
    /** Cold boots in which at least one step was baked. */
    readonly someBaked: ReadyProfile | undefined
    /** Per image, plain base first. */
    readonly images: readonly ReadyProfile[]
  }
  readonly failedBoots: readonly FailedBoot[]
}

/** Below this many samples figures are flagged. */
export const fewSamples = 3
