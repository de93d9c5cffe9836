import { changeChannel, isLive, noChannel } from '../bundle/change-channel.ts'
import { readHistory, type EarlierChannel } from '../bundle/channel-history.ts'
import { readChannel, type ChannelPlace } from '../bundle/channel-store.ts'
import type { BundleChannel } from '../bundle/channel.ts'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { keys } from '../store/keys.ts'
import { withPlace, withWritablePlace, type ChangeChoice, type ChannelChoice } from './place.ts'

export interface RollbackOptions extends ChangeChoice {
  /** A serial, the beginning of a bundle's digest, or `previous`: the last bundle that was another one. */
  readonly to: string
  /** Take the agent of that time too. */
  readonly withAgent?: boolean
}

/** What a rollback did; with `dryRun` what it would do. */
export interface RolledBack {
  readonly recipe: string
  readonly channel: string
  readonly serial: number
  readonly bundle: string
  readonly agent: string
  /** The serial at which the channel said this before. */
  readonly from: number
  /** The bundle that it said until now. */
  readonly replaced: string
  readonly dryRun: boolean
}

/** A line of `rollback --list`. */
export interface EarlierVersion {
  readonly serial: number
  readonly bundle: string | undefined
  /** RFC 3339. */
  readonly published: string | undefined
  readonly current: boolean
  /** Whether the store still has the bundle, whole. */
  readonly available: boolean
  /** Why it is not to be trusted. */
  readonly problem: string | undefined
}

/**
 * Moves a channel back to an earlier bundle, with a new serial: hosts refuse an older one. Keys that it introduces or revokes
 * stay; a rollout ends. Throws a UserError where there is no such bundle, or the store has it no more.
 */
export async function rollBack(ctx: Context, options: RollbackOptions): Promise<RolledBack> {
  return withWritablePlace(ctx, options, async ({ place, signers }) => {
    const current = await currentOf(place)
    const target = await findTarget(place, current, options.to)
    await needObjects(place, target, options.withAgent === true)
    if (current.rollout !== undefined && isLive(current.rollout)) {
      const text = `the rollout at ${current.rollout.percent} percent ends with this`
      ctx.reporter.emit({ type: 'note', text })
    }
    const { channel } = await changeChannel({
      place,
      expiryDays: ctx.config.channelExpiryDays,
      dryRun: options.dryRun === true,
      signerFor: signers.choose,
      draft: (now) => {
        if (now?.serial !== current.serial) throw movedMeanwhile(place)
        const { rollout: _, ...channel } = now
        const { bundle, bundleBytes } = target
        return { ...channel, bundle, bundleBytes, agent: options.withAgent === true ? target.agent : now.agent }
      },
    })
    return {
      recipe: channel.recipe,
      channel: channel.channel,
      serial: channel.serial,
      bundle: channel.bundle,
      agent: channel.agent,
      from: target.serial,
      replaced: current.bundle,
      dryRun: options.dryRun === true,
    }
  })
}

/** What a channel can go back to, newest first, at most `limit` serials. */
export async function listVersions(ctx: Context, choice: ChannelChoice, limit: number): Promise<EarlierVersion[]> {
  return withPlace(ctx, choice, async (place) => {
    const current = await currentOf(place)
    const versions = [await versionOf(place, { serial: current.serial, channel: current, problem: undefined }, true)]
    for await (const earlier of readHistory(place)) {
      if (versions.length >= limit) break
      versions.push(await versionOf(place, earlier, false))
    }
    return versions
  })
}

async function versionOf(
  place: ChannelPlace,
  { serial, channel, problem }: EarlierChannel,
  current: boolean,
): Promise<EarlierVersion> {
  const available = channel !== undefined && (await hasBundle(place, channel))
  return { serial, bundle: channel?.bundle, published: channel?.published, current, available, problem }
}

async function currentOf(place: ChannelPlace): Promise<BundleChannel> {
  const channel = (await readChannel(place))?.channel
  if (channel === undefined) throw noChannel(place)
  return channel
}

async function findTarget(place: ChannelPlace, current: BundleChannel, to: string): Promise<BundleChannel> {
  const wanted = wantedVersion(to, current)
  for await (const { serial, channel, problem } of readHistory(place)) {
    if (channel !== undefined && wanted(channel)) return channel
    if (channel === undefined && String(serial) === to) {
      throw new UserError(`serial ${to} of ${place.recipe}'s channel '${place.name}' cannot be trusted: ${problem}`, {
        hint: `nothing was changed; 'parbake rollback ${place.recipe} --list' shows what there is`,
        code: 'rollback-untrusted',
      })
    }
  }
  throw new UserError(`channel '${place.name}' of '${place.recipe}' has no ${describe(to)} to go back to`, {
    hint: `'parbake rollback ${place.recipe} --list' shows what there is; to publish an older recipe, check it out and publish it`,
    code: 'rollback-unknown',
  })
}

/** Throws a UserError (exit code 2) for what names no version. */
function wantedVersion(to: string, current: BundleChannel): (channel: BundleChannel) => boolean {
  if (to === 'previous') return ({ bundle }) => bundle !== current.bundle
  // Serials are short; a digest of 8 digits and more may have no letter in it.
  if (/^\d{1,7}$/.test(to)) return ({ serial }) => serial === Number(to)
  if (/^[0-9a-f]{8,64}$/.test(to)) return ({ bundle }) => bundle.startsWith(to)
  throw new UserError(`'${to}' names no earlier version`, {
    hint: `use a serial, the first 8 digits or more of a bundle's digest, or 'previous'`,
    exitCode: 2,
  })
}

function describe(to: string): string {
  return to === 'previous' ? 'earlier bundle' : /^\d{1,7}$/.test(to) ? `serial ${to}` : `bundle ${to}`
}

async function hasBundle(place: ChannelPlace, { recipe, bundle, bundleBytes }: BundleChannel): Promise<boolean> {
  const options = place.signal === undefined ? {} : { signal: place.signal }
  return (await place.store.head(keys.bundle(recipe, bundle), options))?.sizeBytes === bundleBytes
}

/** Hosts could not follow a channel that names what is not there. */
async function needObjects(place: ChannelPlace, target: BundleChannel, agentToo: boolean): Promise<void> {
  const missing = (await hasBundle(place, target))
    ? agentToo && (await place.store.head(keys.agent(target.agent))) === undefined
      ? keys.agent(target.agent)
      : undefined
    : keys.bundle(target.recipe, target.bundle)
  if (missing === undefined) return
  throw new UserError(`${missing} is not in ${place.store.url} any more, so no host could follow`, {
    hint: `nothing was changed. Check out the recipe of ${target.published} and publish it`,
    code: 'rollback-gone',
  })
}

function movedMeanwhile(place: ChannelPlace): UserError {
  return new UserError(`channel '${place.name}' of '${place.recipe}' was changed meanwhile`, {
    hint: 'nothing was changed by this; look again',
    code: 'channel-contended',
  })
}
