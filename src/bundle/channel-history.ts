import { UserError } from '../errors.ts'
import { keys } from '../store/keys.ts'
import { getBytes, listAll } from '../store/object-store.ts'
import type { ChannelPlace } from './channel-store.ts'
import { verifyChannel, type BundleChannel } from './channel.ts'

/** A channel as it was. */
export interface EarlierChannel {
  readonly serial: number
  /** Undefined where it cannot be trusted; `problem` says why. */
  readonly channel: BundleChannel | undefined
  readonly problem: string | undefined
}

/** What the channel said at earlier serials, newest first; each is read and checked when it is asked for. */
export async function* readHistory(place: ChannelPlace): AsyncGenerator<EarlierChannel> {
  const prefix = keys.channelHistoryPrefix(place.recipe, place.name)
  const serials: number[] = []
  for await (const { key } of listAll(place.store, prefix, place.signal)) {
    const digits = key.slice(prefix.length)
    if (/^\d{15}$/.test(digits)) serials.push(Number(digits))
  }
  for (const serial of serials.toReversed()) yield readEarlier(place, serial)
}

async function readEarlier(place: ChannelPlace, serial: number): Promise<EarlierChannel> {
  const bytes = await getBytes(place.store, keys.channelHistory(place.recipe, place.name, serial), place.signal)
  const untrusted = (problem: string): EarlierChannel => ({ serial, channel: undefined, problem })
  if (bytes === undefined) return untrusted('it is gone')
  try {
    const options = { recipe: place.recipe, channel: place.name }
    const channel = verifyChannel(bytes.toString('utf8'), place.trustedKeys, options)
    if (channel.kind !== 'bundle' || channel.serial !== serial) return untrusted('it is another one')
    return { serial, channel, problem: undefined }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return untrusted(error.message)
  }
}
