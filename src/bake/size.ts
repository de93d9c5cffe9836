import type { Config } from '../config.ts'
import { UserError } from '../errors.ts'
import { formatBytes } from '../report/reporters.ts'
import type { BakedStep } from './run-job.ts'

export interface ImageSize {
  readonly sizeBytes: number
  /** Stored size of the base. */
  readonly baseBytes: number
  readonly thin: boolean
  readonly steps: readonly Pick<BakedStep, 'name' | 'diskBytes'>[]
}

/** Bytes that the image adds to its base, as stored; negative where it is smaller. */
export function addedBytes({ sizeBytes, baseBytes, thin }: Omit<ImageSize, 'steps'>): number {
  return thin ? sizeBytes : sizeBytes - baseBytes
}

/** What takes the space, the largest first: "catalog 210 MiB, packages 80 MiB" (on the file system, uncompressed). */
export function sizeByStep(steps: ImageSize['steps']): string {
  return [...steps]
    .filter((step) => step.diskBytes > 0)
    .toSorted((a, b) => b.diskBytes - a.diskBytes)
    .map((step) => `${step.name} ${formatBytes(step.diskBytes)}`)
    .join(', ')
}

/** Throws UserError where the image adds more than `bake.maxGrowth` allows, with what takes the space. */
export function refuseOverBudget(config: Pick<Config, 'bake'>, size: ImageSize): void {
  const { maxGrowthBytes } = config.bake
  const added = addedBytes(size)
  if (maxGrowthBytes === undefined || added <= maxGrowthBytes) return
  throw new UserError(
    `the image adds ${formatBytes(added)} to its base, ${formatBytes(added - maxGrowthBytes)} more than bake.maxGrowth allows\n  on the disk, uncompressed: ${sizeByStep(size.steps)}`,
    { hint: "leave the largest steps to runtime (bake: never), or raise 'bake.maxGrowth'", code: 'image-too-large' },
  )
}

/** How much larger or smaller than its base an image is, for people: `76.6 MiB more than`. */
export function growthText(addedBytes: number): string {
  return `${formatBytes(Math.abs(addedBytes))} ${addedBytes < 0 ? 'less' : 'more'} than`
}
