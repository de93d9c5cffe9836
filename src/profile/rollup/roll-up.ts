import type { ObjectStore } from '../../store/object-store.ts'
import type { SkippedReport } from '../ingest.ts'
import { countUnread, dayName, loadDay, rolledUpDays, storeDay } from './day-store.ts'
import { daysOfMonth, isDue, reportMonths, wantsMark } from './days.ts'

export interface RollUpOptions {
  /** Look at every day, however old and however lately looked at. */
  readonly all?: boolean
  /** Milliseconds since the epoch; now by default. */
  readonly now?: number
  /** Documents after which a day is saved at the earliest; what a killed run had read since is read again. */
  readonly batch?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: RollUpProgress) => void
  readonly onSkipped?: (skipped: SkippedReport) => void
}

export interface RollUpProgress {
  readonly day: string
  /** Documents counted in this run so far. */
  readonly documents: number
}

export interface RollUpResult {
  readonly recipe: string
  /** Days that were looked at. */
  readonly looked: number
  /** Of those, days with documents that were not counted yet. */
  readonly changed: number
  /** Documents read and counted by this run, those that are no reports included. */
  readonly documents: number
  /** Times that another run had counted a day meanwhile; its reports were counted once all the same. */
  readonly conflicts: number
  readonly seconds: number
}

const defaultBatch = 20_000

/**
 * Counts the reports that no rollup has counted yet. A day's statistics and the list of the reports in them are one object,
 * replaced only if it is still the version that was read: so every report counts exactly once, wherever a run is killed and
 * however many run at once. Memory is that of one day. Throws UserError where the store fails.
 */
export async function rollUp(store: ObjectStore, recipe: string, options: RollUpOptions = {}): Promise<RollUpResult> {
  const start = performance.now()
  const now = options.now ?? Date.now()
  const days = await dueDays(store, recipe, now, options)
  const run = { documents: 0, conflicts: 0, changed: 0 }
  for (const day of days) {
    const documents = await rollUpDay(store, recipe, day, options, run)
    if (documents > 0) run.changed += 1
  }
  return { recipe, looked: days.length, ...run, seconds: (performance.now() - start) / 1000 }
}

async function dueDays(
  store: ObjectStore,
  recipe: string,
  now: number,
  options: RollUpOptions,
): Promise<readonly string[]> {
  const [months, rolledUp] = await Promise.all([
    reportMonths(store, recipe, options.signal),
    rolledUpDays(store, recipe, options.signal),
  ])
  return months
    .flatMap((month) => daysOfMonth(month))
    .filter((day) => options.all === true || isDue(day, rolledUp.get(day), now))
}

async function rollUpDay(
  store: ObjectStore,
  recipe: string,
  day: string,
  options: RollUpOptions,
  run: { documents: number; conflicts: number },
): Promise<number> {
  const now = options.now ?? Date.now()
  const name = dayName(recipe, day)
  let saved = 0
  for (;;) {
    const loaded = await loadDay(store, name, options.signal)
    let etag = loaded.etag
    let pending = 0
    const save = async (): Promise<void> => {
      const put = await storeDay(store, name, { rollup: loaded.rollup, etag }, options.signal)
      if (put.outcome === 'conflict') throw new Outrun()
      etag = put.etag
      saved += pending
      run.documents += pending
      pending = 0
    }
    const onCounted = async (): Promise<void> => {
      pending += 1
      if (pending % 1000 === 0) options.onProgress?.({ day, documents: run.documents + pending })
      // A quarter more each time: saving a day of any size costs no more than a constant per report.
      if (pending >= Math.max(options.batch ?? defaultBatch, loaded.rollup.seen.size / 5)) await save()
    }
    try {
      await countUnread(store, name, loaded.rollup, { signal: options.signal, onSkipped: options.onSkipped, onCounted })
      if (pending > 0 || (saved === 0 && wantsMark(day, etag !== undefined, now))) await save()
      options.onProgress?.({ day, documents: run.documents })
      return saved
    } catch (error) {
      if (!(error instanceof Outrun)) throw error
      run.conflicts += 1
    }
  }
}

/** Another run has saved the day since this one read it. */
class Outrun extends Error {}
