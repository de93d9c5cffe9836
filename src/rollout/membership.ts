import type { Rollout } from '../bundle/channel.ts'
import { sha256 } from '../util/sha256.ts'

/** Where a host stands in the queue of a rollout, 0 to 9999: it takes part from this many hundredths of a percent on. */
export function placeInRollout(id: string, host: string): number {
  return Number.parseInt(sha256(`${id}:${host}`).slice(0, 8), 16) % 10_000
}

/**
 * Whether a host takes the rollout's bundle. The agent computes the same. `host` is the field of reports; raising the
 * percentage only ever adds hosts. Pure.
 */
export function takesRollout(
  rollout: Pick<Rollout, 'id' | 'percent' | 'tags'>,
  host: string,
  tags: readonly string[] = [],
): boolean {
  return tags.some((tag) => rollout.tags.includes(tag)) || placeInRollout(rollout.id, host) < rollout.percent * 100
}
