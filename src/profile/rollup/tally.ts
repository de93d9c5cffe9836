import type { When } from '../../recipe/model.ts'
import { compareCodeUnits } from '../../util/canonical-json.ts'
import { groupDimensions, type GroupDimension, type SlowRun } from '../fleet.ts'
import { beforeKernel } from '../firmware.ts'
import type { FailedBoot } from '../model.ts'
import type { Report, StepReport } from '../report.ts'
import { GroupTally, readyKey, ReadyTally, type GroupJson, type ReadyCell, type ReadyJson } from './ready-tally.ts'
import { bootKind, clipped, failedBoot, groupsOf, stepsDigest } from './report-facts.ts'
import { groupEntry, RunsTally, withSlowRun, type GroupValues, type RunContext, type RunsJson } from './runs-tally.ts'

/** What a tally holds at most, whatever hosts send: the rest is counted in `dropped` only. */
const limits = { steps: 2000, ready: 2000, failedBoots: 50 } as const

export interface TallyCounts {
  fleet: number
  cold: number
  failed: number
  warmFailed: number
  otherPurpose: number
  skipped: number
  /** Steps and boots beyond the limits, which no figure below counts. */
  dropped: number
}

export interface StepTally {
  readonly digest: string
  /** Name, `when` and position of the latest report. */
  name: string
  when: When
  position: number
  firstSeen: number
  lastSeen: number
  readonly cold: RunsTally
  readonly warm: RunsTally
}

export interface TallyJson {
  readonly counts: Readonly<TallyCounts>
  /** Unix seconds; absent where nothing was counted. */
  readonly from?: number
  readonly to?: number
  readonly steps: readonly (Omit<StepTally, 'cold' | 'warm'> & { readonly cold: RunsJson; readonly warm: RunsJson })[]
  readonly ready: readonly ReadyJson[]
  readonly groups: Readonly<Partial<Record<GroupDimension, Readonly<Record<string, GroupJson>>>>>
  readonly failedBoots: readonly FailedBoot[]
  readonly slowest: readonly SlowRun[]
}

/**
 * Mergeable statistics over reports of one recipe. Its size depends on how many step digests, bundles, images and group
 * values there are, and not on how many reports. Every report must be added once; nothing here could tell.
 */
export class Tally {
  readonly counts: TallyCounts = {
    fleet: 0,
    cold: 0,
    failed: 0,
    warmFailed: 0,
    otherPurpose: 0,
    skipped: 0,
    dropped: 0,
  }
  from: number | undefined
  to: number | undefined
  readonly steps = new Map<string, StepTally>()
  readonly ready = new Map<string, ReadyTally>()
  readonly groups = new Map<GroupDimension, Map<string, GroupTally>>()
  failedBoots: readonly FailedBoot[] = []
  slowest: readonly SlowRun[] = []

  /** Documents that were looked at. */
  get documents(): number {
    return this.counts.fleet + this.counts.otherPurpose + this.counts.skipped
  }

  /** `firmware`: seconds before the kernel, where somebody knows better than the guest. */
  add(report: Report, firmware = beforeKernel(report)): void {
    if (report.purpose !== 'fleet') {
      this.counts.otherPurpose += 1
      return
    }
    this.counts.fleet += 1
    this.#span(report.startedAt, report.startedAt)
    const failed = report.outcome === 'failed'
    const groups = groupsOf(report)
    if (report.cold) this.#addBoot(report, groups, firmware)
    else if (failed) this.counts.warmFailed += 1
    const context: RunContext = {
      run: report.run,
      host: report.host,
      groups,
      launchToReady: report.cold && !failed ? report.readyUptime + (firmware ?? 0) : undefined,
    }
    for (const [position, step] of report.steps.entries()) this.#addStep(report, step, position, context)
  }

  merge(other: Tally): void {
    for (const key of Object.keys(this.counts) as (keyof TallyCounts)[]) this.counts[key] += other.counts[key]
    if (other.from !== undefined && other.to !== undefined) this.#span(other.from, other.to)
    for (const step of other.steps.values()) this.#mergeStep(step)
    for (const cell of other.ready.values()) this.#cell(cell)?.merge(cell)
    for (const [dimension, values] of other.groups) {
      for (const [value, group] of values) this.#group(dimension, value).merge(group)
    }
    this.failedBoots = lastBoots([...this.failedBoots, ...other.failedBoots])
    for (const run of other.slowest) this.slowest = withSlowRun(this.slowest, run)
  }

  toJSON(): TallyJson {
    return {
      counts: this.counts,
      ...(this.from === undefined || this.to === undefined ? {} : { from: this.from, to: this.to }),
      steps: [...this.steps.values()].map((step) => ({ ...step, cold: step.cold.toJSON(), warm: step.warm.toJSON() })),
      ready: [...this.ready.values()].map((cell) => cell.toJSON()),
      groups: Object.fromEntries(
        [...this.groups].map(([dimension, values]) => [
          dimension,
          Object.fromEntries([...values].map(([value, group]) => [value, group.toJSON()])),
        ]),
      ),
      failedBoots: this.failedBoots,
      slowest: this.slowest,
    }
  }

  static fromJSON(json: TallyJson): Tally {
    const tally = new Tally()
    Object.assign(tally.counts, json.counts)
    tally.from = json.from
    tally.to = json.to
    for (const step of json.steps) {
      tally.steps.set(step.digest, {
        ...step,
        cold: RunsTally.fromJSON(step.cold),
        warm: RunsTally.fromJSON(step.warm),
      })
    }
    for (const cell of json.ready.map((each) => ReadyTally.fromJSON(each))) tally.ready.set(cell.key, cell)
    for (const dimension of groupDimensions) {
      const values = Object.entries(json.groups[dimension] ?? {})
      tally.groups.set(dimension, new Map(values.map(([value, group]) => [value, GroupTally.fromJSON(group)])))
    }
    tally.failedBoots = json.failedBoots
    tally.slowest = json.slowest
    return tally
  }

  #addBoot(report: Report, groups: GroupValues, firmware: number | undefined): void {
    this.counts.cold += 1
    const failed = report.outcome === 'failed'
    const launchToReady = report.readyUptime + (firmware ?? 0)
    for (const dimension of groupDimensions) {
      const group = this.#group(dimension, groups[dimension])
      group.cold += 1
      if (failed) group.failed += 1
      else group.launchToReady.add(launchToReady)
    }
    const cell = this.#cell({
      image: clipped(report.image),
      bundle: report.bundle,
      kind: bootKind(report),
      steps: stepsDigest(report.steps.map((step) => step.digest)),
    })
    if (failed) {
      this.counts.failed += 1
      if (cell !== undefined) cell.failed += 1
      this.failedBoots = lastBoots([...this.failedBoots, failedBoot(report)])
      return
    }
    this.slowest = withSlowRun(this.slowest, { run: report.run, host: report.host, seconds: launchToReady })
    cell?.launchToReady.add(launchToReady)
    cell?.readyUptime.add(report.readyUptime)
    if (firmware !== undefined) cell?.firmware.add(firmware)
  }

  #addStep(report: Report, step: StepReport, position: number, context: RunContext): void {
    const tally = this.#step({
      digest: step.digest,
      name: clipped(step.name),
      when: step.when,
      position,
      firstSeen: report.startedAt,
      lastSeen: report.startedAt,
    })
    ;(report.cold ? tally?.cold : tally?.warm)?.add(step, context)
  }

  #mergeStep(step: StepTally): void {
    const tally = this.#step(step)
    tally?.cold.merge(step.cold)
    tally?.warm.merge(step.warm)
  }

  #step(seen: Omit<StepTally, 'cold' | 'warm'>): StepTally | undefined {
    const known = this.steps.get(seen.digest)
    if (known === undefined) {
      if (this.steps.size >= limits.steps) {
        this.counts.dropped += 1
        return undefined
      }
      const { digest, name, when, position, firstSeen, lastSeen } = seen
      const step: StepTally = {
        digest,
        name,
        when,
        position,
        firstSeen,
        lastSeen,
        cold: new RunsTally(),
        warm: new RunsTally(),
      }
      this.steps.set(digest, step)
      return step
    }
    // Of two at the same second the greater name: any order of adding must give the same.
    if (seen.lastSeen > known.lastSeen || (seen.lastSeen === known.lastSeen && seen.name > known.name)) {
      known.name = seen.name
      known.when = seen.when
      known.position = seen.position
    }
    known.firstSeen = Math.min(known.firstSeen, seen.firstSeen)
    known.lastSeen = Math.max(known.lastSeen, seen.lastSeen)
    return known
  }

  #cell(cell: ReadyCell): ReadyTally | undefined {
    const key = readyKey(cell)
    const known = this.ready.get(key)
    if (known !== undefined) return known
    if (this.ready.size >= limits.ready) {
      this.counts.dropped += 1
      return undefined
    }
    const made = new ReadyTally(cell)
    this.ready.set(key, made)
    return made
  }

  #group(dimension: GroupDimension, value: string): GroupTally {
    const values = this.groups.get(dimension) ?? new Map<string, GroupTally>()
    this.groups.set(dimension, values)
    return groupEntry(values, value, () => new GroupTally())
  }

  #span(from: number, to: number): void {
    this.from = Math.min(this.from ?? from, from)
    this.to = Math.max(this.to ?? to, to)
  }
}

/** The last failed boots, oldest first. */
function lastBoots(boots: readonly FailedBoot[]): readonly FailedBoot[] {
  return boots
    .toSorted((a, b) => a.startedAt - b.startedAt || compareCodeUnits(a.run, b.run))
    .slice(-limits.failedBoots)
}
