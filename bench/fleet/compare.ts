import { groupDimensions, type FleetSpread, type FleetStatistics } from '../../src/profile/fleet.ts'
import type { DuckFigures, DuckOutcome, DuckRow } from './duckdb.ts'

export interface Comparison {
  /** Figures that must be equal, and were looked at. */
  readonly exact: number
  /** Quantiles that must be within the stated error. */
  readonly quantiles: number
  /** Largest relative error of a quantile. */
  readonly worst: number
  readonly problems: readonly string[]
}

/** Sums of floating-point numbers in another order differ in their last digits. */
const sumError = 1e-6

/** Holds parbake's statistics against DuckDB's, group by group; neither may have a group that the other has not. */
export function compare(fleet: FleetStatistics, duck: DuckFigures): Comparison {
  const state = { exact: 0, quantiles: 0, worst: 0, problems: [] as string[] }
  const equal = (what: string, ours: unknown, theirs: unknown) => {
    state.exact += 1
    if (ours !== theirs) state.problems.push(`${what}: ${String(ours)}, DuckDB ${String(theirs)}`)
  }
  for (const [name, count] of Object.entries(duck.counts)) {
    equal(name, fleet.reports[name as keyof DuckFigures['counts']], count)
  }
  const spreads = (what: string, ours: ReadonlyMap<string, FleetSpread>, theirs: readonly DuckRow[]) => {
    equal(
      `${what}: groups`,
      [...ours.keys()].toSorted().join('\n'),
      theirs
        .map(({ key }) => key)
        .toSorted()
        .join('\n'),
    )
    for (const row of theirs) {
      const spread = ours.get(row.key)
      if (spread === undefined) continue
      const label = `${what} ${row.key}`
      equal(`${label}: count`, spread.count, row.n)
      equal(`${label}: min`, spread.min, row.min)
      equal(`${label}: max`, spread.max, row.max)
      equal(`${label}: mean`, near(spread.mean, row.mean), true)
      equal(`${label}: stddev`, near(spread.stddev, row.stddev), true)
      for (const quantile of ['median', 'p95'] as const) {
        state.quantiles += 1
        const bound = spread.count <= fleet.quantiles.exactUpTo ? sumError : fleet.quantiles.relativeError + sumError
        const error = row[quantile] === 0 ? Math.abs(spread[quantile]) : Math.abs(spread[quantile] / row[quantile] - 1)
        state.worst = Math.max(state.worst, error)
        if (error > bound) state.problems.push(`${label}: ${quantile} ${spread[quantile]}, DuckDB ${row[quantile]}`)
      }
    }
  }
  spreads('step', ourSteps(fleet), duck.steps)
  spreads('group', ourGroups(fleet), duck.groups)
  spreads('step by group', ourStepGroups(fleet), duck.stepGroups)
  spreads('day', ourDays(fleet), duck.days)
  const outcomes = (each: readonly DuckOutcome[]) =>
    each
      .map(({ key, failures, baked }) => `${key} ${failures} ${baked}`)
      .toSorted()
      .join('\n')
  // A digest that only one kind of converge had is no group there.
  equal('outcomes', outcomes(ourOutcomes(fleet)), outcomes(duck.outcomes.filter(hasOutcome)))
  return state
}

function near(a: number, b: number): boolean {
  return Math.abs(a - b) <= sumError * Math.max(1, Math.abs(b))
}

const kinds = [
  ['cold', true],
  ['warm', false],
] as const

function ourSteps(fleet: FleetStatistics): Map<string, FleetSpread> {
  return new Map(
    fleet.steps.flatMap((step) =>
      kinds.flatMap(([kind, cold]) => {
        const { wall } = step[kind]
        return wall === undefined ? [] : [[`${step.digest} ${cold}`, wall] as const]
      }),
    ),
  )
}

function ourGroups(fleet: FleetStatistics): Map<string, FleetSpread> {
  return new Map(
    groupDimensions.flatMap((dimension) =>
      fleet.groups[dimension].flatMap(({ value, launchToReady }) =>
        launchToReady === undefined ? [] : [[`${dimension} ${value}`, launchToReady] as const],
      ),
    ),
  )
}

function ourStepGroups(fleet: FleetStatistics): Map<string, FleetSpread> {
  return new Map(
    fleet.steps.flatMap((step) =>
      kinds.flatMap(([kind, cold]) =>
        groupDimensions.flatMap((dimension) =>
          step[kind].by[dimension].map(
            (spread) => [`${dimension} ${step.digest} ${cold} ${spread.value}`, spread] as const,
          ),
        ),
      ),
    ),
  )
}

function ourDays(fleet: FleetStatistics): Map<string, FleetSpread> {
  return new Map(
    fleet.history.flatMap(({ day, versions }) =>
      versions.flatMap(({ image, bundle, launchToReady }) =>
        launchToReady === undefined ? [] : [[`${day} ${image} ${bundle}`, launchToReady] as const],
      ),
    ),
  )
}

function ourOutcomes(fleet: FleetStatistics): DuckOutcome[] {
  return fleet.steps
    .flatMap((step) =>
      kinds.map(([kind, cold]) => ({
        key: `${step.digest} ${cold}`,
        failures: step[kind].failures,
        baked: step[kind].baked,
      })),
    )
    .filter(hasOutcome)
}

function hasOutcome({ failures, baked }: DuckOutcome): boolean {
  return failures + baked > 0
}
