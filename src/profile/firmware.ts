import type { LaunchRecord } from './launches.ts'
import { medianOf } from './quantile.ts'
import type { Report } from './report.ts'

/** Seconds before the kernel as the guest knows them: where EFI tells. */
export function beforeKernel(report: Report): number | undefined {
  const { firmwareSeconds, loaderSeconds } = report.boot ?? {}
  if (firmwareSeconds === undefined && loaderSeconds === undefined) return undefined
  return (firmwareSeconds ?? 0) + (loaderSeconds ?? 0)
}

/** Median seconds before the kernel per image, as launches measured them from outside; under undefined that of all. */
export function firmwareMedians(launches: readonly LaunchRecord[]): ReadonlyMap<string | undefined, number> {
  const seconds = new Map<string | undefined, number[]>()
  for (const { image, launchSeconds, readyUptime } of launches.filter(isUsable)) {
    for (const key of [image, undefined]) seconds.set(key, [...(seconds.get(key) ?? []), launchSeconds - readyUptime])
  }
  return new Map([...seconds].map(([image, each]) => [image, medianOf(each) ?? 0]))
}

/**
 * Seconds before the kernel of a report: measured at that very launch, else told by the guest's EFI, else the median of its
 * image's launches, else of all.
 */
export function firmwareLookup(launches: readonly LaunchRecord[]): (report: Report) => number | undefined {
  const medians = firmwareMedians(launches)
  const runs = new Map(launches.filter(isUsable).map((each) => [each.run, each.launchSeconds - each.readyUptime]))
  return (report) => runs.get(report.run) ?? beforeKernel(report) ?? medians.get(report.image) ?? medians.get(undefined)
}

/** A guest that was ready before its launch: one of the clocks was wrong. */
function isUsable(launch: LaunchRecord): boolean {
  return launch.launchSeconds >= launch.readyUptime
}
