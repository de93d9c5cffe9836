import { checkChannelName } from '../bundle/channel.ts'
import type { ChannelPlace } from '../bundle/channel-store.ts'
import type { Context } from '../context.ts'
import { loadTrustedKeys } from '../keys/files.ts'
import { loadSigners, type Signers } from '../keys/signer.ts'
import { openStore } from '../store/open.ts'

/** Which channel a command is about. */
export interface ChannelChoice {
  /** A recipe's name. */
  readonly recipe: string
  /** The configured one by default. */
  readonly channel?: string
}

export interface ChangeChoice extends ChannelChoice {
  /** Name of the signing key in the keys folder. */
  readonly keyName?: string
  /** Looks and says, but writes nothing. */
  readonly dryRun?: boolean
}

/** A place that can be written, and what signs there. */
export interface WritablePlace {
  readonly place: ChannelPlace
  readonly signers: Signers
}

/** Opens the store for as long as `work` takes; needs no private key. */
export async function withPlace<T>(
  ctx: Context,
  choice: ChannelChoice,
  work: (place: ChannelPlace) => Promise<T>,
): Promise<T> {
  return openFor(ctx, choice, loadTrustedKeys(ctx.config), work)
}

/** As `withPlace`, with what signs; throws a UserError (exit code 2) where there is nothing to sign with. */
export async function withWritablePlace<T>(
  ctx: Context,
  choice: ChangeChoice,
  work: (writable: WritablePlace) => Promise<T>,
): Promise<T> {
  const signers = loadSigners(ctx, choice.keyName)
  return openFor(ctx, choice, signers.trustedKeys, (place) => work({ place, signers }))
}

async function openFor<T>(
  ctx: Context,
  { recipe, channel }: ChannelChoice,
  trustedKeys: readonly string[],
  work: (place: ChannelPlace) => Promise<T>,
): Promise<T> {
  const name = channel ?? ctx.config.channel
  checkChannelName(name)
  const store = await openStore(ctx.config.store)
  try {
    return await work({ store, recipe, name, trustedKeys, signal: ctx.signal })
  } finally {
    store.close()
  }
}
