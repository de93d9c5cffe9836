import type { Recipe } from '../../recipe/model.ts'
import { compareCodeUnits } from '../../util/canonical-json.ts'
import type { FleetDay, FleetDayVersion, FleetGroup, FleetStatistics, GroupDimension, LaunchRate } from '../fleet.ts'
import { outliersOf } from '../outliers.ts'
import { exactUpTo, relativeError, Sketch } from '../sketch.ts'
import type { DailyValue } from '../trend.ts'
import { fleetSteps, stepNames } from './fleet-steps.ts'
import type { GroupTally } from './ready-tally.ts'
import { Tally } from './tally.ts'

const dayMs = 86_400_000

/** Takes one day after the other and makes the fleet's statistics of them. */
export class FleetBuilder {
  readonly total = new Tally()
  readonly #days = new History()
  readonly #weeks = new History()
  readonly #medians = new Map<string, DailyValue[]>()
  #week: { readonly monday: string; readonly tally: Tally } | undefined
  #firstDay: string | undefined
  #lastDay: string | undefined
  #rolledUp = 0

  /** Days must come in ascending order, each once. `rolledUp`: documents whose figures came from a rollup. */
  add(day: string, tally: Tally, rolledUp = 0): void {
    if (this.#lastDay !== undefined && day <= this.#lastDay) throw new RangeError(`${day} after ${this.#lastDay}`)
    if (tally.documents === 0) return
    this.total.merge(tally)
    this.#rolledUp += rolledUp
    if (tally.counts.fleet === 0) return
    this.#firstDay ??= day
    this.#lastDay = day
    for (const step of tally.steps.values()) {
      const wall = step.cold.sketches.get('wall')
      if (wall === undefined) continue
      const values = this.#medians.get(step.digest) ?? []
      values.push({ day, value: wall.quantile(0.5) })
      this.#medians.set(step.digest, values)
    }
    this.#days.add(day, tally)
    const monday = mondayOf(day)
    if (this.#week?.monday !== monday) {
      this.#endWeek()
      this.#week = { monday, tally: new Tally() }
    }
    this.#week?.tally.merge(tally)
  }

  build(recipeName: string, recipe?: Recipe): FleetStatistics {
    const { total } = this
    const { counts } = total
    this.#endWeek()
    const launchToReady = allBoots(total)
    const steps = fleetSteps(total, this.#medians, recipe)
    return {
      v: 1,
      recipe: recipeName,
      quantiles: { method: 'type-7', relativeError, exactUpTo },
      reports: {
        fleet: counts.fleet,
        cold: counts.cold,
        warm: counts.fleet - counts.cold,
        failed: counts.failed,
        warmFailed: counts.warmFailed,
        otherPurpose: counts.otherPurpose,
        skipped: counts.skipped,
        rolledUp: this.#rolledUp,
      },
      from: total.from,
      to: total.to,
      history: this.#days.entries,
      weeks: this.#weeks.entries,
      launches: this.#launches(),
      steps,
      names: stepNames(steps),
      launchToReady: launchToReady.spread(),
      groups: groupsOf(total),
      failures: {
        count: counts.failed,
        boots: total.failedBoots,
        steps: steps
          .map(({ name, digest, cold, warm }) => ({ name, digest, count: cold.failures + warm.failures }))
          .filter(({ count }) => count > 0)
          .toSorted((a, b) => b.count - a.count),
      },
      outliers: { launchToReady: outliersOf(launchToReady, total.slowest) },
    }
  }

  #endWeek(): void {
    if (this.#week !== undefined) this.#weeks.add(this.#week.monday, this.#week.tally)
    this.#week = undefined
  }

  #launches(): LaunchRate {
    const launches = this.total.counts.cold
    if (this.#firstDay === undefined || this.#lastDay === undefined) {
      return { launches, days: 0, perDay: undefined, perDayLastWeek: undefined }
    }
    const last = Date.parse(this.#lastDay)
    const days = Math.round((last - Date.parse(this.#firstDay)) / dayMs) + 1
    const week = Math.min(7, days)
    const recent = this.#days.entries.filter(({ day }) => last - Date.parse(day) < week * dayMs)
    return {
      launches,
      days,
      perDay: launches / days,
      perDayLastWeek: recent.reduce((sum, day) => sum + day.launches, 0) / week,
    }
  }
}

/** Entries of days or weeks, ascending, with what each has that none before had. */
class History {
  readonly entries: FleetDay[] = []
  readonly #bundles = new Set<string>()
  readonly #images = new Set<string>()

  add(day: string, tally: Tally): void {
    if (tally.counts.cold === 0) return
    const versions = versionsOf(tally)
    const isFirst = this.entries.length === 0
    const fresh = (known: Set<string>, values: readonly string[]): string[] => {
      const added = [...new Set(values)].filter((value) => value !== '' && !known.has(value))
      for (const value of added) known.add(value)
      return isFirst ? [] : added.toSorted(compareCodeUnits)
    }
    this.entries.push({
      day,
      launches: tally.counts.cold,
      failed: tally.counts.failed,
      launchToReady: allBoots(tally).spread(),
      versions,
      newBundles: fresh(
        this.#bundles,
        versions.map(({ bundle }) => bundle),
      ),
      newImages: fresh(
        this.#images,
        versions.map(({ image }) => image),
      ),
    })
  }
}

/** The Monday of a day's week. */
function mondayOf(day: string): string {
  const date = new Date(day)
  return new Date(date.getTime() - ((date.getUTCDay() + 6) % 7) * dayMs).toISOString().slice(0, 10)
}

function allBoots(tally: Tally): Sketch {
  const sketch = new Sketch()
  for (const cell of tally.ready.values()) sketch.merge(cell.launchToReady)
  return sketch
}

function versionsOf(tally: Tally): FleetDayVersion[] {
  const versions = new Map<string, { image: string; bundle: string; failed: number; sketch: Sketch }>()
  for (const { image, bundle, failed, launchToReady } of tally.ready.values()) {
    const key = `${image} ${bundle}`
    const version = versions.get(key) ?? { image, bundle, failed: 0, sketch: new Sketch() }
    version.failed += failed
    version.sketch.merge(launchToReady)
    versions.set(key, version)
  }
  return [...versions.values()]
    .map(({ image, bundle, failed, sketch }) => ({
      image,
      bundle,
      launches: sketch.count + failed,
      failed,
      launchToReady: sketch.spread(),
    }))
    .toSorted(
      (a, b) => b.launches - a.launches || compareCodeUnits(a.image, b.image) || compareCodeUnits(a.bundle, b.bundle),
    )
}

function groupsOf(tally: Tally): Record<GroupDimension, readonly FleetGroup[]> {
  const groups = (dimension: GroupDimension): readonly FleetGroup[] =>
    [...(tally.groups.get(dimension) ?? new Map<string, GroupTally>())]
      .map(([value, { cold, failed, launchToReady }]) => ({
        value,
        cold,
        failed,
        launchToReady: launchToReady.spread(),
      }))
      .toSorted((a, b) => b.cold - a.cold || compareCodeUnits(a.value, b.value))
  return {
    instanceType: groups('instanceType'),
    region: groups('region'),
    image: groups('image'),
    distribution: groups('distribution'),
  }
}
