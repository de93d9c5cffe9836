import type { Rollout } from '../bundle/channel.ts'
import type { Proportion } from './proportion.ts'

/** What a rollout may cost before it is halted. */
export interface Bounds {
  /** Share of hosts whose last converge failed, 0 to 1. */
  readonly maxFailureRate: number
  /** Times the seconds that hosts took before. */
  readonly maxSlowdown: number
  /** Hosts that must have reported before the share of hosts is raised. */
  readonly minHosts: number
}

export const defaultBounds: Bounds = { maxFailureRate: 0.05, maxSlowdown: 1.5, minHosts: 5 }

/** The shares of hosts that a rollout goes through unless somebody says otherwise. */
export const defaultStages: readonly number[] = [10, 25, 50, 100]

export interface HostFailure {
  readonly host: string
  readonly error: string
  /** Names of the steps that failed. */
  readonly steps: readonly string[]
}

/** What the hosts of one bundle, or of all others, have reported since the rollout began. */
export interface GroupEvidence {
  /** Hosts that have reported; each counts where its last report puts it. */
  readonly hosts: number
  /** Those whose last converge failed; undefined for no hosts. */
  readonly failed: Proportion | undefined
  /**
   * Of the hosts that were there when the channel changed last, those that have not reported since, although each change makes
   * all hosts report, or have fallen silent after it. Undefined while it is too early to tell.
   */
  readonly silent: Proportion | undefined
  /** Some of the failures, newest first. */
  readonly failures: readonly HostFailure[]
}

/** Medians of seconds on both sides. */
export interface Comparison {
  readonly rollout: { readonly seconds: number; readonly samples: number }
  readonly rest: { readonly seconds: number; readonly samples: number }
  /** `rollout` by `rest`; above 1 the rollout is slower. */
  readonly ratio: number
}

export interface Evidence {
  readonly rollout: GroupEvidence
  readonly rest: GroupEvidence
  /** From the kernel's start until ready, first converges of instances only. */
  readonly launchToReady: Comparison | undefined
  /** Steps that ran on hosts that took the rollout, against steps of the same names before it. */
  readonly converge: Comparison | undefined
}

/**
 * What follows from the evidence. `halt`: a bound is passed, beyond what chance explains. `wait`: too little is known, or it
 * looks bad. `go`: the next stage may come. `halted`: no host takes part any more.
 */
export type Verdict = 'halt' | 'wait' | 'go' | 'halted'

export interface Judgement {
  readonly verdict: Verdict
  /** Why, a sentence each without a full stop. */
  readonly reasons: readonly string[]
}

/** A rollout as `rollout status` shows it. */
export interface RolloutStatus {
  readonly recipe: string
  readonly channel: string
  readonly serial: number
  /** The bundle of all other hosts. */
  readonly bundle: string
  readonly rollout: Rollout
  /** ISO 8601. */
  readonly startedAt: string
  /** When the channel changed last, ISO 8601. */
  readonly changedAt: string
  readonly bounds: Bounds
  readonly evidence: Evidence
  readonly judgement: Judgement
  /** Percentage of the next stage; undefined where there is none. */
  readonly next: number | undefined
}
