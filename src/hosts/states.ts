import type { BundleChannel } from '../bundle/channel.ts'
import { convergedBy, heardBy, type Schedule } from '../profile/expected.ts'
import type { Report } from '../profile/report.ts'
import { takesRollout } from '../rollout/membership.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import type { BundleState, HostCounts, HostFilter, HostState } from './model.ts'

/** A host that is late for so long was ended or is cut off. */
const silentMs = 86_400_000
/** Of what hosts write, this much is kept. */
const textLength = 200

/** What is kept of a host's last report: all of it would be too much for ten thousand hosts. */
interface LastReport extends Pick<
  Report,
  'host' | 'bundle' | 'serial' | 'image' | 'outcome' | 'agentVersion' | 'schedule'
> {
  readonly tags: readonly string[]
  /** It has steps that run at every converge. */
  readonly isTalkative: boolean
}

interface Known {
  lastMs: number
  last: LastReport
  reports: number
  failures: number
  lastError: string
  readonly drift: Record<string, number>
  /** Digests of the steps that were done after the last report. */
  done: ReadonlySet<string>
}

export interface FleetView {
  readonly recipe: string
  /** Undefined where it could not be read. */
  readonly channel: BundleChannel | undefined
  /** Of hosts whose agent does not say. */
  readonly schedule: Schedule
  readonly nowMs: number
}

/** Collects the states of hosts from their reports, which must be added oldest first. Memory holds one entry per host. */
export class HostStates {
  readonly #hosts = new Map<string, Known>()

  /** `storedMs`: when the report came, by the store's clock. */
  add(report: Report, storedMs: number): void {
    if (report.purpose !== 'fleet') return
    const known = this.#hosts.get(report.host)
    const failed = report.outcome === 'failed'
    const done = new Set(
      report.steps.flatMap(({ outcome, digest }) => (outcome === 'ran' || outcome === 'stamped' ? [digest] : [])),
    )
    if (known === undefined) {
      this.#hosts.set(report.host, {
        lastMs: storedMs,
        last: lastOf(report),
        reports: 1,
        failures: failed ? 1 : 0,
        lastError: failed ? errorOf(report) : '',
        drift: {},
        done,
      })
      return
    }
    for (const name of driftOf(report, known)) known.drift[name] = (known.drift[name] ?? 0) + 1
    known.lastMs = storedMs
    known.last = lastOf(report)
    known.reports += 1
    if (failed) {
      known.failures += 1
      known.lastError = errorOf(report)
    }
    known.done = done
  }

  /** What needs somebody first, then by name. */
  build(view: FleetView): HostState[] {
    const states = [...this.#hosts.values()].map((known) => stateOf(known, view))
    return states.toSorted((a, b) => urgency(b) - urgency(a) || compareCodeUnits(a.host, b.host))
  }
}

export function countHosts(hosts: readonly HostState[]): HostCounts {
  const count = (matches: (host: HostState) => boolean) => hosts.filter(matches).length
  return {
    hosts: hosts.length,
    failing: count(({ failing }) => failing),
    late: count(({ late }) => late),
    silent: count(({ silent }) => silent),
    behind: count(({ bundleState }) => bundleState === 'behind'),
    rollout: count(({ bundleState }) => bundleState === 'rollout'),
    drifting: count(({ drift }) => Object.keys(drift).length > 0),
  }
}

/** Hosts for which at least one of the filters holds; all where there is none. */
export function filterHosts(hosts: readonly HostState[], filters: readonly HostFilter[]): readonly HostState[] {
  if (filters.length === 0) return hosts
  const holds: Readonly<Record<HostFilter, (host: HostState) => boolean>> = {
    failed: ({ failing }) => failing,
    late: ({ late }) => late,
    silent: ({ silent }) => silent,
    behind: ({ bundleState }) => bundleState === 'behind',
  }
  return hosts.filter((host) => filters.some((filter) => holds[filter](host)))
}

/** Steps that were done before and ran again, by cron, under the same bundle, without a `when` that asks for it. */
function driftOf(report: Report, known: Known): string[] {
  if (report.trigger !== 'cron' || report.cold || report.bundle !== known.last.bundle) return []
  return report.steps.flatMap(({ name, when, outcome, digest }) => {
    const isAsked = when === 'always' || (when === 'boot' && report.first)
    return outcome === 'ran' && !isAsked && known.done.has(digest) ? [name] : []
  })
}

function lastOf(report: Report): LastReport {
  const { host, bundle, serial, image, outcome, agentVersion, schedule, tags = [], steps } = report
  const isTalkative = steps.some(({ when }) => when === 'always')
  return { host, bundle, serial, image, outcome, agentVersion, schedule, tags, isTalkative }
}

function stateOf(known: Known, view: FleetView): HostState {
  const { last, lastMs, reports, failures, lastError, drift } = known
  const expectedMs = expectedOf(known, view)
  const overdueMs = view.nowMs - expectedMs
  return {
    recipe: view.recipe,
    host: last.host,
    lastSeen: new Date(lastMs).toISOString(),
    ...(Number.isFinite(expectedMs) ? { expectedBy: new Date(expectedMs).toISOString() } : {}),
    late: overdueMs > 0 && overdueMs <= silentMs,
    silent: overdueMs > silentMs,
    bundle: last.bundle,
    bundleState: bundleStateOf(last, view.channel),
    serial: last.serial,
    image: last.image,
    reports,
    failures,
    failing: last.outcome === 'failed',
    lastError,
    drift,
    agentVersion: last.agentVersion,
    tags: last.tags,
  }
}

/**
 * Until when a host should be heard of again, in milliseconds; Infinity where nobody can tell. About once a day it says that it
 * is there; earlier, where it has a reason: the channel changed, its last converge failed and is tried again, or a step runs at
 * every converge.
 */
function expectedOf({ last, lastMs }: Known, view: FleetView): number {
  const schedule = last.schedule ?? view.schedule
  const times = [last.schedule === undefined ? Infinity : heardBy(last.schedule, lastMs)]
  const changedMs = view.channel === undefined ? 0 : Date.parse(view.channel.published)
  if (changedMs > lastMs) times.push(convergedBy(schedule, changedMs))
  if (last.outcome === 'failed' || last.isTalkative) times.push(convergedBy(schedule, lastMs))
  return Math.min(...times)
}

function bundleStateOf({ bundle, host, tags }: LastReport, channel: BundleChannel | undefined): BundleState {
  if (channel === undefined || bundle === '') return 'unknown'
  const { rollout } = channel
  if (rollout === undefined || !takesRollout(rollout, host, tags)) {
    return bundle === channel.bundle ? 'current' : 'behind'
  }
  return bundle === rollout.bundle ? 'rollout' : 'behind'
}

/** Whoever is silent was probably ended. */
function urgency({ failing, late, silent, bundleState }: HostState): number {
  return silent ? -1 : (failing ? 4 : 0) + (late ? 2 : 0) + (bundleState === 'behind' ? 1 : 0)
}

function errorOf({ error, steps }: Report): string {
  const failed = steps.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
  const text = error === '' ? `failed${failed.length === 0 ? '' : `: ${failed.join(', ')}`}` : error
  return text.length <= textLength ? text : `${text.slice(0, textLength - 1)}…`
}
