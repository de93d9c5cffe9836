import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { loadSigners } from '../keys/signer.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { keys } from '../store/keys.ts'
import type { ObjectStore } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import type { Sha256 } from '../util/sha256.ts'
import { loadAgent, type Agent } from './agent.ts'
import { changeChannel, isLive, type ChannelDraft } from './change-channel.ts'
import { readChannel } from './channel-store.ts'
import { checkChannelName, type BundleChannel, type SignedChannel } from './channel.ts'
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

const day = 24 * 3600

/**
 * Uploads a recipe's bundle and the agent, then moves the channel to them. What hosts see changes with the last put and
 * with nothing before it: when anything fails, the channel that was there goes on working. Throws a UserError where there is
 * no signing key, the store fails, the current channel is not genuine, or others keep publishing at the same time.
 */
export async function publishRecipe(recipe: Recipe, ctx: Context, options: PublishOptions = {}): Promise<Published> {
  const name = options.channel ?? ctx.config.channel
  checkChannelName(name)
  const signers = loadSigners(ctx, options.keyName)
  const bundle = await packBundle(recipe)
  const agent = loadAgent()
  const store = options.store ?? (await openStore(ctx.config.store))
  try {
    const target = { store, recipe: recipe.name, name, trustedKeys: signers.trustedKeys, signal: ctx.signal }
    // A channel that is not genuine stops us before anything is sent.
    await readChannel(target)
    const uploaded = await sendObjects(ctx, store, recipe.name, bundle, agent, options.dryRun === true)
    const expiryDays = ctx.config.channelExpiryDays
    const moved = await phase(
      ctx.reporter,
      `move channel ${name}`,
      async () => {
        const { channel, unchanged } = await changeChannel({
          place: target,
          expiryDays,
          dryRun: options.dryRun === true,
          signerFor: signers.choose,
          draft: (current, { nowSeconds, signer }) =>
            publishDraft(current, { bundle, agent, expiryDays, key: signer.publicKey }, nowSeconds),
        })
        return { serial: channel.serial, unchanged }
      },
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

/** Puts agent and bundle into the store unless they are there; true where the bundle had to be sent. */
export async function sendObjects(
  ctx: Context,
  store: ObjectStore,
  recipe: string,
  bundle: Pick<PackedBundle, 'bytes' | 'sha256'>,
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

/** What a publish wants hosts to have, and how it is signed. */
export interface Wanted {
  readonly bundle: PackedBundle
  readonly agent: Agent
  readonly expiryDays: number
  readonly key: string
}

/** What the channel should say; undefined where hosts would get nothing new from another publish. */
export function publishDraft(
  current: SignedChannel<BundleChannel> | undefined,
  wanted: Wanted,
  nowSeconds: number,
): ChannelDraft | undefined {
  if (current !== undefined && isUpToDate(current, wanted, nowSeconds)) return undefined
  const { rollout, ...others } = current ?? {}
  const isRenewal = current?.bundle === wanted.bundle.sha256
  if (rollout !== undefined && isLive(rollout) && !isRenewal) throw rolloutUnderWay(current, wanted)
  return {
    ...others,
    bundle: wanted.bundle.sha256,
    bundleBytes: wanted.bundle.bytes.length,
    agent: wanted.agent.sha256,
    // One that was halted ends with the next version.
    ...(rollout === undefined || !isRenewal ? {} : { rollout }),
  }
}

function rolloutUnderWay(current: SignedChannel<BundleChannel> | undefined, wanted: Wanted): UserError {
  const { recipe = '', rollout } = current ?? {}
  const same = rollout?.bundle === wanted.bundle.sha256
  return new UserError(`a rollout of '${recipe}' is under way, at ${rollout?.percent} percent`, {
    hint: same
      ? `this is its very bundle: 'parbake rollout advance ${recipe} --to 100' gives it to all hosts`
      : `end it first: 'parbake rollout advance' or 'parbake rollout undo', see 'parbake rollout status ${recipe}'`,
    code: 'rollout-active',
  })
}

function isUpToDate(channel: SignedChannel<BundleChannel>, wanted: Wanted, nowSeconds: number): boolean {
  const same =
    channel.bundle === wanted.bundle.sha256 &&
    channel.agent === wanted.agent.sha256 &&
    channel.signature.key === wanted.key
  if (!same) return false
  if (wanted.expiryDays === 0) return channel.expires === 0
  // Renewed in the second half of its life, so that publishing now and then keeps it from running out.
  return channel.expires !== 0 && channel.expires - nowSeconds > (wanted.expiryDays * day) / 2
}
