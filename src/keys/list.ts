import { readChannel } from '../bundle/channel-store.ts'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { openStore } from '../store/open.ts'
import { channelPlaces } from './channels.ts'
import { listKeys, loadTrustedKeys, type KeyEntry } from './files.ts'

/** What one channel says about a key. */
export interface KeyUse {
  readonly recipe: string
  readonly channel: string
  readonly state: 'signs' | 'introduced' | 'revoked'
  /** Unix seconds from which on hosts accept it; with `introduced`. */
  readonly notBefore?: number
}

export interface ListedKey extends KeyEntry {
  /** Undefined where the store could not be read. */
  readonly uses: readonly KeyUse[] | undefined
}

/** The keys of the keys folder with what the channels of the store say about them; a store that cannot be read is a warning. */
export async function listKeysWithUses(ctx: Context): Promise<ListedKey[]> {
  const entries = listKeys(ctx.config)
  if (entries.length === 0) return []
  const uses = await readUses(ctx)
  return entries.map((entry) => ({ ...entry, uses: uses && (uses.get(entry.publicKey) ?? []) }))
}

async function readUses(ctx: Context): Promise<ReadonlyMap<string, readonly KeyUse[]> | undefined> {
  const uses = new Map<string, KeyUse[]>()
  const add = (publicKey: string, use: KeyUse) => uses.set(publicKey, [...(uses.get(publicKey) ?? []), use])
  try {
    const store = await openStore(ctx.config.store)
    try {
      for (const place of await channelPlaces(store, loadTrustedKeys(ctx.config), ctx.signal)) {
        const stored = await readChannel(place)
        if (stored === undefined) continue
        const { signature, trust = [], revoke = [] } = stored.channel
        const where = { recipe: place.recipe, channel: place.name }
        add(signature.key, { ...where, state: 'signs' })
        for (const { key, notBefore } of trust) {
          if (key !== signature.key) add(key, { ...where, state: 'introduced', notBefore })
        }
        for (const key of revoke) add(key, { ...where, state: 'revoked' })
      }
      return uses
    } finally {
      store.close()
    }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    ctx.reporter.emit({ type: 'warning', text: `what channels say about keys is not known: ${error.message}` })
    return undefined
  }
}
