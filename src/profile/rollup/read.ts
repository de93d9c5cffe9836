import type { ObjectStore } from '../../store/object-store.ts'
import { mapAhead, type SkippedReport } from '../ingest.ts'
import { countUnread, dayName, loadDay, loadTally, rolledUpDays } from './day-store.ts'
import { daysOfMonth, isDue, reportMonths } from './days.ts'
import type { Tally } from './tally.ts'

export interface ReadDaysOptions {
  /** First day, YYYY-MM-DD. */
  readonly since?: string
  /** Milliseconds since the epoch; now by default. */
  readonly now?: number
  readonly signal?: AbortSignal
  /** Called for each document that was read because no rollup counts it. */
  readonly onUnread?: (documents: number) => void
  readonly onSkipped?: (skipped: SkippedReport) => void
}

export interface ReadDay {
  /** YYYY-MM-DD. */
  readonly day: string
  readonly tally: Tally
  /** Documents whose figures come from the rollup; the others were read. */
  readonly rolledUp: number
}

/** Days of which unread reports are looked for at a time; each reads several reports at once. */
const parallelDays = 4

/**
 * The statistics of each day, ascending: from its rollup, with what that does not count yet read for this answer. Writes
 * nothing. Throws UserError where the store fails or a rollup is broken.
 */
export async function* readDays(
  store: ObjectStore,
  recipe: string,
  options: ReadDaysOptions = {},
): AsyncGenerator<ReadDay> {
  const { signal, since } = options
  const now = options.now ?? Date.now()
  const [months, rolledUp] = await Promise.all([
    reportMonths(store, recipe, signal),
    rolledUpDays(store, recipe, signal),
  ])
  // Reports may be deleted once they are rolled up; their days are still counted.
  const days = new Set([...months.flatMap((month) => daysOfMonth(month)), ...rolledUp.keys()])
  const wanted = [...days].filter((day) => since === undefined || day >= since).toSorted()
  let unread = 0
  const read = async (day: string): Promise<ReadDay> => {
    const name = dayName(recipe, day)
    if (!isDue(day, rolledUp.get(day), now)) {
      const tally = await loadTally(store, name, signal)
      if (tally !== undefined) return { day, tally, rolledUp: tally.documents }
    }
    const { rollup } = await loadDay(store, name, signal)
    const counted = rollup.tally.documents
    const onCounted = () => options.onUnread?.((unread += 1))
    await countUnread(store, name, rollup, { signal, onSkipped: options.onSkipped, onCounted })
    return { day, tally: rollup.tally, rolledUp: counted }
  }
  yield* mapAhead(wanted, read, parallelDays)
}
