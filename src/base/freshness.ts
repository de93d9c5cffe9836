import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { phase } from '../report/events.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { archiveVersions } from './archive-versions.ts'
import { basesDir, readPackages } from './cache.ts'
import type { Base } from './model.ts'
import { pendingUpdates, pendingUpdateSchema, type PendingUpdate } from './pending.ts'

/** What newer packages an archive has for a base. Not to know is not the same as to know of none. */
export type PendingUpdates =
  | { readonly known: true; readonly checkedAt: string; readonly updates: readonly PendingUpdate[] }
  | { readonly known: false; readonly why: string }

/** How old a base is and what it lacks. */
export interface BaseFreshness {
  /** Days since its packages were installed; undefined for an imported image, whose age nobody told. */
  readonly ageDays: number | undefined
  /** The configuration's `base.maxAgeDays`. */
  readonly maxAgeDays: number
  readonly tooOld: boolean
  readonly pending: PendingUpdates
}

export interface FreshnessOptions {
  /**
   * `cached`: what the last look at the archive found, without the network. `recent` (default): looks where the last
   * look is older than 6 hours. `now`: always looks.
   */
  readonly look?: 'cached' | 'recent' | 'now'
}

const recentMs = 6 * 3600 * 1000

/**
 * The age of a base and the updates that are pending for it. Never throws but when interrupted: what cannot be found out
 * is unknown, with the reason.
 */
export async function baseFreshness(
  base: Base,
  context: Context,
  { look = 'recent' }: FreshnessOptions = {},
): Promise<BaseFreshness> {
  const { baseMaxAgeDays: maxAgeDays } = context.config
  const ageDays =
    base.archive === undefined && base.source !== undefined ? undefined : ageInDays(base.builtAt, Date.now())
  return {
    ...{ ageDays, maxAgeDays },
    tooOld: ageDays !== undefined && ageDays > maxAgeDays,
    pending: await findPending(base, context, look),
  }
}

/** Whole days between an ISO 8601 time and `now` in milliseconds; 0 for a time to come. */
export function ageInDays(since: string, now: number): number {
  return Math.max(0, Math.floor((now - Date.parse(since)) / 86_400_000))
}

/**
 * Warns where a base is older than `base.maxAgeDays`, or where the last look at the archive found security fixes for
 * it. Costs no network.
 */
export async function warnIfStale(base: Base, context: Context): Promise<BaseFreshness> {
  const freshness = await baseFreshness(base, context, { look: 'cached' })
  const text = staleness(base.name, freshness)
  if (text !== undefined) {
    const hint =
      base.archive === undefined
        ? `take a newer image in with 'parbake base import'`
        : `run 'parbake base build ${base.name} --force'`
    context.reporter.emit({ type: 'warning', text, hint })
  }
  return freshness
}

/** What is to be warned of, in a sentence, or undefined. */
export function staleness(name: string, { ageDays, maxAgeDays, tooOld, pending }: BaseFreshness): string | undefined {
  const fixes = pending.known ? pending.updates.filter(({ security }) => security).length : 0
  const lacks = `lacks ${fixes} security ${fixes === 1 ? 'update' : 'updates'}`
  if (tooOld) {
    const limit = `base.maxAgeDays is ${maxAgeDays}`
    return `the base ${name} is ${ageDays} days old (${limit})${fixes === 0 ? '' : ` and ${lacks}`}`
  }
  return fixes === 0 ? undefined : `the base ${name} ${lacks}`
}

const cacheSchema = z.object({
  v: z.literal(1),
  archive: z.string(),
  checkedAt: z.string(),
  updates: z.array(pendingUpdateSchema),
})

/** Beside the bases and not in their folders, which do not change. */
function cacheFile(base: Base, context: Pick<Context, 'config'>): string {
  return join(basesDir(context), 'pending', `${base.digest}.json`)
}

async function findPending(
  base: Base,
  context: Context,
  look: NonNullable<FreshnessOptions['look']>,
): Promise<PendingUpdates> {
  const packages = await readPackages(base)
  if (base.archive === undefined || packages === undefined) {
    const why =
      base.source === undefined ? 'it was built by an older parbake' : 'imported images bring no list of packages'
    return { known: false, why }
  }
  const { archive } = base
  const cached = await readCached(cacheFile(base, context), JSON.stringify(archive))
  if (cached !== undefined && (look === 'cached' || (look === 'recent' && isRecent(cached.checkedAt)))) return cached
  if (look === 'cached') return { known: false, why: 'nobody has looked yet' }
  try {
    const versions = await phase(context.reporter, `look for updates of ${base.name}`, () =>
      archiveVersions(archive, new Set(packages.map(({ name }) => name)), context),
    )
    const found = { checkedAt: new Date().toISOString(), updates: [...pendingUpdates(packages, versions)] }
    const text = JSON.stringify({ v: 1, archive: JSON.stringify(archive), ...found })
    await writeFileAtomic(cacheFile(base, context), `${text}\n`)
    return { known: true, ...found }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { known: false, why: firstReason(error.message) }
  }
}

function isRecent(time: string): boolean {
  const age = Date.now() - Date.parse(time)
  return age >= 0 && age < recentMs
}

async function readCached(file: string, archive: string): Promise<(PendingUpdates & { known: true }) | undefined> {
  try {
    const found = cacheSchema.parse(JSON.parse(await readFile(file, 'utf8')))
    return found.archive === archive ? { known: true, checkedAt: found.checkedAt, updates: found.updates } : undefined
  } catch {
    return undefined
  }
}

/** Of apt's complaint the line that says why. */
function firstReason(message: string): string {
  const lines = message.split('\n').map((line) => line.trim())
  const reason = lines.find((line) => /^[EW]: /.test(line))?.slice(3)
  return reason ?? lines[0] ?? message
}
