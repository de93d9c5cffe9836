import type { FleetStatistics } from '../profile/fleet.ts'
import type { LaunchRecord } from '../profile/launches.ts'
import { medianOf } from '../profile/quantile.ts'
import { ranAll, type Report } from '../profile/report.ts'
import { waterfallOf, type Waterfall } from '../profile/waterfall.ts'
import type { Recipe } from '../recipe/model.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import type { TimePart, TimeShares, TypicalBoot } from './data.ts'

/** A successful cold boot of the fleet. */
interface Boot {
  readonly report: Report
  readonly launch: LaunchRecord | undefined
  readonly waterfall: Waterfall
  readonly fromPowerOn: boolean
}

export interface BootGroups {
  /** On a plain base, every step run. */
  readonly before: readonly Boot[]
  /** On the image. */
  readonly after: readonly Boot[]
}

/**
 * The boots that the page compares: successful first converges of the fleet, of the recipe as it is now where there are
 * any in the group. `imageId` is the image of `after`; without one that group is empty.
 */
export function bootGroups(
  reports: readonly Report[],
  launches: readonly LaunchRecord[],
  recipe: Recipe,
  imageId: string | undefined,
): BootGroups {
  const byRun = new Map(launches.map((launch) => [launch.run, launch]))
  const cold = reports.filter((report) => report.purpose === 'fleet' && report.cold && report.outcome === 'ok')
  const runs = [...new Map(cold.map((report) => [`${report.host} ${report.run}`, report])).values()]
  const group = (keep: (report: Report) => boolean): Boot[] => {
    const kept = runs.filter(keep)
    const now = kept.filter((report) => isOfRecipe(report, recipe))
    return (now.length > 0 ? now : kept).map((report) => bootOf(report, byRun.get(report.run)))
  }
  return {
    before: group((report) => report.image === '' && ranAll(report)),
    after: imageId === undefined ? [] : group((report) => report.image === imageId),
  }
}

function bootOf(report: Report, launch: LaunchRecord | undefined): Boot {
  const waterfall = waterfallOf(report, launch)
  return { report, launch, waterfall, fromPowerOn: waterfall.spans.some((span) => span.category === 'firmware') }
}

function isOfRecipe(report: Report, recipe: Recipe): boolean {
  return (
    report.steps.length === recipe.steps.length &&
    recipe.steps.every((step, index) => report.steps[index]?.digest === step.digest)
  )
}

/** Of the boots measured in most detail, the one nearest to their median; the earliest run id where two are as near. */
export function typicalBoot(boots: readonly Boot[]): TypicalBoot | undefined {
  const best = Math.max(...boots.map(detailOf))
  const candidates = boots.filter((boot) => detailOf(boot) === best)
  const median = medianOf(candidates.map((boot) => boot.waterfall.launchToReady))
  if (median === undefined) return undefined
  const distance = (boot: Boot) => Math.abs(boot.waterfall.launchToReady - median)
  const [chosen] = candidates.toSorted(
    (a, b) => distance(a) - distance(b) || compareCodeUnits(a.report.run, b.report.run),
  )
  if (chosen === undefined) return undefined
  return {
    waterfall: chosen.waterfall,
    of: boots.length,
    fromPowerOn: chosen.fromPowerOn,
    detailed: chosen.report.boot !== undefined,
  }
}

function detailOf(boot: Boot): number {
  return (boot.report.boot === undefined ? 0 : 2) + (boot.fromPowerOn ? 1 : 0)
}

const categories = ['firmware', 'kernel', 'initrd', 'systemd', 'cloud-init', 'agent', 'step', 'gap'] as const

/**
 * Mean seconds by category and step over the boots measured in most detail: a mean over boots of which some know their
 * firmware and some do not would be one of neither.
 */
export function timeShares(boots: readonly Boot[]): TimeShares | undefined {
  const best = Math.max(...boots.map(detailOf))
  const counted = boots.filter((boot) => detailOf(boot) === best)
  const [first] = counted
  if (first === undefined) return undefined
  const sums = new Map<string, { category: TimePart['category']; step?: string; seconds: number }>()
  for (const span of counted.flatMap((boot) => boot.waterfall.spans)) {
    const step = span.category === 'step' ? { step: span.name } : {}
    const key = `${span.category} ${step.step ?? ''}`
    const sum = sums.get(key) ?? { category: span.category, ...step, seconds: 0 }
    sums.set(key, { ...sum, seconds: sum.seconds + span.end - span.start })
  }
  const mean = counted.reduce((sum, boot) => sum + boot.waterfall.launchToReady, 0) / counted.length
  const parts = [...sums.values()].map(({ seconds, ...part }) => ({
    ...part,
    seconds: seconds / counted.length,
    share: mean > 0 ? seconds / counted.length / mean : 0,
  }))
  // Steps keep the order in which they ran; toSorted is stable.
  const inOrder = parts.toSorted((a, b) => categories.indexOf(a.category) - categories.indexOf(b.category))
  return { count: counted.length, fromPowerOn: first.fromPowerOn, mean, parts: inOrder }
}

/** Boots of a group that are read one by one at most; statistics over all of them come from elsewhere. */
const enoughBoots = 200

/**
 * Days (YYYY-MM-DD) whose reports are worth reading one by one: for the plain base and for the image, the newest days that
 * have enough successful boots of it together.
 */
export function daysToRead(fleet: FleetStatistics, imageId: string | undefined): readonly string[] {
  const images = imageId === undefined ? [''] : ['', imageId]
  const days = images.flatMap((image) => {
    let boots = 0
    return fleet.history
      .toReversed()
      .filter((day) => {
        const counts = day.versions.filter((version) => version.image === image)
        const here = counts.reduce((sum, version) => sum + (version.launchToReady?.count ?? 0), 0)
        const wanted = here > 0 && boots < enoughBoots
        boots += here
        return wanted
      })
      .map(({ day }) => day)
  })
  return [...new Set(days)].toSorted(compareCodeUnits)
}
