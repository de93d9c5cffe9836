import { changeChannel } from '../bundle/change-channel.ts'
import { readChannel, type ChannelPlace } from '../bundle/channel-store.ts'
import { maxKeyLines } from '../bundle/channel-grammar.ts'
import type { BundleChannel, SignedChannel, Signer } from '../bundle/channel.ts'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { keys } from '../store/keys.ts'
import { listAll } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import { channelPlaces, untoldHosts } from './channels.ts'
import { listKeys } from './files.ts'
import { initKeys } from './init.ts'
import { loadSigners, type Signers } from './signer.ts'

export interface RotateOptions {
  /** Name of the new key; absent: a rotation that is under way goes on, else one named after the day begins. */
  readonly name?: string
  /** Unix seconds from which on hosts accept the new key. */
  readonly notBefore: number
  /** What signs until then, in the keys folder. */
  readonly keyName?: string
  readonly dryRun: boolean
}

/** What was done to one channel: the key was introduced, it signs from now on, or there was nothing to do (yet). */
export interface RotatedChannel {
  readonly recipe: string
  readonly channel: string
  readonly serial: number
  readonly step: 'introduced' | 'signed' | 'waiting' | 'done'
  /** Unix seconds from which on its hosts accept the key. */
  readonly notBefore: number
  /** Hosts that have not reported since the key was introduced. */
  readonly untold: readonly string[]
}

export interface Rotation {
  readonly name: string
  readonly publicKey: string
  /** True where the key was made now; with `dryRun` where it would be. */
  readonly made: boolean
  readonly channels: readonly RotatedChannel[]
  /** Image channels that were signed again with the new key; with `dryRun` none. */
  readonly images: readonly { readonly recipe: string; readonly channel: string }[]
  readonly dryRun: boolean
}

/**
 * Takes a rotation as far as it can go: makes a key, introduces it in every channel of the store, signed by the key that hosts
 * know, and once its time has come signs every channel with it. Safe to run again at any time. Throws a UserError where a
 * channel is not genuine or the store fails; what was done until then stays, and the next run goes on.
 */
export async function rotateKeys(ctx: Context, options: RotateOptions): Promise<Rotation> {
  const signers = loadSigners(ctx, options.keyName)
  const store = await openStore(ctx.config.store)
  try {
    const places = await channelPlaces(store, signers.trustedKeys, ctx.signal)
    const name = options.name ?? (await pendingKey(ctx, places)) ?? `key-${today()}`
    const known = listKeys(ctx.config).find((key) => key.name === name)
    const publicKey = known?.publicKey ?? (await makeKey(ctx, name, options.dryRun))
    const change: KeyChange = {
      publicKey,
      signers,
      // Where its private half is elsewhere, so is who goes on.
      newSigners: known?.privateFile === undefined ? undefined : loadSigners(ctx, name),
      options,
    }
    const channels: RotatedChannel[] = []
    for (const place of places) {
      const own = { ...place, trustedKeys: [...place.trustedKeys, publicKey] }
      channels.push(await rotateChannel(own, ctx.config.channelExpiryDays, change))
    }
    const images = options.dryRun ? [] : await signImages(ctx, places, channels, change)
    return { name, publicKey, made: known === undefined, channels, images, dryRun: options.dryRun }
  } finally {
    store.close()
  }
}

interface KeyChange {
  readonly publicKey: string
  readonly signers: Signers
  readonly newSigners: Signers | undefined
  readonly options: RotateOptions
}

async function rotateChannel(
  place: ChannelPlace,
  expiryDays: number,
  { publicKey, signers, newSigners, options }: KeyChange,
): Promise<RotatedChannel> {
  const stored = await readChannel(place)
  const isKnown = stored !== undefined && introductionOf(stored.channel, publicKey) !== undefined
  const untold = isKnown ? await untoldHosts(place, stored, publicKey) : []
  let step: RotatedChannel['step'] = 'waiting'
  const { channel } = await changeChannel({
    place,
    expiryDays,
    dryRun: options.dryRun,
    signerFor: (current, nowSeconds) => {
      const notBefore = current === undefined ? undefined : introductionOf(current, publicKey)
      const isAccepted = notBefore !== undefined && notBefore <= nowSeconds
      return ((isAccepted ? newSigners : undefined) ?? signers).choose(current, nowSeconds)
    },
    draft: (current, { signer }) => {
      if (current === undefined) return undefined
      step = stepOf(current, publicKey, signer)
      if (step === 'signed') return current
      if (step !== 'introduced') return undefined
      return { ...current, trust: introduce(current, publicKey, options.notBefore) }
    },
  })
  const notBefore = introductionOf(channel, publicKey) ?? 0
  return { recipe: place.recipe, channel: place.name, serial: channel.serial, step, notBefore, untold }
}

/** The pointers to images follow where the new key signs: whoever launches or bakes trusts what the keys folder holds. */
async function signImages(
  ctx: Context,
  places: readonly ChannelPlace[],
  channels: readonly RotatedChannel[],
  { publicKey, newSigners }: KeyChange,
): Promise<Rotation['images']> {
  const signed = channels.filter(({ step }) => step === 'signed' || step === 'done').map(({ recipe }) => recipe)
  const signer = newSigners?.choose(undefined, 0)
  const store = places[0]?.store
  if (signer === undefined || store === undefined) return []
  const { signImageChannelAgain } = await import('../image/images.ts')
  const trustedKeys = [...(places[0]?.trustedKeys ?? []), publicKey]
  const images: { recipe: string; channel: string }[] = []
  try {
    for (const recipe of new Set(signed)) {
      const prefix = keys.imageChannelsPrefix(recipe)
      for await (const { key } of listAll(store, prefix, ctx.signal)) {
        const place = { store, recipe, channel: key.slice(prefix.length), trustedKeys }
        if (await signImageChannelAgain(place, signer, ctx.signal)) images.push({ recipe, channel: place.channel })
      }
    }
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'store-denied') throw error
    const hint = `run this again with the rights of 'parbake store policy --for baker', before the old key is revoked`
    ctx.reporter.emit({ type: 'warning', text: `pointers to images keep their signature: ${error.message}`, hint })
  }
  return images
}

function stepOf(current: SignedChannel<BundleChannel>, publicKey: string, signer: Signer): RotatedChannel['step'] {
  if (current.signature.key === publicKey) return 'done'
  if (introductionOf(current, publicKey) === undefined) return 'introduced'
  return signer.publicKey === publicKey ? 'signed' : 'waiting'
}

/** Unix seconds from which on hosts of a channel accept a key; undefined where it does not introduce it. */
function introductionOf({ trust = [] }: BundleChannel, publicKey: string): number | undefined {
  return trust.find(({ key }) => key === publicKey)?.notBefore
}

function introduce(
  { recipe, channel, trust = [], revoke = [] }: BundleChannel,
  key: string,
  notBefore: number,
): NonNullable<BundleChannel['trust']> {
  if (revoke.includes(key)) {
    throw new UserError(`channel '${channel}' of '${recipe}' has revoked this key`, {
      hint: 'a revoked key cannot come back: make another one with --name',
      code: 'key-revoked',
    })
  }
  if (trust.length >= maxKeyLines) {
    throw new UserError(`channel '${channel}' of '${recipe}' introduces ${maxKeyLines} keys already`, {
      hint: `revoke what is no longer in use: parbake keys revoke NAME`,
      code: 'too-many-keys',
    })
  }
  return [...trust, { key, notBefore }]
}

/** The key of the keys folder that some channel has introduced and that does not sign it yet. */
async function pendingKey(ctx: Context, places: readonly ChannelPlace[]): Promise<string | undefined> {
  const own = listKeys(ctx.config)
  for (const place of places) {
    const channel = (await readChannel(place))?.channel
    if (channel === undefined) continue
    const { trust = [], signature } = channel
    // What was introduced before the key that signs now is its predecessor.
    const signerAt = trust.findIndex(({ key }) => key === signature.key)
    const pending = trust.slice(signerAt + 1).at(-1)
    const name = own.find(({ publicKey }) => publicKey === pending?.key)?.name
    if (name !== undefined) return name
  }
  return undefined
}

async function makeKey(ctx: Context, name: string, dryRun: boolean): Promise<string> {
  if (dryRun) return dryRunKey
  return (await initKeys(ctx.config, name, ctx.reporter)).publicKey
}

/** Stands for a key that a dry run does not make; nobody has its private half. */
const dryRunKey = `MCowBQYDK2VwAyEA${Buffer.alloc(32).toString('base64')}`

function today(): string {
  return new Date().toISOString().slice(0, 10).replaceAll('-', '')
}
