import type { Recipe } from '../recipe/model.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import { firmwareLookup } from './firmware.ts'
import type { LaunchRecord } from './launches.ts'
import { fewSamples, type FailedBoot, type Profile, type ReadyProfile, type StepProfile } from './model.ts'
import { medianOf, spreadOf } from './quantile.ts'
import { ranAll, type Report, type StepReport } from './report.ts'

/** A report and what it took from power-on. */
interface Boot {
  readonly report: Report
  readonly launchToReady: number
  readonly firmwareSeconds: number | undefined
}

interface Sample {
  readonly step: StepReport
  readonly boot: Boot
}

/**
 * Statistics over reports, in any order. Only purpose `fleet` counts, each run once; costs and launch-to-ready come
 * from cold converges (the first of an instance). A step that succeeded counts even where its boot failed later; the
 * launch-to-ready of a failed boot never does. Groups of `ready` hold only boots of the recipe as it is now where there
 * are any, else all. `launches` add the seconds before the kernel starts.
 */
export function profileOf(reports: Iterable<Report>, recipe?: Recipe, launches: readonly LaunchRecord[] = []): Profile {
  const { fleet, otherPurpose } = selectFleet(reports)
  const cold = fleet.filter((report) => report.cold)
  const boots = withFirmware(cold, launches)
  const good = boots.filter((boot) => boot.report.outcome === 'ok')
  const failedBoots = cold.filter((report) => report.outcome === 'failed').map(failedBoot)
  const times = fleet.map((report) => report.startedAt)
  return {
    v: 1,
    recipe: recipe?.name ?? fleet[0]?.recipe ?? '',
    quantiles: 'type-7',
    reports: { fleet: fleet.length, cold: cold.length, failed: failedBoots.length, otherPurpose },
    from: times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b)),
    to: times.length === 0 ? undefined : times.reduce((a, b) => Math.max(a, b)),
    steps: stepProfiles(boots, recipe),
    ready: readyProfiles(good, recipe),
    failedBoots,
  }
}

/** Reports of the fleet by time, each run once. */
export function selectFleet(reports: Iterable<Report>): { fleet: Report[]; otherPurpose: number } {
  const runs = new Map<string, Report>()
  let otherPurpose = 0
  for (const report of reports) {
    if (report.purpose === 'fleet') runs.set(`${report.host} ${report.run}`, report)
    else otherPurpose += 1
  }
  const fleet = [...runs.values()].toSorted((a, b) => a.startedAt - b.startedAt || compareCodeUnits(a.run, b.run))
  return { fleet, otherPurpose }
}

function failedBoot(report: Report): FailedBoot {
  return {
    run: report.run,
    host: report.host,
    image: report.image,
    startedAt: report.startedAt,
    error: report.error,
    steps: report.steps.filter((step) => step.outcome === 'failed').map((step) => step.name),
  }
}

function withFirmware(reports: readonly Report[], launches: readonly LaunchRecord[]): Boot[] {
  const firmware = firmwareLookup(launches)
  return reports.map((report) => {
    const firmwareSeconds = firmware(report)
    return { report, firmwareSeconds, launchToReady: report.readyUptime + (firmwareSeconds ?? 0) }
  })
}

function stepProfiles(boots: readonly Boot[], recipe: Recipe | undefined): StepProfile[] {
  const groups = new Map<string, Sample[]>()
  for (const boot of boots) {
    for (const step of boot.report.steps) {
      const group = groups.get(step.digest)
      if (group === undefined) groups.set(step.digest, [{ step, boot }])
      else group.push({ step, boot })
    }
  }
  const positions = new Map<string, number>(recipe?.steps.map((step, index) => [step.digest, index]))
  const names = new Map<string, string>(recipe?.steps.map((step) => [step.digest, step.name]))
  const rows = [...groups].map(([digest, samples]) => ({
    profile: stepProfile(digest, names.get(digest), samples, recipe === undefined ? undefined : positions.has(digest)),
    position: positions.get(digest) ?? Number.POSITIVE_INFINITY,
    last: samples.at(-1)?.boot.report.startedAt ?? 0,
    index: samples.at(-1)?.boot.report.steps.findIndex((step) => step.digest === digest) ?? 0,
  }))
  return rows
    .toSorted((a, b) => compareNumbers(a.position, b.position) || b.last - a.last || a.index - b.index)
    .map((row) => row.profile)
}

function stepProfile(
  digest: string,
  name: string | undefined,
  samples: readonly Sample[],
  current: boolean | undefined,
): StepProfile {
  // Names and `when` are no part of the digest; the latest report knows best.
  const latest = samples.at(-1) as Sample
  const ran = samples.filter((sample) => sample.step.outcome === 'ran')
  const shares = ran
    .filter((sample) => sample.boot.report.outcome === 'ok' && sample.boot.launchToReady > 0)
    .map((sample) => sample.step.wall / sample.boot.launchToReady)
  const spread = (pick: (step: StepReport) => number) => spreadOf(ran.map((sample) => pick(sample.step)))
  return {
    name: name ?? latest.step.name,
    digest,
    when: latest.step.when,
    current,
    count: ran.length,
    few: ran.length < fewSamples,
    wall: spread((step) => step.wall),
    cpu: spread((step) => step.cpu),
    rxBytes: spread((step) => step.rxBytes),
    diskBytes: spread((step) => step.diskBytes),
    share: medianOf(shares),
    failures: samples.filter((sample) => sample.step.outcome === 'failed').length,
    baked: samples.filter((sample) => sample.step.outcome === 'stamped' && sample.step.baked).length,
  }
}

function readyProfiles(good: readonly Boot[], recipe: Recipe | undefined): Profile['ready'] {
  const images = new Map<string, Boot[]>()
  for (const boot of good) images.set(boot.report.image, [...(images.get(boot.report.image) ?? []), boot])
  return {
    allRan: readyProfile(
      undefined,
      good.filter((boot) => ranAll(boot.report)),
      recipe,
    ),
    someBaked: readyProfile(
      undefined,
      good.filter((boot) => boot.report.steps.some((step) => step.outcome === 'stamped' && step.baked)),
      recipe,
    ),
    images: [...images]
      .toSorted(([a], [b]) => compareCodeUnits(a, b))
      .flatMap(([image, boots]) => readyProfile(image, boots, recipe) ?? []),
  }
}

function readyProfile(
  image: string | undefined,
  boots: readonly Boot[],
  recipe: Recipe | undefined,
): ReadyProfile | undefined {
  const ofRecipe = recipe === undefined ? [] : boots.filter((boot) => isOfRecipe(boot.report, recipe))
  const counted = ofRecipe.length > 0 ? ofRecipe : boots
  const launchToReady = spreadOf(counted.map((boot) => boot.launchToReady))
  const readyUptime = spreadOf(counted.map((boot) => boot.report.readyUptime))
  if (launchToReady === undefined || readyUptime === undefined) return undefined
  return {
    image,
    count: counted.length,
    few: counted.length < fewSamples,
    launchToReady,
    readyUptime,
    firmwareSeconds: medianOf(counted.flatMap((boot) => boot.firmwareSeconds ?? [])),
    current: ofRecipe.length > 0,
  }
}

function isOfRecipe(report: Report, recipe: Recipe): boolean {
  return (
    report.steps.length === recipe.steps.length &&
    recipe.steps.every((step, index) => report.steps[index]?.digest === step.digest)
  )
}

/** Infinity minus itself is no number, and a comparison must be one. */
function compareNumbers(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}
