import { isChannelWord } from '../bundle/channel-grammar.ts'
import { readHistory } from '../bundle/channel-history.ts'
import type { ChannelPlace, StoredChannel } from '../bundle/channel-store.ts'
import { latestOfHosts } from '../profile/latest.ts'
import { keys } from '../store/keys.ts'
import { listAll, type ObjectStore } from '../store/object-store.ts'

/** Hosts that were not seen for so long before may have ended. */
const recentMs = 2 * 86_400_000

/** Every channel of a store, by recipe and name. */
export async function channelPlaces(
  store: ObjectStore,
  trustedKeys: readonly string[],
  signal: AbortSignal,
): Promise<readonly ChannelPlace[]> {
  const places: ChannelPlace[] = []
  for await (const { key } of listAll(store, keys.channelsPrefix(), signal)) {
    const [, recipe = '', name = '', more] = key.split('/')
    if (more !== undefined || !isChannelWord(recipe) || !isChannelWord(name)) continue
    places.push({ store, recipe, name, trustedKeys, signal })
  }
  return places
}

/**
 * Hosts seen of late that have not reported since their channel introduced a key: they may not know it, and would refuse what
 * it signs. Empty for the key that signs the channel.
 */
export async function untoldHosts(place: ChannelPlace, stored: StoredChannel, publicKey: string): Promise<string[]> {
  const { channel } = stored
  if (channel.signature.key === publicKey) return []
  let introduced = Date.parse(channel.published)
  for await (const { channel: earlier } of readHistory(place)) {
    if (earlier?.trust?.some(({ key }) => key === publicKey) !== true) break
    introduced = Date.parse(earlier.published)
  }
  const options = { since: new Date(introduced - recentMs), perHost: 1 }
  const signal = place.signal === undefined ? {} : { signal: place.signal }
  const hosts = await latestOfHosts(place.store, place.recipe, { ...options, ...signal })
  // Times in channels are whole seconds.
  return [...hosts.values()].filter(({ lastMs }) => lastMs < introduced).map(({ host }) => host)
}
