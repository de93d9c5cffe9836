import type { Rollout } from '../bundle/channel.ts'
import { isLive } from '../bundle/change-channel.ts'
import { formatSeconds } from '../report/reporters.ts'
import { formatShare } from '../report/table.ts'
import { defaultStages, type Bounds, type Comparison, type Evidence, type Judgement } from './model.ts'
import type { Proportion } from './proportion.ts'

/** Fewer runs than this say nothing about how long steps took before. */
const fewBefore = 3

/** What to do about a rollout. Pure. */
export function judge(evidence: Evidence, bounds: Bounds, rollout: Rollout): Judgement {
  if (!isLive(rollout)) return { verdict: 'halted', reasons: ['no host takes part in it any more'] }
  const halt = [...failing(evidence, bounds), ...vanishing(evidence, bounds), ...slow(evidence, bounds, true)]
  if (halt.length > 0) return { verdict: 'halt', reasons: halt }
  const wait = [...unclear(evidence, bounds), ...slow(evidence, bounds, false)]
  if (wait.length > 0) return { verdict: 'wait', reasons: wait }
  return { verdict: 'go', reasons: [goodNews(evidence)] }
}

/** The next stage above a percentage, or undefined after the last. */
export function nextStage(percent: number, stages: readonly number[] = defaultStages): number | undefined {
  return stages.find((stage) => stage > percent)
}

function failing({ rollout, rest }: Evidence, { maxFailureRate }: Bounds): string[] {
  const { failed } = rollout
  if (failed === undefined || failed.low <= maxFailureRate) return []
  const others = rest.failed === undefined ? '' : `; of all others ${formatShare(rest.failed.rate)}`
  return [`${counted(failed)} hosts failed, more than ${formatShare(maxFailureRate)} beyond doubt${others}`]
}

/** A version that cuts hosts off from the store reports nothing: only its silence can tell. */
function vanishing({ rollout, rest }: Evidence, { maxFailureRate }: Bounds): string[] {
  const { silent } = rollout
  if (silent === undefined || silent.low <= Math.max(maxFailureRate, rest.silent?.high ?? 0)) return []
  const others = rest.silent === undefined ? '' : `, of all others ${formatShare(rest.silent.rate)}`
  return [`${counted(silent)} hosts that should take it have not been heard of since${others}`]
}

/** What is too slow: proven by as many hosts as are asked for, or not yet. */
function slow({ launchToReady, converge }: Evidence, { maxSlowdown, minHosts }: Bounds, proven: boolean): string[] {
  const described: readonly (readonly [string, Comparison | undefined, number])[] = [
    ['launch-to-ready takes', launchToReady, minHosts],
    ['its steps take', converge, fewBefore],
  ]
  return described.flatMap(([what, comparison, enoughBefore]) => {
    if (comparison === undefined || comparison.ratio <= maxSlowdown) return []
    const isProven = comparison.rollout.samples >= minHosts && comparison.rest.samples >= enoughBefore
    if (isProven !== proven) return []
    const few = proven ? '' : ` (${comparison.rollout.samples} and ${comparison.rest.samples} samples)`
    return [`${what} ${describeRatio(comparison)}, more than ${maxSlowdown} times as long${few}`]
  })
}

function unclear({ rollout, rest }: Evidence, bounds: Bounds): string[] {
  const { failed, silent } = rollout
  const reasons: string[] = []
  if (rollout.hosts < bounds.minHosts) {
    reasons.push(`only ${rollout.hosts} of at least ${bounds.minHosts} hosts have reported`)
  }
  if (failed !== undefined && failed.rate > bounds.maxFailureRate) {
    reasons.push(`${counted(failed)} hosts failed, which may be chance`)
  }
  if (silent !== undefined && silent.rate > Math.max(bounds.maxFailureRate, rest.silent?.rate ?? 0)) {
    reasons.push(`${counted(silent)} hosts that should take it have not been heard of since`)
  }
  return reasons
}

function goodNews({ rollout, launchToReady, converge }: Evidence): string {
  const { failed, hosts } = rollout
  const news = [`${failed?.count ?? 0} of ${hosts} hosts failed (at most ${formatShare(failed?.high ?? 1)})`]
  if (launchToReady !== undefined) news.push(`launch-to-ready takes ${describeRatio(launchToReady)}`)
  if (converge !== undefined) news.push(`its steps take ${describeRatio(converge)}`)
  return news.join(', ')
}

function counted({ count, of, rate, low, high }: Proportion): string {
  return `${count} of ${of} (${formatShare(rate)}, ${formatShare(low)} to ${formatShare(high)})`
}

function describeRatio({ rollout, rest, ratio }: Comparison): string {
  return `${formatSeconds(rollout.seconds)} against ${formatSeconds(rest.seconds)} (${ratio.toFixed(2)} times)`
}
