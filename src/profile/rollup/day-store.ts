import { keys } from '../../store/keys.ts'
import { listAll, type ObjectStore, type PutResult } from '../../store/object-store.ts'
import { readDocuments, type SkippedReport } from '../ingest.ts'
import { decodeDay, decodeTally, encodeDay, type DayName, type DayRollup } from './document.ts'
import { Seen } from './seen.ts'
import { Tally } from './tally.ts'

/** What a day's rollup counted, and the version of the object that says so; undefined where there is none yet. */
export interface StoredDay {
  readonly rollup: DayRollup
  readonly etag: string | undefined
}

export function dayName(recipe: string, day: string): DayName {
  return { recipe, day, key: keys.rollup(recipe, day) }
}

/** When each day was last rolled up, in milliseconds since the epoch. */
export async function rolledUpDays(
  store: ObjectStore,
  recipe: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const days = new Map<string, number>()
  for await (const info of listAll(store, keys.rollupsPrefix(recipe), signal)) {
    const day = /\/dt=(\d{4}-\d{2}-\d{2})\.ndjson$/.exec(info.key)?.[1]
    if (day !== undefined) days.set(day, info.modifiedMs)
  }
  return days
}

/** The day as counted so far; empty where nothing was. Throws UserError for a broken rollup. */
export async function loadDay(store: ObjectStore, name: DayName, signal?: AbortSignal): Promise<StoredDay> {
  const object = await store.get(name.key, signal === undefined ? {} : { signal })
  if (object === undefined) return { rollup: { tally: new Tally(), seen: new Seen() }, etag: undefined }
  const chunks: Buffer[] = []
  for await (const chunk of object.body) chunks.push(chunk as Buffer)
  return { rollup: decodeDay(name, Buffer.concat(chunks).toString('utf8')), etag: object.etag }
}

/** Only the statistics of a day, or undefined where nothing was counted. Throws UserError for a broken rollup. */
export async function loadTally(store: ObjectStore, name: DayName, signal?: AbortSignal): Promise<Tally | undefined> {
  const object = await store.get(name.key, signal === undefined ? {} : { signal })
  if (object === undefined) return undefined
  const chunks: Buffer[] = []
  for await (const chunk of object.body as AsyncIterable<Buffer>) {
    const end = chunk.indexOf('\n')
    chunks.push(end === -1 ? chunk : chunk.subarray(0, end))
    // The second line, which grows with the number of reports, stays where it is.
    if (end !== -1) break
  }
  return decodeTally(name, Buffer.concat(chunks).toString('utf8'))
}

/** Replaces exactly the version that was loaded; `conflict` where somebody else was faster. */
export function storeDay(
  store: ObjectStore,
  name: DayName,
  stored: StoredDay,
  signal?: AbortSignal,
): Promise<PutResult> {
  return store.put(name.key, encodeDay(name, stored.rollup), {
    condition: stored.etag === undefined ? { absent: true } : { etag: stored.etag },
    contentType: 'application/x-ndjson',
    ...(signal === undefined ? {} : { signal }),
  })
}

export interface CountOptions {
  readonly signal?: AbortSignal | undefined
  readonly onSkipped?: ((skipped: SkippedReport) => void) | undefined
  /** Called after each document; what it returns is waited for before the next one is counted. */
  readonly onCounted?: ((documents: number) => Promise<void> | void) | undefined
}

/** Reads what a day has and its rollup has not, and counts it. Returns how many documents that were. */
export async function countUnread(
  store: ObjectStore,
  name: DayName,
  rollup: DayRollup,
  options: CountOptions = {},
): Promise<number> {
  const { tally, seen } = rollup
  const prefix = `${keys.reportsPrefix(name.recipe)}dt=${name.day}/`
  const nameOf = (key: string) => key.slice(prefix.length)
  const unread = listAll(store, prefix, options.signal, (key) => seen.has(nameOf(key)))
  let documents = 0
  for await (const { info, document } of readDocuments(store, name.recipe, unread, options.signal)) {
    if (document === undefined || !seen.add(nameOf(info.key))) continue
    if ('reason' in document) {
      tally.counts.skipped += 1
      options.onSkipped?.(document)
    } else {
      tally.add(document)
    }
    documents += 1
    await options.onCounted?.(documents)
  }
  return documents
}
