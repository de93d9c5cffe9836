import type { FleetSpread, FleetStatistics, GroupDimension, Outliers, Trend } from '../profile/fleet.ts'
import type { FailedBoot } from '../profile/model.ts'
import type { Waterfall, WaterfallSpan } from '../profile/waterfall.ts'
import type { Plan, PlannedStep } from '../plan/model.ts'

/**
 * Everything that the page shows, and nothing else: `parbake report --json` prints it as it is. Seconds and bytes, shares
 * from 0 to 1; a member that is absent was not measured.
 */
export interface PageData {
  readonly v: 1
  readonly recipe: string
  readonly description?: string
  /** ISO 8601, UTC. */
  readonly generatedAt: string
  /** Unix seconds of the first and the last report that counts. */
  readonly from?: number
  readonly to?: number
  readonly reports: FleetStatistics['reports']
  /** How far off quantiles over many boots may be, as a share of the value. */
  readonly quantileError: number
  readonly headline: Headline
  /** One typical boot without and one with an image. */
  readonly boots: { readonly before?: TypicalBoot; readonly after?: TypicalBoot }
  readonly time: { readonly before?: TimeShares; readonly after?: TimeShares }
  readonly steps: readonly StepView[]
  readonly plan: Plan
  /** Newest first. */
  readonly images: readonly ImageView[]
  readonly history: History
  readonly groups: readonly GroupView[]
  /** Newest first, at most `maxFailedBoots`; `reports.failed` counts them all. */
  readonly failedBoots: readonly FailedBoot[]
  /** What a reader should know about the figures: sentences for people. */
  readonly notes: readonly string[]
}

/** Launch-to-ready of a group of successful cold boots. */
export interface ReadyView {
  readonly count: number
  /** Too few boots to be sure. */
  readonly few: boolean
  readonly median: number
  readonly p95: number
  /** Whether the boots ran the recipe as it is now. */
  readonly current: boolean
  /** Whether the time before the kernel is in it. */
  readonly fromPowerOn: boolean
}

/** What a manager reads first. */
export interface Headline {
  /** Everything at runtime, on a plain base. */
  readonly before?: ReadyView
  /** With the image. */
  readonly after?: ReadyView & { readonly imageId: string }
  /** Medians: before less after; negative where the image is slower. */
  readonly savedSeconds?: number
  /** The same as a share of before. */
  readonly savedShare?: number
  /** First converges of an instance per day: of the last week of reports where that is known, else of all. */
  readonly launchesPerDay?: number
  /** `launchesPerDay` times `savedSeconds`, where that is more than nothing. */
  readonly savedSecondsPerDay?: number
}

/** The boot of a group that is nearest to the group's median, among those measured in most detail. */
export interface TypicalBoot {
  readonly waterfall: Waterfall
  /** Boots that it was chosen from. */
  readonly of: number
  /** Whether firmware time is in the waterfall. */
  readonly fromPowerOn: boolean
  /** Whether kernel, units and cloud-init were measured one by one. */
  readonly detailed: boolean
}

/** Mean seconds by category and step; the mean is what adds up to the whole. */
export interface TimeShares {
  readonly count: number
  readonly fromPowerOn: boolean
  /** Mean launch-to-ready of these boots: the sum of the parts. */
  readonly mean: number
  readonly parts: readonly TimePart[]
}

export interface TimePart {
  readonly category: WaterfallSpan['category']
  /** The step's name; absent for every other category. */
  readonly step?: string
  readonly seconds: number
  readonly share: number
}

/** One step of the recipe: what it costs over the fleet, and what the plan does with it. */
export interface StepView {
  readonly name: string
  readonly digest: string
  readonly decision: PlannedStep['decision']
  readonly explanation: string
  readonly count: number
  readonly few: boolean
  readonly failures: number
  /** Cold boots in which it came with the image. */
  readonly baked: number
  readonly wall?: FleetSpread
  readonly cpuMedian?: number
  readonly rxBytesMedian?: number
  readonly diskBytesMedian?: number
  readonly lockMedian?: number
  readonly retryMedian?: number
  /** Median share of launch-to-ready. */
  readonly share?: number
  readonly trend?: Trend
  /** Median against that of the step's version before, -0.3 being 30 % faster. */
  readonly change?: number
  readonly outliers?: Outliers
}

export interface ImageView {
  readonly imageId: string
  /** ISO 8601, UTC. */
  readonly createdAt: string
  readonly base: string
  readonly sizeBytes: number
  /** Stored size less that of the base; negative where the image is smaller. */
  readonly addedBytes: number
  readonly virtualSizeBytes: number
  /** A thin image needs its base beside it. */
  readonly thin: boolean
  readonly steps: readonly {
    readonly name: string
    readonly seconds: number
    readonly diskBytes?: number
  }[]
  readonly tunings: readonly string[]
  /** Launch-to-ready as the plan foretold it, and what the bake's own verifying launch took, counted from the same moment. */
  readonly predictedSeconds?: number
  readonly verifiedSeconds: number
  /** Measured less foretold, by foretold. */
  readonly predictionError?: number
  /** Whether the image channel points to it. */
  readonly current: boolean
  /** Boots of the fleet. */
  readonly fleet?: ReadyView
}

/** Launch-to-ready over time. */
export interface History {
  /** By day, then by image and bundle, those with most boots first. */
  readonly days: readonly HistoryDay[]
  /** In order. */
  readonly events: readonly HistoryEvent[]
}

export interface HistoryDay {
  /** YYYY-MM-DD, UTC. */
  readonly day: string
  /** Image id, '' for a plain base. */
  readonly image: string
  /** Bundle digest, '' where the agent got none. */
  readonly bundle: string
  readonly launches: number
  readonly failed: number
  readonly ready?: FleetSpread
}

/** The first day on which a bundle or an image was seen on a host. */
export interface HistoryEvent {
  readonly kind: 'recipe' | 'image'
  readonly day: string
  /** Bundle digest or image id. */
  readonly name: string
}

/** Launch-to-ready by a property of the hosts. */
export interface GroupView {
  readonly dimension: GroupDimension
  readonly value: string
  readonly cold: number
  readonly failed: number
  readonly ready?: FleetSpread
}

/** Failed boots that the page lists. */
export const maxFailedBoots = 20
