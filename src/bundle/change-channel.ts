import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../errors.ts'
import { keys } from '../store/keys.ts'
import { readChannel, type ChannelPlace, type StoredChannel } from './channel-store.ts'
import {
  channelTime,
  signChannelWith,
  type BundleChannel,
  type Rollout,
  type SignedChannel,
  type Signer,
} from './channel.ts'

/** What a change decides; serial, time and expiry follow by themselves. */
export type ChannelDraft = Pick<BundleChannel, 'bundle' | 'bundleBytes' | 'agent' | 'rollout' | 'trust' | 'revoke'>

export type CurrentChannel = SignedChannel<BundleChannel> | undefined

export interface ChannelChange {
  readonly place: ChannelPlace
  /** Days until hosts refuse what is written; 0 for never. */
  readonly expiryDays: number
  /** Reads and decides, but writes nothing. */
  readonly dryRun: boolean
  /** What signs the change of this channel. */
  readonly signerFor: (current: CurrentChannel, nowSeconds: number) => Signer
  /**
   * What the channel is to say, or undefined to leave it as it is. Asked again where somebody else was faster; what it
   * throws ends the change.
   */
  readonly draft: (
    current: CurrentChannel,
    at: { readonly nowSeconds: number; readonly signer: Signer },
  ) => ChannelDraft | undefined
}

export interface ChangedChannel {
  /** The channel as it is now; with `dryRun` as it would be. */
  readonly channel: BundleChannel
  /** As it was before. */
  readonly before: CurrentChannel
  readonly unchanged: boolean
}

/** As many writers as may collide without one of them giving up: each collision means that another one got through. */
const maxAttempts = 20
const day = 24 * 3600

/**
 * Replaces a recipe's channel by one with the next serial, signed, by a conditional put; the one before is kept under
 * `history/` first. Throws a UserError where the channel is not genuine, the store fails, others keep writing, or `draft` asks
 * to leave a channel that does not exist.
 */
export async function changeChannel(change: ChannelChange): Promise<ChangedChannel> {
  const { place } = change
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const stored = await readChannel(place)
    const nowSeconds = Math.floor(Date.now() / 1000)
    const before = stored?.channel
    const signer = change.signerFor(before, nowSeconds)
    const draft = change.draft(before, { nowSeconds, signer })
    if (draft === undefined) {
      if (before === undefined) throw noChannel(place)
      return { channel: before, before, unchanged: true }
    }
    const channel = nextChannel(place, before, draft, {
      nowSeconds,
      expiryDays: change.expiryDays,
      key: signer.publicKey,
    })
    if (change.dryRun) return { channel, before, unchanged: false }
    if (await replaceChannel(place, stored, await signChannelWith(channel, signer))) {
      return { channel, before, unchanged: false }
    }
    // Apart in time, so that writers that collided once do not do so again.
    await sleep(Math.random() * 40 * (attempt + 1), undefined, signalOf(place))
  }
  throw new UserError(
    `channel '${place.name}' of '${place.recipe}' was changed by others at each of ${maxAttempts} tries`,
    {
      hint: 'find out who else publishes, then try again; the bundle is in the store already',
      code: 'channel-contended',
    },
  )
}

/** The channel after this one. Throws a UserError where hosts would refuse it because of the key that signs it. */
export function nextChannel(
  place: ChannelPlace,
  before: CurrentChannel,
  draft: ChannelDraft,
  at: { readonly nowSeconds: number; readonly expiryDays: number; readonly key: string },
): BundleChannel {
  if (draft.revoke?.includes(at.key) === true) throw keyRevoked(place, at.key)
  return {
    kind: 'bundle',
    recipe: place.recipe,
    channel: place.name,
    serial: (before?.serial ?? 0) + 1,
    published: channelTime(at.nowSeconds * 1000),
    expires: at.expiryDays === 0 ? 0 : at.nowSeconds + Math.round(at.expiryDays * day),
    ...draftOnly(draft),
  }
}

/**
 * Puts a signed text in place of the channel that was read; false where somebody else was faster. What was there is kept
 * before it goes, so that the history never has a gap.
 */
export async function replaceChannel(
  place: ChannelPlace,
  stored: StoredChannel | undefined,
  text: string,
): Promise<boolean> {
  const options = { contentType: 'text/plain; charset=utf-8', ...signalOf(place) }
  if (stored !== undefined) {
    const key = keys.channelHistory(place.recipe, place.name, stored.channel.serial)
    await place.store.put(key, stored.text, { ...options, condition: { absent: true } })
  }
  const { outcome } = await place.store.put(keys.channel(place.recipe, place.name), text, {
    ...options,
    condition: stored === undefined ? { absent: true } : { etag: stored.etag },
  })
  return outcome === 'stored'
}

/** Whether a rollout may have hosts: one that was halted has none. */
export function isLive(rollout: Rollout): boolean {
  return rollout.percent > 0 || rollout.tags.length > 0
}

/** There is nothing to change or to look at. */
export function noChannel(place: Pick<ChannelPlace, 'recipe' | 'name' | 'store'>): UserError {
  return new UserError(`'${place.recipe}' has no channel '${place.name}' in ${place.store.url}`, {
    hint: 'publish the recipe first: parbake publish FOLDER',
    code: 'not-published',
  })
}

/** A draft may be made from a whole channel, of which serial, time and signature must not stay. */
function draftOnly({ bundle, bundleBytes, agent, rollout, trust, revoke }: ChannelDraft): ChannelDraft {
  return {
    bundle,
    bundleBytes,
    agent,
    ...(rollout === undefined ? {} : { rollout }),
    ...(trust === undefined ? {} : { trust }),
    ...(revoke === undefined ? {} : { revoke }),
  }
}

function keyRevoked(place: ChannelPlace, publicKey: string): UserError {
  return new UserError(`the key that would sign was revoked for channel '${place.name}' of '${place.recipe}'`, {
    hint: `hosts would refuse it. Remove ${publicKey} from this machine, and choose another key with --key`,
    code: 'key-revoked',
  })
}

function signalOf({ signal }: ChannelPlace): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}
