import type { Recipe } from '../../recipe/model.ts'
import { compareCodeUnits } from '../../util/canonical-json.ts'
import type { FleetSpread } from '../fleet.ts'
import { firmwareMedians } from '../firmware.ts'
import type { LaunchRecord } from '../launches.ts'
import { fewSamples, type Profile, type ReadyProfile, type Spread, type StepProfile } from '../model.ts'
import { relativeError, Sketch } from '../sketch.ts'
import { orderedSteps, type OrderedStep } from './fleet-steps.ts'
import type { ReadyTally } from './ready-tally.ts'
import { stepsDigest } from './report-facts.ts'
import type { Tally } from './tally.ts'

/**
 * The profile of a fleet too large to hold every sample: as `profileOf`, with quantiles off by at most `relativeError`.
 * Seconds before the kernel that only this machine measured are added as their median per image.
 */
export function profileOfTally(
  tally: Tally,
  recipeName: string,
  recipe?: Recipe,
  launches: readonly LaunchRecord[] = [],
): Profile {
  const { counts } = tally
  return {
    v: 1,
    recipe: recipeName,
    quantiles: 'type-7',
    relativeError,
    reports: { fleet: counts.fleet, cold: counts.cold, failed: counts.failed, otherPurpose: counts.otherPurpose },
    from: tally.from,
    to: tally.to,
    steps: orderedSteps(tally, recipe).flatMap(stepProfile),
    ready: readyProfiles([...tally.ready.values()], recipe, firmwareMedians(launches)),
    failedBoots: tally.failedBoots,
  }
}

/** None for a step that no cold boot ran, had baked or failed. */
function stepProfile({ step, name, current }: OrderedStep): StepProfile[] {
  const { cold } = step
  if (cold.count + cold.failures + cold.baked === 0) return []
  return [
    {
      name,
      digest: step.digest,
      when: step.when,
      current,
      count: cold.count,
      few: cold.count < fewSamples,
      wall: spreadOf(cold.sketches.get('wall')),
      cpu: spreadOf(cold.sketches.get('cpu')),
      rxBytes: spreadOf(cold.sketches.get('rxBytes')),
      diskBytes: spreadOf(cold.sketches.get('diskBytes')),
      share: cold.sketches.get('share')?.spread()?.median,
      failures: cold.failures,
      baked: cold.baked,
    },
  ]
}

function spreadOf(sketch: Sketch | undefined): Spread | undefined {
  const spread = sketch?.spread()
  return spread === undefined ? undefined : shifted(spread, 0)
}

function shifted({ count, median, p95, min, max }: FleetSpread, by: number): Spread {
  return { count, median: median + by, p95: p95 + by, min: min + by, max: max + by }
}

type FirmwareMedians = ReturnType<typeof firmwareMedians>

function readyProfiles(
  cells: readonly ReadyTally[],
  recipe: Recipe | undefined,
  firmware: FirmwareMedians,
): Profile['ready'] {
  const images = [...new Set(cells.map(({ image }) => image))].toSorted(compareCodeUnits)
  const profile = (image: string | undefined, wanted: (cell: ReadyTally) => boolean) =>
    readyProfile(image, cells.filter(wanted), recipe, firmware)
  return {
    allRan: profile(undefined, ({ kind }) => kind === 'all-ran'),
    someBaked: profile(undefined, ({ kind }) => kind === 'some-baked'),
    images: images.flatMap((image) => profile(image, (cell) => cell.image === image) ?? []),
  }
}

function readyProfile(
  image: string | undefined,
  cells: readonly ReadyTally[],
  recipe: Recipe | undefined,
  firmware: FirmwareMedians,
): ReadyProfile | undefined {
  const now = recipe === undefined ? undefined : stepsDigest(recipe.steps.map(({ digest }) => digest))
  const good = cells.filter((cell) => cell.readyUptime.count > 0)
  const ofRecipe = good.filter((cell) => cell.steps === now)
  const counted = ofRecipe.length > 0 ? ofRecipe : good
  const merged = (pick: (cell: ReadyTally) => Sketch): FleetSpread | undefined => {
    const sketch = new Sketch()
    for (const cell of counted) sketch.merge(pick(cell))
    return sketch.spread()
  }
  const readyUptime = merged((cell) => cell.readyUptime)
  const launchToReady = merged((cell) => cell.launchToReady)
  if (readyUptime === undefined || launchToReady === undefined) return undefined
  const seen = merged((cell) => cell.firmware)?.median
  const measured = seen === undefined ? (firmware.get(image) ?? firmware.get(undefined)) : undefined
  return {
    image,
    count: readyUptime.count,
    few: readyUptime.few,
    launchToReady: shifted(launchToReady, measured ?? 0),
    readyUptime: shifted(readyUptime, 0),
    firmwareSeconds: seen ?? measured,
    current: ofRecipe.length > 0,
  }
}
