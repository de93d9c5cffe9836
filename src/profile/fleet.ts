import type { When } from '../recipe/model.ts'
import type { FailedBoot } from './model.ts'

/**
 * What a whole fleet measured, at any size: plain JSON, made from mergeable sketches. Counts, minima, maxima and means
 * are exact. Quantiles are of type 7 (as in `Spread`): exact up to `exactUpTo` samples, beyond that off by at most
 * `relativeError` of the value.
 */
export interface FleetStatistics {
  readonly v: 1
  readonly recipe: string
  readonly quantiles: {
    readonly method: 'type-7'
    /** Largest relative error of a quantile, 0 to 1. */
    readonly relativeError: number
    /** Up to this many samples quantiles are exact. */
    readonly exactUpTo: number
  }
  readonly reports: FleetCounts
  /** Unix seconds at which the first and the last converge of the fleet began. */
  readonly from: number | undefined
  readonly to: number | undefined
  /** Ascending days (UTC, YYYY-MM-DD) that had cold boots. */
  readonly history: readonly FleetDay[]
  /** The same per week; `day` is its Monday. */
  readonly weeks: readonly FleetDay[]
  readonly launches: LaunchRate
  /** In the recipe's order where there is a recipe; digests that it has no more come last, newest first. */
  readonly steps: readonly FleetStep[]
  /** One per step name, in the same order: what became of a step as the recipe changed. */
  readonly names: readonly FleetStepName[]
  /** Cold boots that succeeded. */
  readonly launchToReady: FleetSpread | undefined
  /** The same boots and the cold step timings, by what the hosts were. */
  readonly groups: Readonly<Record<GroupDimension, readonly FleetGroup[]>>
  readonly failures: FleetFailures
  readonly outliers: FleetOutliers
}

export const groupDimensions = ['instanceType', 'region', 'image', 'distribution'] as const
/** `image` is '' for a plain base; `distribution` is like `debian-12`; what no host told is `unknown`. */
export type GroupDimension = (typeof groupDimensions)[number]

export interface FleetCounts {
  /** Reports of the fleet. */
  readonly fleet: number
  /** First converges of an instance. */
  readonly cold: number
  /** All other converges, by cron on live hosts. */
  readonly warm: number
  /** Cold converges that failed; no launch-to-ready counts them. */
  readonly failed: number
  readonly warmFailed: number
  /** Reports of bakes and their verification, which no statistics count. */
  readonly otherPurpose: number
  /** Documents that are no report of this recipe. */
  readonly skipped: number
  /** Of all documents, those whose figures came from rollups; the others were read for this answer. */
  readonly rolledUp: number
}

/** Order statistics of one quantity in its own unit: seconds or bytes. */
export interface FleetSpread {
  readonly count: number
  /** True below three samples: take the figures as hints. */
  readonly few: boolean
  readonly median: number
  readonly p95: number
  readonly min: number
  readonly max: number
  readonly mean: number
  /** Of the sample (n - 1); 0 for one sample. */
  readonly stddev: number
}

/** What the runs of one step digest cost, either at first boots or on live hosts. */
export interface StepRuns {
  /** Runs that succeeded: the samples of the spreads. */
  readonly count: number
  readonly few: boolean
  readonly failures: number
  /** Converges in which the stamp had come with the image. */
  readonly baked: number
  /** Runs that needed more than one attempt. */
  readonly retried: number
  /** Wall seconds over all attempts. */
  readonly wall: FleetSpread | undefined
  /** CPU seconds. */
  readonly cpu: FleetSpread | undefined
  readonly rxBytes: FleetSpread | undefined
  readonly diskBytes: FleetSpread | undefined
  /** Wall seconds by launch-to-ready, 0 to 1; of successful cold boots. */
  readonly share: FleetSpread | undefined
  /** Seconds of waiting for the package manager's lock, where hosts measured it. */
  readonly lockSeconds: FleetSpread | undefined
  /** Seconds lost to attempts that failed, where hosts measured it. */
  readonly retrySeconds: FleetSpread | undefined
  /** Wall seconds per group value, largest count first. */
  readonly by: Readonly<Record<GroupDimension, readonly GroupSpread[]>>
  readonly outliers: Outliers | undefined
}

export interface FleetStep {
  readonly name: string
  readonly digest: string
  readonly when: When
  /** Whether the recipe as it is now has this digest; undefined where no recipe was given. */
  readonly current: boolean | undefined
  /** Unix seconds. */
  readonly firstSeen: number
  readonly lastSeen: number
  readonly cold: StepRuns
  /** Measured again by cron on live hosts: kept apart, for caches are warm there. */
  readonly warm: StepRuns
  /** Of the cold wall seconds; undefined where there are too few days. */
  readonly trend: Trend | undefined
}

/**
 * Whether a figure rises or falls over days: Theil and Sen's slope through the daily medians, and Kendall's test of it
 * (Mann 1945, normal approximation) at 5 %.
 */
export interface Trend {
  readonly days: number
  /** Change of the median per week, by the median of the daily medians: 0.03 is 3 % a week. */
  readonly perWeek: number
  readonly direction: 'rising' | 'falling' | 'steady'
}

export interface FleetStepName {
  readonly name: string
  /** Digests that the name had, by when they were first seen. */
  readonly versions: readonly StepVersion[]
}

export interface StepVersion {
  readonly digest: string
  readonly firstSeen: number
  readonly lastSeen: number
  /** Cold wall seconds. */
  readonly wall: FleetSpread | undefined
  /** Median against the version before, -0.3 being 30 % faster; undefined for the first or where either was not measured. */
  readonly change: number | undefined
}

export interface GroupSpread extends FleetSpread {
  readonly value: string
}

export interface FleetGroup {
  readonly value: string
  /** Cold converges. */
  readonly cold: number
  readonly failed: number
  /** Cold boots that succeeded. */
  readonly launchToReady: FleetSpread | undefined
}

/** Launch-to-ready in one day or week: by the date of the folder that the report was sent to. */
export interface FleetDay {
  /** YYYY-MM-DD, UTC. */
  readonly day: string
  /** Cold converges, failed ones included. */
  readonly launches: number
  readonly failed: number
  readonly launchToReady: FleetSpread | undefined
  /** Per image and bundle, largest count first. */
  readonly versions: readonly FleetDayVersion[]
  /** Bundles and images that no earlier one had. The first of all marks none. */
  readonly newBundles: readonly string[]
  readonly newImages: readonly string[]
}

export interface FleetDayVersion {
  /** Image id, '' for a plain base. */
  readonly image: string
  /** Bundle digest, '' where the agent got none. */
  readonly bundle: string
  readonly launches: number
  readonly failed: number
  readonly launchToReady: FleetSpread | undefined
}

/** How often hosts are launched. */
export interface LaunchRate {
  /** Cold converges in the days counted. */
  readonly launches: number
  /** Whole days from the first day with a report to the last; 0 without any. */
  readonly days: number
  readonly perDay: number | undefined
  /** The same over the last seven of those days. */
  readonly perDayLastWeek: number | undefined
}

export interface FleetFailures {
  /** Cold boots that failed. */
  readonly count: number
  /** The last of them, oldest first. */
  readonly boots: readonly FailedBoot[]
  /** Cold and warm failures per step digest, most first. */
  readonly steps: readonly { readonly name: string; readonly digest: string; readonly count: number }[]
}

export interface FleetOutliers {
  readonly launchToReady: Outliers | undefined
}

/** Samples far above the others: more than three interquartile ranges above the third quartile (Tukey's far out). */
export interface Outliers {
  readonly count: number
  /** Seconds; samples above are counted. */
  readonly above: number
  /** The slowest of them, slowest first. */
  readonly slowest: readonly SlowRun[]
}

export interface SlowRun {
  readonly run: string
  readonly host: string
  readonly seconds: number
}
