import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { loadSigningKey, loadTrustedKeys } from '../keys/files.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { keys } from '../store/keys.ts'
import type { ObjectStore, PutCondition } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import type { Sha256 } from '../util/sha256.ts'
import { loadAgent, type Agent } from './agent.ts'
import { readChannel } from './channel-store.ts'
import {
  channelTime,
  checkChannelName,
  signChannel,
  type BundleChannel,
  type SignedChannel,
  type SigningKey,
} from './channel.ts'
import { packBundle, type PackedBundle } from './pack.ts'

export interface PublishOptions {
  /** The configured one by default. */
  readonly channel?: string
  /** Packs, reads and checks, but writes nothing. */
  readonly dryRun?: boolean
  /** Opened from the configuration by default; an own one is not closed. */
  readonly store?: ObjectStore
  /** Name of the signing key in the keys folder. */
  readonly keyName?: string
}

export interface Published {
  readonly recipe: string
  readonly channel: string
  readonly bundle: Sha256
  readonly bundleBytes: number
  readonly agent: Sha256
  /** The channel's serial; with `dryRun` the one that it would get. */
  readonly serial: number
  /** True where the bundle was not in the store before; with `dryRun` where it would be sent. */
  readonly uploaded: boolean
  /** True where the channel named this bundle and agent already, and was left as it is. */
  readonly unchanged: boolean
}

/** As many publishers as may collide without one of them giving up: each collision means that another one got through. */
const maxAttempts = 20

const day = 24 * 3600

/**
 * Uploads a recipe's bundle and the agent, then moves the channel to them. What hosts see changes with the last put and
 * with nothing before it: when anything fails, the channel that was there goes on working. Throws a UserError where there is
 * no signing key, the store fails, the current channel is not genuine, or others keep publishing at the same time.
 */
export async function publishRecipe(recipe: Recipe, ctx: Context, options: PublishOptions = {}): Promise<Published> {
  const name = options.channel ?? ctx.config.channel
  checkChannelName(name)
  const signingKey = loadSigningKey(ctx.config, options.keyName === undefined ? {} : { name: options.keyName })
  const trustedKeys = [...new Set([...loadTrustedKeys(ctx.config), signingKey.publicKey])]
  const bundle = await packBundle(recipe)
  const agent = loadAgent()
  const store = options.store ?? (await openStore(ctx.config.store))
  try {
    const target = { store, recipe: recipe.name, name, trustedKeys, signal: ctx.signal }
    // A channel that is not genuine stops us before anything is sent.
    await readChannel(target)
    const uploaded = await sendObjects(ctx, store, recipe.name, bundle, agent, options.dryRun === true)
    const wanted = {
      bundle,
      agent,
      signingKey,
      expiryDays: ctx.config.channelExpiryDays,
      dryRun: options.dryRun === true,
    }
    const moved = await phase(
      ctx.reporter,
      `move channel ${name}`,
      () => moveChannel(target, wanted),
      (result) => ({
        detail: result.unchanged ? `already there, serial ${result.serial}` : `serial ${result.serial}`,
        cached: result.unchanged,
      }),
    )
    return {
      recipe: recipe.name,
      channel: name,
      bundle: bundle.sha256,
      bundleBytes: bundle.bytes.length,
      agent: agent.sha256,
      uploaded,
      ...moved,
    }
  } finally {
    if (options.store === undefined) store.close()
  }
}

/** True where the bundle had to be sent. */
async function sendObjects(
  ctx: Context,
  store: ObjectStore,
  recipe: string,
  bundle: PackedBundle,
  agent: Agent,
  dryRun: boolean,
): Promise<boolean> {
  const objects = [
    { key: keys.agent(agent.sha256), body: Buffer.from(agent.text) },
    { key: keys.bundle(recipe, bundle.sha256), body: bundle.bytes },
  ]
  let sent = false
  for (const { key, body } of objects) {
    sent = await sendOnce(ctx, store, key, body, dryRun)
  }
  return sent
}

/** Puts an object that is named by its digest, unless it is there; true where it was not. */
async function sendOnce(
  ctx: Context,
  store: ObjectStore,
  key: string,
  body: Buffer,
  dryRun: boolean,
): Promise<boolean> {
  const { signal } = ctx
  const there = await store.head(key, { signal })
  if (there?.sizeBytes === body.length) return false
  if (dryRun) return true
  if (there !== undefined) {
    ctx.reporter.emit({
      type: 'warning',
      text: `${key} in ${store.url} has ${there.sizeBytes} bytes and should have ${body.length}: replacing it`,
    })
    await store.put(key, body, { condition: { etag: there.etag }, signal })
    return true
  }
  const { outcome } = await store.put(key, body, { condition: { absent: true }, signal })
  return outcome === 'stored'
}

interface Target {
  readonly store: ObjectStore
  readonly recipe: string
  readonly name: string
  readonly trustedKeys: readonly string[]
  readonly signal: AbortSignal
}

interface Wanted {
  readonly bundle: PackedBundle
  readonly agent: Agent
  readonly signingKey: SigningKey
  readonly expiryDays: number
  readonly dryRun: boolean
}

async function moveChannel(target: Target, wanted: Wanted): Promise<{ serial: number; unchanged: boolean }> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const current = await readChannel(target)
    const nowSeconds = Math.floor(Date.now() / 1000)
    if (current !== undefined && isUpToDate(current.channel, wanted, nowSeconds)) {
      return { serial: current.channel.serial, unchanged: true }
    }
    const serial = (current?.channel.serial ?? 0) + 1
    if (wanted.dryRun) return { serial, unchanged: false }
    const content: BundleChannel = {
      kind: 'bundle',
      recipe: target.recipe,
      channel: target.name,
      serial,
      bundle: wanted.bundle.sha256,
      bundleBytes: wanted.bundle.bytes.length,
      agent: wanted.agent.sha256,
      published: channelTime(nowSeconds * 1000),
      expires: wanted.expiryDays === 0 ? 0 : nowSeconds + Math.round(wanted.expiryDays * day),
    }
    const condition: PutCondition = current === undefined ? { absent: true } : { etag: current.etag }
    const { outcome } = await target.store.put(
      keys.channel(target.recipe, target.name),
      signChannel(content, wanted.signingKey),
      {
        condition,
        contentType: 'text/plain; charset=utf-8',
        signal: target.signal,
      },
    )
    if (outcome === 'stored') return { serial, unchanged: false }
    // Apart in time, so that publishers that collided once do not do so again.
    await sleep(Math.random() * 40 * (attempt + 1), undefined, { signal: target.signal })
  }
  throw new UserError(
    `channel '${target.name}' of '${target.recipe}' was changed by others at each of ${maxAttempts} tries`,
    {
      hint: 'find out who else publishes, then try again; the bundle is in the store already',
      code: 'channel-contended',
    },
  )
}

/** Whether hosts would get nothing new from another publish. */
function isUpToDate(channel: SignedChannel<BundleChannel>, wanted: Wanted, nowSeconds: number): boolean {
  const same =
    channel.bundle === wanted.bundle.sha256 &&
    channel.agent === wanted.agent.sha256 &&
    channel.signature.key === wanted.signingKey.publicKey
  if (!same) return false
  if (wanted.expiryDays === 0) return channel.expires === 0
  // Renewed in the second half of its life, so that publishing now and then keeps it from running out.
  return channel.expires !== 0 && channel.expires - nowSeconds > (wanted.expiryDays * day) / 2
}
