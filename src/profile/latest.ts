import { keys } from '../store/keys.ts'
import type { ObjectInfo, ObjectStore } from '../store/object-store.ts'
import { reportObjects } from './ingest.ts'

/** The reports of one host that are kept of a walk over the keys. */
export interface HostReports {
  readonly host: string
  /** How many there are in all. */
  count: number
  /** When the newest came, milliseconds by the store's clock. */
  lastMs: number
  /** The newest ones, in no order. */
  objects: ObjectInfo[]
}

export interface LatestOptions {
  readonly since: Date
  /** Keep this many of each host, the newest. */
  readonly perHost: number
  /** Keys that are left out. */
  readonly wanted?: (info: ObjectInfo) => boolean
  readonly signal?: AbortSignal
}

const runForm = /-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json$/

/**
 * The host that a report's key names. Reports through presigned URLs say nothing about theirs: each counts as a host of its
 * own.
 */
export function hostOfKey(recipe: string, key: string): string {
  const name = key.slice(keys.reportsPrefix(recipe).length).replace(/^dt=[^/]*\//, '')
  return runForm.test(name) ? name.replace(runForm, '') : name.replace(/\.json$/, '')
}

/** The newest reports of each host, from lists alone: memory holds some per host, however many there are. */
export async function latestOfHosts(
  store: ObjectStore,
  recipe: string,
  { since, perHost, wanted, signal }: LatestOptions,
): Promise<Map<string, HostReports>> {
  const hosts = new Map<string, HostReports>()
  for await (const info of reportObjects(store, recipe, { since, ...(signal === undefined ? {} : { signal }) })) {
    if (wanted?.(info) === false) continue
    const host = hostOfKey(recipe, info.key)
    const known = hosts.get(host)
    if (known === undefined) {
      hosts.set(host, { host, count: 1, lastMs: info.modifiedMs, objects: [info] })
      continue
    }
    known.count += 1
    known.lastMs = Math.max(known.lastMs, info.modifiedMs)
    known.objects.push(info)
    if (known.objects.length >= 2 * perHost) known.objects = newest(known.objects, perHost)
  }
  for (const each of hosts.values()) each.objects = newest(each.objects, perHost)
  return hosts
}

/** So many of the objects, those that came last. */
export function newest(objects: readonly ObjectInfo[], count: number): ObjectInfo[] {
  return objects.toSorted((a, b) => b.modifiedMs - a.modifiedMs).slice(0, count)
}
