import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { changeChannel, type CurrentChannel } from '../bundle/change-channel.ts'
import { maxKeyLines } from '../bundle/channel-grammar.ts'
import { readChannel, type ChannelPlace } from '../bundle/channel-store.ts'
import type { BundleChannel, Signer } from '../bundle/channel.ts'
import type { Context } from '../context.ts'
import { hasCode, UserError } from '../errors.ts'
import { keys } from '../store/keys.ts'
import { getBytes, listAll, type ObjectStore } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import { channelPlaces, untoldHosts } from './channels.ts'
import { listKeys } from './files.ts'
import { isPublicKey } from './public-key.ts'
import { checkAccepted, loadSigners, type Signers } from './signer.ts'

export interface RevokeOptions {
  /** Name in the keys folder, or the public key itself. */
  readonly key: string
  /** Name of the key that signs the revocation. */
  readonly keyName?: string
  /** Revoke although some hosts have not heard of the key that signs from now on, or pointers to images are lost. */
  readonly force: boolean
  readonly dryRun: boolean
}

export interface Revocation {
  readonly publicKey: string
  /** Files that no longer count, by their new names. */
  readonly setAside: readonly string[]
  readonly channels: readonly { readonly recipe: string; readonly channel: string; readonly serial: number }[]
  readonly dryRun: boolean
}

/**
 * Tells the hosts of every channel never to trust a key again, signed by another one that they accept, and sets its files
 * aside. Throws a UserError, before anything is changed, where hosts would be left without a key that can sign, or some have
 * not heard of that one yet.
 */
export async function revokeKey(ctx: Context, options: RevokeOptions): Promise<Revocation> {
  const publicKey = publicKeyOf(ctx, options.key)
  const signers = loadSigners(ctx, options.keyName)
  const store = await openStore(ctx.config.store)
  try {
    const places = await channelPlaces(store, signers.trustedKeys, ctx.signal)
    const signerFor = signerThatIsNot(publicKey, signers)
    // All are looked at before the first one is changed.
    for (const place of places) await checkHosts(ctx, place, signerFor, options)
    for (const recipe of new Set(places.map((place) => place.recipe))) {
      await checkImages(ctx, store, recipe, publicKey, options)
    }
    const channels: Revocation['channels'][number][] = []
    for (const place of places) {
      const { channel } = await changeChannel({
        place,
        expiryDays: ctx.config.channelExpiryDays,
        dryRun: options.dryRun,
        signerFor,
        draft: (current) => revokeIn(current, publicKey),
      })
      channels.push({ recipe: place.recipe, channel: place.name, serial: channel.serial })
    }
    const setAside = options.dryRun ? [] : await setFilesAside(ctx.config.keysDir, ctx, publicKey)
    return { publicKey, setAside, channels, dryRun: options.dryRun }
  } finally {
    store.close()
  }
}

function publicKeyOf({ config }: Context, key: string): string {
  if (isPublicKey(key)) return key
  const known = listKeys(config).find(({ name }) => name === key)
  if (known !== undefined) return known.publicKey
  throw new UserError(`there is no key '${key}' in ${config.keysDir}`, {
    hint: `'parbake keys list' shows what is there; the public key itself will do too`,
    exitCode: 2,
  })
}

/** Chooses as always, but never the key that goes, and only what the channel's hosts accept. */
function signerThatIsNot(publicKey: string, signers: Signers): (current: CurrentChannel, nowSeconds: number) => Signer {
  return (current, nowSeconds) => {
    const signer = signers.choose(current, nowSeconds)
    if (signer.publicKey === publicKey) {
      const where = current === undefined ? '' : ` of channel '${current.channel}' of '${current.recipe}'`
      throw new UserError(`hosts${where} would be left without a key that can sign`, {
        hint: `introduce another one first, with 'parbake keys rotate', and wait until they accept it`,
        code: 'last-key',
      })
    }
    if (current !== undefined) checkAccepted(current, signer.publicKey, nowSeconds)
    return signer
  }
}

async function checkHosts(
  ctx: Context,
  place: ChannelPlace,
  signerFor: (current: CurrentChannel, nowSeconds: number) => Signer,
  { force }: RevokeOptions,
): Promise<void> {
  const stored = await readChannel(place)
  if (stored === undefined) return
  const signer = signerFor(stored.channel, Math.floor(Date.now() / 1000))
  const untold = await untoldHosts(place, stored, signer.publicKey)
  if (untold.length === 0) return
  const some = untold.slice(0, 3).join(', ') + (untold.length > 3 ? ', …' : '')
  const text =
    `${untold.length} hosts of '${place.recipe}' have not reported since their channel introduced the key that would sign ` +
    `(${some}): they would refuse everything from then on`
  refuseUnless(ctx, force, text, {
    hint: 'wait until they have, end them if they are dead, or add --force',
    code: 'hosts-untold',
  })
}

/** A pointer to an image that nobody trusts any more stops launches and bakes. */
async function checkImages(
  ctx: Context,
  store: ObjectStore,
  recipe: string,
  publicKey: string,
  { force }: RevokeOptions,
): Promise<void> {
  for await (const { key } of listAll(store, keys.imageChannelsPrefix(recipe), ctx.signal)) {
    const text = (await getBytes(store, key, ctx.signal))?.toString('utf8') ?? ''
    // Not whether it is genuine, but who signed it: with the key in other hands both may be said of a forgery.
    if (!text.includes(`\nkey ${publicKey}\n`)) continue
    refuseUnless(ctx, force, `${key} is signed by that key, and would count no more`, {
      hint:
        `sign it again with 'parbake keys rotate' first. Where the key was stolen: add --force, delete that object from the ` +
        'store, and bake again',
      code: 'image-signed',
    })
  }
}

function refuseUnless(
  ctx: Context,
  force: boolean,
  text: string,
  why: { readonly hint: string; readonly code: string },
): void {
  if (!force) throw new UserError(text, why)
  ctx.reporter.emit({ type: 'warning', text, ...(why.code === 'image-signed' ? { hint: why.hint } : {}) })
}

function revokeIn(current: CurrentChannel, publicKey: string): BundleChannel | undefined {
  if (current === undefined || current.revoke?.includes(publicKey) === true) return undefined
  const revoke = [...(current.revoke ?? []), publicKey]
  if (revoke.length > maxKeyLines) {
    throw new UserError(`channel '${current.channel}' of '${current.recipe}' revokes ${maxKeyLines} keys already`, {
      hint: 'publish the recipe under another channel, whose hosts know the remaining keys only',
      code: 'too-many-keys',
    })
  }
  const { trust = [], ...channel } = current
  return { ...channel, trust: trust.filter(({ key }) => key !== publicKey), revoke }
}

/** Neither user-data nor publishers take it for trusted any more; its private half stays for whoever has to look into it. */
async function setFilesAside(keysDir: string, { config }: Context, publicKey: string): Promise<string[]> {
  const names = listKeys(config).filter((key) => key.publicKey === publicKey)
  const files = names.flatMap(({ name }) => [`${name}.pub`, `${name}.key`])
  const aside: string[] = []
  for (const file of files) {
    try {
      await rename(join(keysDir, file), join(keysDir, `${file}.revoked`))
      aside.push(join(keysDir, `${file}.revoked`))
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }
  return aside
}
