import type { Rollout } from '../bundle/channel.ts'
import { heardBy } from '../profile/expected.ts'
import { medianOf } from '../profile/quantile.ts'
import type { HostSchedule, Report } from '../profile/report.ts'
import { takesRollout } from './membership.ts'
import type { Comparison, Evidence, GroupEvidence, HostFailure } from './model.ts'
import { proportionOf } from './proportion.ts'

/** What is kept at most, whatever hosts send. */
const limits = { samples: 2000, steps: 500, failures: 5, text: 200, zones: 50 } as const

interface LastReport {
  readonly storedMs: number
  readonly inRollout: boolean
  readonly failure: HostFailure | undefined
}

/** When a host was heard of last, by the store's clock. */
export interface HostSeen {
  readonly host: string
  readonly lastMs: number
}

interface Silence {
  readonly seen: Iterable<HostSeen>
  readonly changedMs: number
  readonly nowMs: number
}

/** Collects what the reports of a recipe say about a rollout. Its size depends on the number of hosts only. */
export class EvidenceBuilder {
  readonly #rollout: Rollout
  readonly #sinceMs: number
  readonly #last = new Map<string, LastReport>()
  readonly #tags = new Map<string, readonly string[]>()
  /** Of each host, where its agent says it. */
  readonly #schedules = new Map<string, HostSchedule>()
  /** Of the hosts' clocks, as in `+0100`. */
  readonly zones = new Set<string>()
  readonly #ready = { rollout: [] as number[], rest: [] as number[] }
  /** Wall seconds of step runs before the rollout and outside it, by step name. */
  readonly #before = new Map<string, number[]>()
  /** Of each converge that took the rollout: the steps that ran. */
  readonly #converges: (readonly { readonly name: string; readonly wall: number }[])[] = []

  constructor(rollout: Rollout, sinceMs: number) {
    this.#rollout = rollout
    this.#sinceMs = sinceMs
  }

  /** `storedMs`: when the report came, by the store's clock; hosts' own may be off. */
  add(report: Report, storedMs: number): void {
    if (report.purpose !== 'fleet') return
    const { tags = [], schedule } = report
    if (schedule !== undefined) {
      this.#schedules.set(report.host, schedule)
      // There are no more than some dozens of them in truth.
      if (this.zones.size < limits.zones) this.zones.add(schedule.zone)
    }
    if (tags.length > 0) this.#tags.set(report.host, tags)
    const ran = report.steps.filter(({ outcome }) => outcome === 'ran')
    if (storedMs < this.#sinceMs) {
      if (report.bundle !== this.#rollout.bundle) this.#addBefore(ran)
      return
    }
    const inRollout = this.#inRollout(report)
    this.#addLast(report, storedMs, inRollout)
    if (report.cold && report.outcome === 'ok') {
      const samples = inRollout ? this.#ready.rollout : this.#ready.rest
      if (samples.length < limits.samples) samples.push(report.readyUptime)
    }
    if (!inRollout) this.#addBefore(ran)
    else if (!report.cold && ran.length > 0 && this.#converges.length < limits.samples) {
      this.#converges.push(ran.map(({ name, wall }) => ({ name, wall })))
    }
  }

  /**
   * `silence`: the hosts seen of late, when the channel changed last, and the time now; absent where it is too early to expect
   * all hosts to have reported since.
   */
  build(silence?: Silence): Evidence {
    const silent = silence === undefined ? undefined : this.#countSilent(silence)
    const hosts = [...this.#last.values()].toSorted((a, b) => b.storedMs - a.storedMs)
    return {
      rollout: groupOf(
        hosts.filter(({ inRollout }) => inRollout),
        silent?.rollout,
      ),
      rest: groupOf(
        hosts.filter(({ inRollout }) => !inRollout),
        silent?.rest,
      ),
      launchToReady: compare(this.#ready.rollout, this.#ready.rest),
      converge: this.#compareConverges(),
    }
  }

  /** A host that failed before it had the bundle counts where it belongs, not where it still is. */
  #inRollout(report: Report): boolean {
    const { bundle, id } = this.#rollout
    if (report.bundle === bundle || report.rollout === id) return true
    return report.outcome === 'failed' && takesRollout(this.#rollout, report.host, report.tags)
  }

  #addLast(report: Report, storedMs: number, inRollout: boolean): void {
    const known = this.#last.get(report.host)
    if (known !== undefined && known.storedMs > storedMs) return
    const failure = {
      host: report.host,
      error: report.error.slice(0, limits.text),
      steps: report.steps.flatMap(({ name, outcome }) => (outcome === 'failed' ? [name] : [])),
    }
    this.#last.set(report.host, {
      storedMs,
      inRollout,
      failure: report.outcome === 'failed' ? failure : undefined,
    })
  }

  #addBefore(ran: readonly { readonly name: string; readonly wall: number }[]): void {
    for (const { name, wall } of ran) {
      const samples = this.#before.get(name) ?? []
      if (samples.length === 0 && this.#before.size >= limits.steps) continue
      this.#before.set(name, samples)
      if (samples.length < limits.samples) samples.push(wall)
    }
  }

  /** Converge by converge, the steps that ran against what steps of these names took before; steps without a past are left out. */
  #compareConverges(): Comparison | undefined {
    const medians = new Map([...this.#before].map(([name, walls]) => [name, medianOf(walls) ?? 0]))
    const pairs = this.#converges.flatMap((steps) => {
      const known = steps.filter(({ name }) => medians.has(name))
      const before = known.reduce((sum, { name }) => sum + (medians.get(name) ?? 0), 0)
      return before > 0 ? [{ before, now: known.reduce((sum, { wall }) => sum + wall, 0), names: known } as const] : []
    })
    const names = new Set(pairs.flatMap((pair) => pair.names.map(({ name }) => name)))
    const past = [...names].map((name) => this.#before.get(name)?.length ?? 0)
    const [seconds, beforeSeconds] = [pairs.map(({ now }) => now), pairs.map(({ before }) => before)].map(medianOf)
    const ratio = medianOf(pairs.map(({ now, before }) => now / before))
    if (seconds === undefined || beforeSeconds === undefined || ratio === undefined) return undefined
    return {
      rollout: { seconds, samples: pairs.length },
      rest: { seconds: beforeSeconds, samples: Math.min(...past) },
      ratio,
    }
  }

  #countSilent({ seen, changedMs, nowMs }: Silence) {
    const counts = { rollout: { silent: 0, all: 0 }, rest: { silent: 0, all: 0 } }
    for (const { host, lastMs } of seen) {
      const group = counts[takesRollout(this.#rollout, host, this.#tags.get(host)) ? 'rollout' : 'rest']
      group.all += 1
      const schedule = this.#schedules.get(host)
      const isOverdue = schedule !== undefined && heardBy(schedule, lastMs) < nowMs
      if (lastMs < changedMs || isOverdue) group.silent += 1
    }
    return {
      rollout: proportionOf(counts.rollout.silent, counts.rollout.all),
      rest: proportionOf(counts.rest.silent, counts.rest.all),
    }
  }
}

function groupOf(hosts: readonly LastReport[], silent: GroupEvidence['silent']): GroupEvidence {
  const failures = hosts.flatMap(({ failure }) => failure ?? [])
  return {
    hosts: hosts.length,
    failed: proportionOf(failures.length, hosts.length),
    silent,
    failures: failures.slice(0, limits.failures),
  }
}

function compare(rollout: readonly number[], rest: readonly number[]): Comparison | undefined {
  const [seconds, others] = [medianOf(rollout), medianOf(rest)]
  if (seconds === undefined || others === undefined || others === 0) return undefined
  return {
    rollout: { seconds, samples: rollout.length },
    rest: { seconds: others, samples: rest.length },
    ratio: seconds / others,
  }
}
