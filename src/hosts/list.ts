import { readChannel, type ChannelPlace } from '../bundle/channel-store.ts'
import { checkChannelName, type BundleChannel } from '../bundle/channel.ts'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { loadTrustedKeys } from '../keys/files.ts'
import { readDocuments, warnOfSkipped, type SkippedReport } from '../profile/ingest.ts'
import type { Schedule } from '../profile/expected.ts'
import { latestOfHosts } from '../profile/latest.ts'
import { phase } from '../report/events.ts'
import { keys } from '../store/keys.ts'
import { listAll, type ObjectStore } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import type { HostFilter, HostList } from './model.ts'
import { countHosts, filterHosts, HostStates } from './states.ts'

export interface ListHostsOptions {
  /** A recipe's name; all that have a channel where absent. */
  readonly recipe?: string
  /** The configured one by default. */
  readonly channel?: string
  /** How far back reports are looked at. */
  readonly days: number
  /** Of hosts whose agent does not say. */
  readonly schedule: Schedule
  readonly filters: readonly HostFilter[]
}

/** Reports that are read of each host. */
const perHost = 5
const dayMs = 86_400_000

/**
 * The hosts of a recipe, or of all, from their last reports. Reads lists and at most `perHost` reports of each host, so that
 * neither time nor memory grows with how often hosts report. Throws a UserError where the store cannot be read.
 */
export async function listHosts(ctx: Context, options: ListHostsOptions): Promise<HostList[]> {
  const name = options.channel ?? ctx.config.channel
  checkChannelName(name)
  const trustedKeys = loadTrustedKeys(ctx.config)
  const store = await openStore(ctx.config.store)
  try {
    const recipes = options.recipe === undefined ? await recipesOf(store, ctx.signal) : [options.recipe]
    const lists: HostList[] = []
    for (const recipe of recipes) {
      lists.push(await hostsOf(ctx, { store, recipe, name, trustedKeys, signal: ctx.signal }, options))
    }
    return lists
  } finally {
    store.close()
  }
}

/** Names of all recipes with a channel. */
async function recipesOf(store: ObjectStore, signal: AbortSignal): Promise<string[]> {
  const names = new Set<string>()
  for await (const { key } of listAll(store, keys.channelsPrefix(), signal)) {
    const name = key.split('/')[1]
    if (name !== undefined) names.add(name)
  }
  return [...names]
}

async function hostsOf(ctx: Context, place: ChannelPlace, options: ListHostsOptions): Promise<HostList> {
  const { store, recipe } = place
  const nowMs = Date.now()
  const since = new Date(nowMs - options.days * dayMs)
  const channel = await channelOf(ctx, place)
  const states = new HostStates()
  await phase(ctx.reporter, `read reports of ${recipe}`, async () => {
    const found = await latestOfHosts(store, recipe, { since, perHost, signal: ctx.signal })
    const objects = [...found.values()].flatMap((each) => each.objects).toSorted((a, b) => a.modifiedMs - b.modifiedMs)
    const skipped: SkippedReport[] = []
    for await (const { info, document } of readDocuments(store, recipe, objects, ctx.signal)) {
      if (document === undefined) continue
      if ('reason' in document) skipped.push(document)
      // One recipe may have hosts on several channels.
      else if (document.channel === place.name) states.add(document, info.modifiedMs)
    }
    warnOfSkipped(ctx.reporter, recipe, skipped.length, skipped[0])
  })
  const hosts = states.build({ recipe, channel, schedule: options.schedule, nowMs })
  return {
    recipe,
    channel: place.name,
    since: since.toISOString(),
    counts: countHosts(hosts),
    hosts: filterHosts(hosts, options.filters),
  }
}

/** Hosts can be looked at also where the channel cannot be trusted, or is gone: who asks has trouble enough. */
async function channelOf(ctx: Context, place: ChannelPlace): Promise<BundleChannel | undefined> {
  try {
    return (await readChannel(place))?.channel
  } catch (error) {
    if (!(error instanceof UserError) || error.code?.startsWith('channel-') !== true) throw error
    const text = `${error.message}; which hosts are behind cannot be told`
    ctx.reporter.emit({ type: 'warning', text, ...(error.hint === undefined ? {} : { hint: error.hint }) })
    return undefined
  }
}
