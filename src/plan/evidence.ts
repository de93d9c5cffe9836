import type { ImageManifest } from '../image/manifest.ts'
import type { Profile } from '../profile/model.ts'
import { quantile } from '../profile/quantile.ts'
import type { Report } from '../profile/report.ts'
import type { Step } from '../recipe/model.ts'

/** What of an image's manifest a plan learns from. */
export type PlanImage = Pick<
  ImageManifest,
  'imageId' | 'createdAt' | 'base' | 'steps' | 'addedBytes' | 'predicted' | 'verification'
>

/** What is known besides the profile; all of it may be absent. */
export interface Evidence {
  /** Reports of recent successful cold boots of the fleet. */
  readonly boots: readonly Report[]
  /** Images of the recipe, oldest first. */
  readonly images: readonly PlanImage[]
  /** The image that the channel points to. */
  readonly inForce?: PlanImage
  /** Launches a day of late; without it they are counted over all of the profile's days. */
  readonly launchesPerDay?: number
}

export const noEvidence: Evidence = { boots: [], images: [] }

/** How often a step was seen to change. */
export interface Changes {
  readonly count: number
  readonly days: number
}

const secondsPerDay = 86_400

/**
 * Changes of each step, by name: other digests of it that cold boots or images had, over the days that these span. The
 * digest that the recipe has now counts, whether or not a host has had it yet.
 */
export function changesOf(
  steps: readonly Step[],
  profile: Profile,
  images: readonly PlanImage[],
): Map<string, Changes> {
  const digests = new Map<string, Set<string>>(steps.map((step) => [step.name, new Set([step.digest])]))
  for (const step of profile.steps) digests.get(step.name)?.add(step.digest)
  for (const image of images) for (const step of image.steps) digests.get(step.name)?.add(step.digest)
  const times = images.map((image) => Date.parse(image.createdAt) / 1000)
  if (profile.from !== undefined && profile.to !== undefined) times.push(profile.from, profile.to)
  const days = times.length === 0 ? 0 : (Math.max(...times) - Math.min(...times)) / secondsPerDay
  return new Map([...digests].map(([name, seen]) => [name, { count: seen.size - 1, days }]))
}

/** Seconds that making an image took besides its steps: its id has the time at which that began. */
export function overheadOf(image: PlanImage): number | undefined {
  const match = /-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-[0-9a-f]+$/.exec(image.imageId)
  if (match === null || image.steps.some((step) => step.cached === undefined)) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [number, ...number[]]
  const began = Date.UTC(year, (month ?? 1) - 1, day, hour, minute, second)
  const ran = image.steps.reduce((sum, step) => sum + (step.cached === true ? 0 : step.seconds), 0)
  const seconds = (Date.parse(image.createdAt) - began) / 1000 - ran
  return Number.isFinite(seconds) && seconds > 0 ? seconds : undefined
}

/** Stored bytes for each byte that the steps of an image added to the file system. */
export function storedShareOf(image: PlanImage): number | undefined {
  const grown = image.steps.reduce((sum, step) => sum + (step.diskBytes ?? 0), 0)
  if (grown <= 0 || image.addedBytes <= 0) return undefined
  return image.addedBytes / grown
}

/**
 * Seconds per GiB from launches of images that differ in size: the median slope between two (Theil and Sen) of what a
 * launch takes besides its steps over the bytes that the image adds. Undefined below three images, or where they are too
 * alike to tell.
 */
export function secondsPerGiBOf(images: readonly PlanImage[], boots: readonly Report[]): number | undefined {
  const points = images.flatMap((image) => {
    const rest = boots.flatMap((boot) =>
      boot.image === image.imageId ? [boot.readyUptime - boot.steps.reduce((sum, step) => sum + step.wall, 0)] : [],
    )
    return rest.length < 3 ? [] : [{ gib: image.addedBytes / 1024 ** 3, seconds: middle(rest) }]
  })
  const slopes = points.flatMap((a, index) =>
    points
      .slice(index + 1)
      .filter((b) => Math.abs(a.gib - b.gib) >= 0.05)
      .map((b) => (a.seconds - b.seconds) / (a.gib - b.gib)),
  )
  return points.length < 3 || slopes.length < 3 ? undefined : Math.max(0, middle(slopes))
}

/** Median of at least one number. */
export function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return quantile(sorted, 0.5)
}
