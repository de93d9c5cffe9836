import { UserError } from '../errors.ts'
import { keys } from '../store/keys.ts'
import type { ObjectStore } from '../store/object-store.ts'
import { maxChannelBytes, verifyChannel, type BundleChannel, type SignedChannel } from './channel.ts'

export interface ChannelPlace {
  readonly store: ObjectStore
  readonly recipe: string
  /** The channel's name. */
  readonly name: string
  readonly trustedKeys: readonly string[]
  readonly signal?: AbortSignal
}

/** A channel and the version of the object that it was read from. */
export interface StoredChannel {
  readonly channel: SignedChannel<BundleChannel>
  readonly etag: string
  /** The whole text, as it was signed. */
  readonly text: string
}

/**
 * Reads a recipe's channel from the store and checks it, but not whether it has expired: to publish again is the way out of
 * that. Undefined where there is none. Throws a UserError for one that is not genuine.
 */
export async function readChannel(place: ChannelPlace): Promise<StoredChannel | undefined> {
  const key = keys.channel(place.recipe, place.name)
  const object = await place.store.get(key, place.signal === undefined ? {} : { signal: place.signal })
  if (object === undefined) return undefined
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of object.body) {
    chunks.push(chunk as Buffer)
    sizeBytes += (chunk as Buffer).length
    // Leaving the loop destroys the stream.
    if (sizeBytes > maxChannelBytes) break
  }
  try {
    const text = Buffer.concat(chunks).toString('utf8')
    const channel = verifyChannel(text, place.trustedKeys, { recipe: place.recipe, channel: place.name })
    if (channel.kind === 'bundle') return { channel, etag: object.etag, text }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw notGenuine(key, place, error.message, error)
  }
  throw notGenuine(key, place, 'it is the channel of an image')
}

function notGenuine(key: string, place: ChannelPlace, why: string, cause?: UserError): UserError {
  const trust = `if a colleague's key signed it, put its .pub file into the keys folder`
  return new UserError(`the channel ${key} in ${place.store.url} is not one to build on: ${why}`, {
    hint: `nothing was overwritten. Find out who wrote it; ${cause?.code === 'channel-untrusted' ? trust : 'to start afresh, delete it from the store'}`,
    ...(cause === undefined ? {} : { cause }),
    ...(cause?.code === undefined ? {} : { code: cause.code }),
  })
}
