import type { Recipe } from '../../recipe/model.ts'
import { compareCodeUnits } from '../../util/canonical-json.ts'
import type { FleetSpread, FleetStep, FleetStepName, GroupDimension, GroupSpread, StepRuns } from '../fleet.ts'
import { fewSamples } from '../model.ts'
import { outliersOf } from '../outliers.ts'
import { trendOf, type DailyValue } from '../trend.ts'
import type { Quantity, RunsTally } from './runs-tally.ts'
import type { StepTally, Tally } from './tally.ts'

/** Current digests in the recipe's order, then the others, newest first. `medians`: cold wall seconds per day. */
export function fleetSteps(
  tally: Tally,
  medians: ReadonlyMap<string, readonly DailyValue[]>,
  recipe: Recipe | undefined,
): FleetStep[] {
  return orderedSteps(tally, recipe).map(({ step, name, current }) => ({
    name,
    digest: step.digest,
    when: step.when,
    current,
    firstSeen: step.firstSeen,
    lastSeen: step.lastSeen,
    cold: stepRuns(step.cold),
    warm: stepRuns(step.warm),
    trend: trendOf(medians.get(step.digest) ?? []),
  }))
}

export interface OrderedStep {
  readonly step: StepTally
  /** As the recipe calls it now, else as the latest report did. */
  readonly name: string
  readonly current: boolean | undefined
}

/** The steps of a tally in the order in which a profile shows them. */
export function orderedSteps(tally: Tally, recipe: Recipe | undefined): readonly OrderedStep[] {
  const positions = new Map<string, number>(recipe?.steps.map((step, index) => [step.digest, index]))
  const names = new Map<string, string>(recipe?.steps.map((step) => [step.digest, step.name]))
  const rank = (step: StepTally) => positions.get(step.digest) ?? positions.size
  return [...tally.steps.values()]
    .toSorted(
      (a, b) =>
        rank(a) - rank(b) || b.lastSeen - a.lastSeen || a.position - b.position || compareCodeUnits(a.digest, b.digest),
    )
    .map((step) => ({
      step,
      name: names.get(step.digest) ?? step.name,
      current: recipe === undefined ? undefined : positions.has(step.digest),
    }))
}

/** What became of each step name, in the order of the steps. */
export function stepNames(steps: readonly FleetStep[]): FleetStepName[] {
  const names = new Map<string, FleetStep[]>()
  for (const step of steps) names.set(step.name, [...(names.get(step.name) ?? []), step])
  return [...names].map(([name, versions]) => ({
    name,
    versions: versions
      .toSorted((a, b) => a.firstSeen - b.firstSeen || a.lastSeen - b.lastSeen)
      .map((version, index, all) => ({
        digest: version.digest,
        firstSeen: version.firstSeen,
        lastSeen: version.lastSeen,
        wall: version.cold.wall,
        change: changeOf(all[index - 1]?.cold.wall, version.cold.wall),
      })),
  }))
}

function changeOf(before: FleetSpread | undefined, now: FleetSpread | undefined): number | undefined {
  if (before === undefined || now === undefined || before.median === 0) return undefined
  return now.median / before.median - 1
}

function stepRuns(runs: RunsTally): StepRuns {
  const spread = (quantity: Quantity) => runs.sketches.get(quantity)?.spread()
  const wall = runs.sketches.get('wall')
  return {
    count: runs.count,
    few: runs.count < fewSamples,
    failures: runs.failures,
    baked: runs.baked,
    retried: runs.retried,
    wall: spread('wall'),
    cpu: spread('cpu'),
    rxBytes: spread('rxBytes'),
    diskBytes: spread('diskBytes'),
    share: spread('share'),
    lockSeconds: spread('lockSeconds'),
    retrySeconds: spread('retrySeconds'),
    by: {
      instanceType: groupSpreads(runs, 'instanceType'),
      region: groupSpreads(runs, 'region'),
      image: groupSpreads(runs, 'image'),
      distribution: groupSpreads(runs, 'distribution'),
    },
    outliers: wall === undefined ? undefined : outliersOf(wall, runs.slowest),
  }
}

function groupSpreads(runs: RunsTally, dimension: GroupDimension): GroupSpread[] {
  return [...(runs.by.get(dimension) ?? [])]
    .flatMap(([value, sketch]) => {
      const spread = sketch.spread()
      return spread === undefined ? [] : [{ value, ...spread }]
    })
    .toSorted((a, b) => b.count - a.count || compareCodeUnits(a.value, b.value))
}
