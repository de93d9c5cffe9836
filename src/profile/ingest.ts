import { setMaxListeners } from 'node:events'
import { messageOf } from '../errors.ts'
import type { Reporter } from '../report/events.ts'
import { keys } from '../store/keys.ts'
import { getBytes, listAll, type ObjectInfo, type ObjectStore } from '../store/object-store.ts'
import { reportSchema, type Report } from './report.ts'

/** An object under `reports/` that is no report of this recipe. */
export interface SkippedReport {
  readonly key: string
  readonly reason: string
}

export interface ReadReportsOptions {
  /** Leave out converges that began before. */
  readonly since?: Date
  /** Read at most this many, the newest. */
  readonly limit?: number
  readonly signal?: AbortSignal
  /** Called for every document that is broken or foreign; such a document is never fatal. */
  readonly onSkipped?: (skipped: SkippedReport) => void
}

const parallelGets = 16
/** An agent's report has some KiB; what is larger was not written by one. */
const maxReportBytes = 1024 * 1024
const dayMs = 86_400_000
/** Beyond this many days one walk over all keys is cheaper than a list per day. */
const maxDayPrefixes = 31

/**
 * Hands out the reports of a recipe from `reports/<recipe>/dt=…/`, oldest day first. Broken and foreign documents go to
 * `onSkipped`. Throws UserError only where the store itself fails.
 */
export async function* readReports(
  store: ObjectStore,
  recipe: string,
  options: ReadReportsOptions = {},
): AsyncGenerator<Report> {
  const source = options.limit === undefined ? reportObjects(store, recipe, options) : newest(store, recipe, options)
  for await (const { document } of readDocuments(store, recipe, source, options.signal)) {
    if (document === undefined) continue
    if ('reason' in document) options.onSkipped?.(document)
    else if (options.since === undefined || document.startedAt * 1000 >= options.since.getTime()) yield document
  }
}

/** An object under `reports/` and what it holds; undefined where it went away since it was listed. */
export interface ReadDocument {
  readonly info: ObjectInfo
  readonly document: Report | SkippedReport | undefined
}

/** Reads listed objects, several at once, in the order of the source. Throws UserError where the store fails. */
export async function* readDocuments(
  store: ObjectStore,
  recipe: string,
  source: AsyncIterable<ObjectInfo> | Iterable<ObjectInfo>,
  outer?: AbortSignal,
): AsyncGenerator<ReadDocument> {
  const stop = new AbortController()
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal])
  // Every request under way listens to it; Node would take so many for a leak.
  setMaxListeners(0, signal)
  const read = async (info: ObjectInfo) => ({ info, document: await readReport(store, recipe, info, signal) })
  try {
    yield* mapAhead(source, read, parallelGets)
  } finally {
    stop.abort()
  }
}

/** All of `readReports`, with one warning for everything that was skipped. */
export async function collectReports(
  store: ObjectStore,
  recipe: string,
  options: Omit<ReadReportsOptions, 'onSkipped'> & { readonly reporter: Reporter },
): Promise<{ readonly reports: readonly Report[]; readonly skipped: readonly SkippedReport[] }> {
  const reports: Report[] = []
  const skipped: SkippedReport[] = []
  for await (const report of readReports(store, recipe, { ...options, onSkipped: (each) => skipped.push(each) })) {
    reports.push(report)
  }
  warnOfSkipped(options.reporter, recipe, skipped.length, skipped[0])
  return { reports, skipped }
}

/** One warning for all documents that are no reports; nothing for none. */
export function warnOfSkipped(reporter: Reporter, recipe: string, count: number, example?: SkippedReport): void {
  if (count === 0) return
  const what = count === 1 ? '1 document is' : `${count} documents are`
  const detail = example === undefined ? '' : `, e.g. ${example.key}: ${example.reason}`
  reporter.emit({ type: 'warning', text: `${what} no report of ${recipe} and not counted${detail}` })
}

/** Objects that may hold a wanted report, by day and then by key. */
export async function* reportObjects(
  store: ObjectStore,
  recipe: string,
  options: Pick<ReadReportsOptions, 'since' | 'signal'>,
): AsyncGenerator<ObjectInfo> {
  const prefix = keys.reportsPrefix(recipe)
  // A host's clock may be off by some hours, so a day more at either end is looked at; `startedAt` decides.
  const firstDay = options.since === undefined ? undefined : dayOf(options.since.getTime() - dayMs)
  const days = firstDay === undefined ? [] : daysFrom(firstDay, dayOf(Date.now() + dayMs))
  if (firstDay !== undefined && days.length <= maxDayPrefixes) {
    for (const day of days) yield* listAll(store, `${prefix}dt=${day}/`, options.signal)
    return
  }
  for await (const info of listAll(store, prefix, options.signal)) {
    const day = /^dt=(\d{4}-\d{2}-\d{2})\//.exec(info.key.slice(prefix.length))?.[1]
    if (firstDay === undefined || day === undefined || day >= firstDay) yield info
  }
}

async function* newest(store: ObjectStore, recipe: string, options: ReadReportsOptions): AsyncGenerator<ObjectInfo> {
  const all: ObjectInfo[] = []
  for await (const info of reportObjects(store, recipe, options)) all.push(info)
  const limit = options.limit ?? all.length
  // Within a day keys sort by host, so the store's own time says which came last.
  const byTime = all.toSorted((a, b) => a.modifiedMs - b.modifiedMs)
  yield* limit <= 0 ? [] : byTime.slice(-limit)
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

function daysFrom(first: string, last: string): string[] {
  const days: string[] = []
  for (let ms = Date.parse(first); ms <= Date.parse(last) && days.length <= maxDayPrefixes; ms += dayMs) {
    days.push(dayOf(ms))
  }
  return days
}

/** Undefined for an object that went away since it was listed. */
async function readReport(
  store: ObjectStore,
  recipe: string,
  info: ObjectInfo,
  signal: AbortSignal,
): Promise<Report | SkippedReport | undefined> {
  const skip = (reason: string): SkippedReport => ({ key: info.key, reason })
  if (!info.key.endsWith('.json')) return skip('not named .json')
  if (info.sizeBytes > maxReportBytes) return skip(`too large (${info.sizeBytes} bytes)`)
  const bytes = await getBytes(store, info.key, signal)
  if (bytes === undefined) return undefined
  let document: unknown
  try {
    document = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    return skip(`not JSON: ${messageOf(error)}`)
  }
  const parsed = reportSchema.safeParse(document)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    return skip(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a report'}`)
  }
  return parsed.data.recipe === recipe ? parsed.data : skip(`it is a report of ${JSON.stringify(parsed.data.recipe)}`)
}

/** Maps with at most `width` calls under way, results in the order of the source. */
export async function* mapAhead<T, R>(
  source: AsyncIterable<T> | Iterable<T>,
  map: (item: T) => Promise<R>,
  width: number,
): AsyncGenerator<R> {
  const running: Promise<R>[] = []
  for await (const item of source) {
    const result = map(item)
    // An early end of the consumer leaves these behind; their failure is of no interest then.
    result.catch(() => {})
    running.push(result)
    if (running.length >= width) yield await (running.shift() as Promise<R>)
  }
  for (const result of running) yield await result
}
