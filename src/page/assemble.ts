import type { ImageManifest } from '../image/manifest.ts'
import type { FleetStatistics, FleetStep } from '../profile/fleet.ts'
import type { LaunchRecord } from '../profile/launches.ts'
import type { Profile, ReadyProfile } from '../profile/model.ts'
import type { Report } from '../profile/report.ts'
import type { Plan, PlannedStep } from '../plan/model.ts'
import { earlierPredictions } from '../plan/predict.ts'
import type { Recipe } from '../recipe/model.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import { bootGroups, timeShares, typicalBoot } from './boots.ts'
import { maxFailedBoots, type Headline, type History, type ImageView } from './data.ts'
import type { GroupView, HistoryEvent, PageData, ReadyView, StepView } from './data.ts'

export interface PageInput {
  readonly recipe: Recipe
  readonly profile: Profile
  readonly fleet: FleetStatistics
  readonly plan: Plan
  readonly images: readonly ImageManifest[]
  /** Id of the image that the channel points to, where that could be verified. */
  readonly currentImageId: string | undefined
  /** The newest reports, for boots one by one. */
  readonly reports: readonly Report[]
  readonly launches: readonly LaunchRecord[]
  /** Milliseconds since the epoch. */
  readonly nowMs: number
}

/** Everything the page shows, from what was read. Pure: equal input gives equal data. */
export function pageDataOf(input: PageInput): PageData {
  const { recipe, profile, fleet, plan } = input
  const images = input.images
    .map((manifest) => imageView(manifest, input))
    .toSorted((a, b) => compareCodeUnits(b.createdAt, a.createdAt) || compareCodeUnits(b.imageId, a.imageId))
  const headline = headlineOf(input)
  const groups = bootGroups(input.reports, input.launches, recipe, headline.after?.imageId)
  return {
    v: 1,
    recipe: recipe.name,
    ...(recipe.description === undefined ? {} : { description: recipe.description }),
    generatedAt: new Date(input.nowMs).toISOString(),
    ...present({ from: fleet.from, to: fleet.to }),
    reports: fleet.reports,
    quantileError: fleet.quantiles.relativeError,
    headline,
    boots: present({ before: typicalBoot(groups.before), after: typicalBoot(groups.after) }),
    time: present({ before: timeShares(groups.before), after: timeShares(groups.after) }),
    steps: stepViews(plan, fleet),
    plan,
    images,
    history: historyOf(fleet),
    groups: groupViews(fleet),
    failedBoots: profile.failedBoots.toReversed().slice(0, maxFailedBoots),
    notes: plan.notes,
  }
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Members that are undefined left out: JSON has none. */
function present<T extends object>(members: T): Present<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Present<T>
}

function readyView(ready: ReadyProfile): ReadyView {
  return {
    count: ready.count,
    few: ready.few,
    median: ready.launchToReady.median,
    p95: ready.launchToReady.p95,
    current: ready.current,
    fromPowerOn: ready.firmwareSeconds !== undefined,
  }
}

function headlineOf(input: PageInput): Headline {
  const { profile, fleet } = input
  const before = profile.ready.allRan
  const after = comparedImage(input)
  const saved =
    before === undefined || after === undefined
      ? undefined
      : before.launchToReady.median - after.ready.launchToReady.median
  const perDay = fleet.launches.perDayLastWeek ?? fleet.launches.perDay
  return present({
    before: before === undefined ? undefined : readyView(before),
    after: after === undefined ? undefined : { ...readyView(after.ready), imageId: after.imageId },
    savedSeconds: saved,
    savedShare:
      saved === undefined || before === undefined || before.launchToReady.median <= 0
        ? undefined
        : saved / before.launchToReady.median,
    launchesPerDay: perDay,
    savedSecondsPerDay: saved === undefined || saved <= 0 || perDay === undefined ? undefined : saved * perDay,
  })
}

/** The image that hosts get now, else the newest in the store that they have booted, else the last that they booted. */
export function comparedImage({
  profile,
  fleet,
  images,
  currentImageId,
}: Pick<PageInput, 'profile' | 'fleet' | 'images' | 'currentImageId'>):
  | { readonly imageId: string; readonly ready: ReadyProfile }
  | undefined {
  const measured = new Map<string | undefined, ReadyProfile>(profile.ready.images.map((ready) => [ready.image, ready]))
  const newest = images.toSorted((a, b) => compareCodeUnits(b.createdAt, a.createdAt)).map((image) => image.imageId)
  const seen = fleet.history.toReversed().flatMap((day) => day.versions.map((version) => version.image))
  const imageId = [currentImageId, ...newest, ...seen].find((id) => id !== undefined && id !== '' && measured.has(id))
  const ready = measured.get(imageId)
  return imageId === undefined || ready === undefined ? undefined : { imageId, ready }
}

function stepViews(plan: Plan, fleet: FleetStatistics): StepView[] {
  const byDigest = new Map(fleet.steps.map((step) => [step.digest, step]))
  const changes = new Map(
    fleet.names.flatMap(({ versions }) => versions.map((version) => [version.digest, version.change] as const)),
  )
  return plan.steps.map((step) => stepView(step, byDigest.get(step.digest), changes.get(step.digest)))
}

function stepView(step: PlannedStep, measured: FleetStep | undefined, change: number | undefined): StepView {
  const cold = measured?.cold
  return {
    name: step.name,
    digest: step.digest,
    decision: step.decision,
    explanation: step.explanation,
    count: cold?.count ?? 0,
    few: cold?.few ?? true,
    failures: cold?.failures ?? 0,
    baked: cold?.baked ?? 0,
    ...present({
      wall: cold?.wall,
      cpuMedian: cold?.cpu?.median,
      rxBytesMedian: cold?.rxBytes?.median,
      diskBytesMedian: cold?.diskBytes?.median,
      lockMedian: cold?.lockSeconds?.median,
      retryMedian: cold?.retrySeconds?.median,
      share: cold?.share?.median,
      trend: measured?.trend,
      change,
      outliers: cold?.outliers,
    }),
  }
}

function imageView(manifest: ImageManifest, input: PageInput): ImageView {
  const ready = input.profile.ready.images.find((each) => each.image === manifest.imageId)
  const [foretold] = earlierPredictions([manifest])
  return {
    imageId: manifest.imageId,
    createdAt: manifest.createdAt,
    base: manifest.base.name,
    sizeBytes: manifest.sizeBytes,
    addedBytes: manifest.addedBytes,
    virtualSizeBytes: manifest.virtualSizeBytes,
    thin: manifest.format.backing !== undefined,
    steps: manifest.steps.map(({ name, seconds, diskBytes }) => ({ name, seconds, ...present({ diskBytes }) })),
    tunings: manifest.tunings ?? [],
    verifiedSeconds: foretold?.measuredSeconds ?? manifest.verification.launchSeconds,
    current: manifest.imageId === input.currentImageId,
    ...present({
      predictedSeconds: foretold?.predictedSeconds,
      predictionError: foretold?.error,
      fleet: ready === undefined ? undefined : readyView(ready),
    }),
  }
}

function historyOf(fleet: FleetStatistics): History {
  const days = fleet.history.flatMap((day) =>
    day.versions.map(({ launchToReady, ...version }) => ({
      day: day.day,
      ...version,
      ...present({ ready: launchToReady }),
    })),
  )
  const events = fleet.history.flatMap(({ day, newBundles, newImages }): HistoryEvent[] => [
    ...newBundles.filter((name) => name !== '').map((name) => ({ kind: 'recipe' as const, day, name })),
    ...newImages.filter((name) => name !== '').map((name) => ({ kind: 'image' as const, day, name })),
  ])
  return { days, events }
}

/** Dimensions that tell hosts apart: one value for all of them says nothing. */
function groupViews(fleet: FleetStatistics): GroupView[] {
  return (['instanceType', 'region', 'distribution'] as const).flatMap((dimension) => {
    const groups = fleet.groups[dimension]
    if (groups.every(({ value }) => value === 'unknown')) return []
    return groups.map(({ value, cold, failed, launchToReady }) => ({
      dimension,
      value,
      cold,
      failed,
      ...present({ ready: launchToReady }),
    }))
  })
}
