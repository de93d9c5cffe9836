import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../errors.ts'
import { reportSchema, type Report } from '../profile/report.ts'
import { keys } from '../store/keys.ts'
import { getBytes, listAll, type ObjectStore } from '../store/object-store.ts'

export interface AwaitedReport {
  readonly recipe: string
  /** The name that the host was launched with; a step may have given it another one. */
  readonly hostname: string
  /** Id of its converge, as it said on the console. */
  readonly run: string
  /** How long to wait. */
  readonly seconds: number
  readonly signal: AbortSignal
}

/** Seconds between looks at all reports of a day, which may be many. */
const wideSeconds = 3

/** The report of a converge, which the agent sends right after it says that it is ready. Throws UserError where none comes. */
export async function waitForReport(store: ObjectStore, awaited: AwaitedReport): Promise<Report> {
  const { hostname, seconds, signal } = awaited
  const start = performance.now()
  let wideAt = wideSeconds
  for (;;) {
    signal.throwIfAborted()
    const elapsed = (performance.now() - start) / 1000
    const found = await find(store, awaited, `${hostname}-`)
    if (found !== undefined) return found
    if (elapsed >= wideAt || elapsed >= seconds) {
      const other = await find(store, awaited, '')
      if (other !== undefined) return other
      wideAt = elapsed + wideSeconds
    }
    if (elapsed >= seconds) break
    await sleep(250, undefined, { signal })
  }
  throw new UserError(`${hostname} has converged, but its report did not reach the store`, {
    hint: 'hosts must be allowed to write reports/: see parbake store policy --for hosts',
  })
}

async function find(store: ObjectStore, awaited: AwaitedReport, begin: string): Promise<Report | undefined> {
  const { recipe, run, signal } = awaited
  for (const date of datesAround(Date.now())) {
    const prefix = `${keys.reportsPrefix(recipe)}dt=${date}/${begin}`
    for await (const object of listAll(store, prefix, signal)) {
      if (!object.key.endsWith(`-${run}.json`)) continue
      const bytes = await getBytes(store, object.key, signal)
      if (bytes !== undefined) return reportSchema.parse(JSON.parse(bytes.toString('utf8')))
    }
  }
  return undefined
}

/** Guest and host may disagree about the date around midnight. */
function datesAround(nowMs: number): readonly string[] {
  const day = 86_400_000
  return [...new Set([nowMs, nowMs - day / 24, nowMs + day / 24].map((ms) => new Date(ms).toISOString().slice(0, 10)))]
}
