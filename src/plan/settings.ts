import type { PlanDefaults } from '../config.ts'
import type { PlanSettings } from './model.ts'

/** Numbers that stand in for what nobody measured or set. The README names them all. */
export const assumed = {
  /** What the agent takes to see that one step is stamped: a few forks of a shell, seconds. */
  residualSecondsPerStep: 0.02,
  launchesPerDay: 1,
  /** What a GiB of image costs a launch: some of it is copied or read over a network before the host is ready. */
  secondsPerGiB: 1,
  /** Stored bytes per byte on the file system: package caches are sealed away, the rest is compressed. */
  storedShare: 0.25,
  bakeOverheadSeconds: 120,
  /** A change is in the image after an hour. */
  rebakeSeconds: 3600,
  /** Nobody waits for a bake. */
  bakeWeight: 0.1,
  /** Before anything was seen, a step counts as changed half a time in fifteen days. */
  priorChanges: 0.5,
  priorDays: 15,
  /** Standard deviation of launches as a share of the prediction, which counts like so many boots. */
  spread: 0.05,
  spreadBoots: 4,
} as const

/** Share of the objective's value that another choice than the image in force has to bring. */
export const settledShare = 0.05

/** How far below the threshold a baked step has to fall to be left, and above it one that is not sure to be baked. */
export const settledBand = 0.2

/** How much of the greatest saving the objective `smallest` has to bring. */
export const smallestShare = 0.9

/** Fills in what the user left open. For `fastest` and `target` every step counts, for the others those of half a second. */
export function planSettings(given: PlanDefaults): PlanSettings {
  const objective = given.objective ?? 'balanced'
  const counted = objective === 'fastest' || objective === 'target' ? 0 : 1
  return {
    ...given,
    objective,
    minSavingSeconds: given.minSavingSeconds ?? 0.5 * counted,
    minShare: given.minShare ?? 0.01 * counted,
  }
}
