import type { BundleChannel } from '../bundle/channel.ts'
import type { Report } from '../profile/report.ts'
import { takesRollout } from '../rollout/membership.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import type { BundleState, HostCounts, HostFilter, HostState } from './model.ts'

/** A host that should have reported is late after so many intervals. */
const lateIntervals = 3
/** Of what hosts write, this much is kept. */
const textLength = 200

/** What is kept of a host's last report: all of it would be too much for ten thousand hosts. */
interface LastReport extends Pick<Report, 'host' | 'bundle' | 'serial' | 'image' | 'outcome' | 'agentVersion'> {
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
  /** Milliseconds between two converges by cron. */
  readonly everyMs: number
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

function lastOf({ host, bundle, serial, image, outcome, agentVersion, tags = [], steps }: Report): LastReport {
  const isTalkative = steps.some(({ when }) => when === 'always')
  return { host, bundle, serial, image, outcome, agentVersion, tags, isTalkative }
}

function stateOf(known: Known, view: FleetView): HostState {
  const { last, lastMs, reports, failures, lastError, drift } = known
  return {
    recipe: view.recipe,
    host: last.host,
    lastSeen: new Date(lastMs).toISOString(),
    late: isLate(known, view),
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
 * A converge that finds nothing to do writes no report. So only a host counts that had a reason: the channel changed, its last
 * converge failed and is tried again, or a step runs at every converge.
 */
function isLate({ last, lastMs }: Known, { channel, everyMs, nowMs }: FleetView): boolean {
  const patience = lateIntervals * everyMs
  const changedMs = channel === undefined ? 0 : Date.parse(channel.published)
  if (changedMs > lastMs && nowMs - changedMs > patience) return true
  return (last.outcome === 'failed' || last.isTalkative) && nowMs - lastMs > patience
}

function bundleStateOf({ bundle, host, tags }: LastReport, channel: BundleChannel | undefined): BundleState {
  if (channel === undefined || bundle === '') return 'unknown'
  const { rollout } = channel
  if (rollout === undefined || !takesRollout(rollout, host, tags)) {
    return bundle === channel.bundle ? 'current' : 'behind'
  }
  return bundle === rollout.bundle ? 'rollout' : 'behind'
}

function urgency({ failing, late, bundleState }: HostState): number {
  return (failing ? 4 : 0) + (late ? 2 : 0) + (bundleState === 'behind' ? 1 : 0)
}

function errorOf({ error, steps }: Report): string {
  const failed = steps.filter(({ outcome }) => outcome === 'failed').map(({ name }) => name)
  const text = error === '' ? `failed${failed.length === 0 ? '' : `: ${failed.join(', ')}`}` : error
  return text.length <= textLength ? text : `${text.slice(0, textLength - 1)}…`
}
