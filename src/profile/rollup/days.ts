import { keys } from '../../store/keys.ts'
import type { ObjectStore } from '../../store/object-store.ts'
import { mapAhead } from '../ingest.ts'

const dayMs = 86_400_000
/** From then on a day is looked at again after this share of its age. */
const lookAgainShare = 1 / 8
const parallelLists = 16

/**
 * Whether a day may hold reports that nobody has counted. Of the days that are over, yesterday is looked at every time, an
 * older one again after an eighth of its age: what comes late is counted at the latest an eighth later than it came, and a
 * year of days costs few requests. `rolledUpMs`: when its rollup was written; undefined where there is none.
 */
export function isDue(day: string, rolledUpMs: number | undefined, nowMs: number): boolean {
  if (rolledUpMs === undefined) return true
  const ageMs = nowMs - (Date.parse(day) + dayMs)
  return ageMs <= dayMs || nowMs - rolledUpMs >= ageMs * lookAgainShare
}

/**
 * Whether to save a day in which nothing new was found: the time of its object says when it was looked at. Yesterday is
 * looked at every time anyway.
 */
export function wantsMark(day: string, isSaved: boolean, nowMs: number): boolean {
  return Date.parse(day) + (isSaved ? 2 : 1) * dayMs < nowMs
}

export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

/** All days of a month, `YYYY-MM`. */
export function daysOfMonth(month: string): string[] {
  const [year = 0, number = 0] = month.split('-').map(Number)
  const count = new Date(Date.UTC(year, number, 0)).getUTCDate()
  return Array.from({ length: count }, (_, index) => `${month}-${String(index + 1).padStart(2, '0')}`)
}

/**
 * Months, `YYYY-MM`, with at least one report, ascending. Found by asking for one object per decade, year and month, for a
 * store lists no folders and a list of all keys takes a request per thousand. Hosts without a clock report in 1970.
 */
export async function reportMonths(store: ObjectStore, recipe: string, signal?: AbortSignal): Promise<string[]> {
  const narrow = async (prefixes: readonly string[]): Promise<string[]> => {
    const found: string[] = []
    const probe = async (prefix: string) => {
      const options = { prefix: `${keys.reportsPrefix(recipe)}dt=${prefix}`, limit: 1 }
      const page = await store.list(signal === undefined ? options : { ...options, signal })
      return page.objects.length > 0 ? prefix : undefined
    }
    for await (const prefix of mapAhead(prefixes, probe, parallelLists)) if (prefix !== undefined) found.push(prefix)
    return found
  }
  const decades = await narrow(Array.from({ length: 14 }, (_, index) => String(197 + index)))
  const years = await narrow(
    decades.flatMap((decade) => Array.from({ length: 10 }, (_, index) => `${decade}${index}-`)),
  )
  return narrow(
    years.flatMap((year) => Array.from({ length: 12 }, (_, i) => `${year}${String(i + 1).padStart(2, '0')}`)),
  )
}
