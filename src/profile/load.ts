import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { Recipe } from '../recipe/model.ts'
import type { Reporter } from '../report/events.ts'
import { keys } from '../store/keys.ts'
import type { ObjectStore } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import { displayPath } from '../util/display-path.ts'
import { firmwareLookup } from './firmware.ts'
import type { FleetStatistics } from './fleet.ts'
import { collectReports, reportObjects, warnOfSkipped, type SkippedReport } from './ingest.ts'
import { readLaunches, type LaunchRecord } from './launches.ts'
import type { Profile } from './model.ts'
import type { Report } from './report.ts'
import { dayOf } from './rollup/days.ts'
import { FleetBuilder } from './rollup/fleet-builder.ts'
import { profileOfTally } from './rollup/profile.ts'
import { readDays } from './rollup/read.ts'
import { Tally } from './rollup/tally.ts'
import { profileOf, selectFleet } from './statistics.ts'

export interface LoadProfileOptions {
  readonly since?: Date
  /** Read at most this many reports, the newest. */
  readonly limit?: number
  /** Return an empty profile instead of throwing where there is no report yet. */
  readonly allowEmpty?: boolean
}

/** What the reports of a recipe say: about its steps, and about the fleet as a whole. */
export interface LoadedFleet {
  readonly profile: Profile
  readonly fleet: FleetStatistics
}

/** Up to this many documents all of them are read, and every figure is exact. */
export const exactDocuments = 1000
/** From then on it pays to keep what was read. */
const manyUnread = 10_000
const dayMs = 86_400_000

/**
 * The recipe's reports from the configured store and the launches measured on this machine. Throws UserError where the
 * fleet has not reported yet, or the store cannot be read.
 */
export async function loadProfile(
  context: Context,
  recipe: Recipe,
  options: LoadProfileOptions = {},
): Promise<Profile> {
  return (await loadFleet(context, recipe, options)).profile
}

/**
 * As `loadProfile`, with the fleet's statistics. Where there are more than `exactDocuments`, days come from their rollups,
 * and only what these do not count yet is read; then `since` counts whole days.
 */
export async function loadFleet(
  context: Context,
  recipe: Recipe,
  options: LoadProfileOptions = {},
): Promise<LoadedFleet> {
  const { config, reporter, signal } = context
  const store = await openStore(config.store)
  try {
    const launches = await readLaunches(config.stateDir, recipe.name)
    const input = { store, recipe, launches, reporter, signal, options }
    const loaded = await ((await isSmall(input)) ? loadSmall(input) : loadLarge(input))
    if (loaded.profile.reports.fleet === 0 && options.allowEmpty !== true) throw noReports(recipe, options.since)
    return loaded
  } finally {
    store.close()
  }
}

interface LoadInput {
  readonly store: ObjectStore
  readonly recipe: Recipe
  readonly launches: readonly LaunchRecord[]
  readonly reporter: Reporter
  readonly signal: AbortSignal
  readonly options: LoadProfileOptions
}

/**
 * Whether to read every report itself. Not where there are rollups: they may count reports that the store has deleted since.
 * They know whole days only, so a shorter period is read as long as that is little.
 */
async function isSmall({ store, recipe, signal, options: { since, limit } }: LoadInput): Promise<boolean> {
  if (limit !== undefined) return true
  const isShort = since !== undefined && Date.now() - since.getTime() < 2 * dayMs
  const { objects } = await store.list({ prefix: keys.rollupsPrefix(recipe.name), limit: 1, signal })
  if (objects.length > 0 && !isShort) return false
  let found = 0
  for await (const _ of reportObjects(store, recipe.name, { signal, ...(since === undefined ? {} : { since }) })) {
    if (++found > exactDocuments) return false
  }
  return true
}

async function loadSmall({ store, recipe, launches, reporter, signal, options }: LoadInput): Promise<LoadedFleet> {
  const { reports, skipped } = await collectReports(store, recipe.name, {
    signal,
    reporter,
    ...(options.since === undefined ? {} : { since: options.since }),
    ...(options.limit === undefined ? {} : { limit: options.limit }),
  })
  return {
    profile: profileOf(reports, recipe, launches),
    fleet: fleetOf(reports, recipe, launches, skipped.length),
  }
}

/** The fleet's statistics of reports in memory; days are those on which converges began. */
export function fleetOf(
  reports: readonly Report[],
  recipe: Recipe,
  launches: readonly LaunchRecord[] = [],
  skipped = 0,
): FleetStatistics {
  const firmware = firmwareLookup(launches)
  const { fleet, otherPurpose } = selectFleet(reports)
  const days = new Map<string, Tally>()
  for (const report of fleet) {
    const day = dayOf(report.startedAt * 1000)
    const tally = days.get(day) ?? new Tally()
    days.set(day, tally)
    tally.add(report, firmware(report))
  }
  const builder = new FleetBuilder()
  for (const [day, tally] of [...days].toSorted(([a], [b]) => (a < b ? -1 : 1))) builder.add(day, tally)
  builder.total.counts.otherPurpose += otherPurpose
  builder.total.counts.skipped += skipped
  return builder.build(recipe.name, recipe)
}

async function loadLarge({ store, recipe, launches, reporter, signal, options }: LoadInput): Promise<LoadedFleet> {
  const skipped: SkippedReport[] = []
  const builder = new FleetBuilder()
  const label = `read reports of ${recipe.name}`
  let unread = 0
  reporter.emit({ type: 'phase-start', phase: label })
  const started = performance.now()
  const days = readDays(store, recipe.name, {
    signal,
    ...(options.since === undefined ? {} : { since: dayOf(options.since.getTime()) }),
    onSkipped: (each) => (skipped.length === 0 ? skipped.push(each) : undefined),
    onUnread: (documents) => {
      unread = documents
      if (documents % 1000 === 0) {
        reporter.emit({ type: 'phase-progress', phase: label, detail: `${documents} that no rollup counts` })
      }
    },
  })
  for await (const { day, tally, rolledUp } of days) builder.add(day, tally, rolledUp)
  const { documents, counts } = builder.total
  const detail = `${documents - unread} in rollups, ${unread} read`
  reporter.emit({ type: 'phase-end', phase: label, seconds: (performance.now() - started) / 1000, detail })
  warnOfSkipped(reporter, recipe.name, counts.skipped, skipped[0])
  if (unread > manyUnread) {
    const text = `no rollup counts ${unread} reports yet, so each of these commands reads them again`
    reporter.emit({ type: 'note', text: `${text}; let parbake profile --rollup run every hour` })
  }
  return {
    profile: profileOfTally(builder.total, recipe.name, recipe, launches),
    fleet: builder.build(recipe.name, recipe),
  }
}

function noReports(recipe: Recipe, since: Date | undefined): UserError {
  const period = since === undefined ? '' : ` since ${since.toISOString().slice(0, 19)}Z`
  return new UserError(`no reports for ${recipe.name}${period}`, {
    hint: `launch it first: parbake launch ${displayPath(recipe.folder)}`,
    code: 'no-reports',
  })
}
