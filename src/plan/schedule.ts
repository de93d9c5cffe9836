import type { Recipe } from '../recipe/model.ts'

/** A step as the agent schedules it. */
export interface Job {
  readonly seconds: number
  /** By index; all before it. */
  readonly needs: readonly number[]
  /** Uses the package manager, which only one step does at a time. */
  readonly packages: boolean
}

/** As many steps as this run side by side where the recipe says nothing; a host with fewer processors runs one on each. */
const mostByDefault = 4

/** How many steps a host runs at a time. */
export function stepsAtATime(recipe: Pick<Recipe, 'parallel'>, cpus: number): number {
  return recipe.parallel ?? Math.min(mostByDefault, cpus)
}

/**
 * Seconds until all are done, started as the agent does (bootstrap/agent.sh, `start_steps`): in their order, each as soon
 * as what it needs has ended and fewer than `limit` run, one of the package manager's at a time. One at a time: their sum.
 */
export function makespan(jobs: readonly Job[], limit: number): number {
  const ends = jobs.map(() => Number.POSITIVE_INFINITY)
  const waiting = new Set(jobs.keys())
  let running: { readonly end: number; readonly packages: boolean }[] = []
  let now = 0
  while (waiting.size > 0) {
    for (const at of waiting) {
      const job = jobs[at] as Job
      const mayStart =
        running.length < Math.max(1, limit) &&
        job.needs.every((need) => (ends[need] as number) <= now) &&
        !(job.packages && running.some((other) => other.packages))
      if (!mayStart) continue
      waiting.delete(at)
      ends[at] = now + job.seconds
      // What takes no time leaves its place to the next one at once.
      if (job.seconds > 0) running.push({ end: now + job.seconds, packages: job.packages })
    }
    // Where nothing runs, nothing waits either: the first that is left needs only what comes before it.
    now = Math.min(...running.map(({ end }) => end))
    running = running.filter(({ end }) => end > now)
  }
  return Math.max(0, ...ends)
}
