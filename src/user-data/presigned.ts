import { randomBytes } from 'node:crypto'
import { readChannel } from '../bundle/channel-store.ts'
import { UserError } from '../errors.ts'
import { keys } from '../store/keys.ts'
import type { ObjectStore } from '../store/object-store.ts'
import { presignUrl } from '../store/presign.ts'
import type { PresignedUrls } from './agent-conf.ts'
import type { HostStore } from './host-access.ts'

/** Seven days: the longest that SigV4 allows. */
export const presignedSeconds = 7 * 24 * 3600

export interface PresignInput {
  readonly store: ObjectStore
  readonly hostStore: HostStore & { readonly keys: NonNullable<HostStore['keys']> }
  readonly recipe: string
  readonly channel: string
  readonly trustedKeys: readonly string[]
  readonly nowMs: number
}

/**
 * URLs for a host without keys: the channel, the agent and the bundle that it names now, one report. They end after seven days, and no
 * later bundle can be fetched with them: for machines that live shorter than that. Throws a UserError where nothing was
 * published yet.
 */
export async function presignForHost(input: PresignInput): Promise<PresignedUrls> {
  const channelKey = keys.channel(input.recipe, input.channel)
  const stored = await readChannel({
    store: input.store,
    recipe: input.recipe,
    name: input.channel,
    trustedKeys: input.trustedKeys,
  })
  if (stored === undefined) {
    throw new UserError(`'${input.recipe}' has no channel '${input.channel}' in ${input.store.url}`, {
      hint: 'a presigned host is bound to the bundle that is current now: publish the recipe first',
    })
  }
  const { channel } = stored
  const date = new Date(input.nowMs).toISOString().slice(0, 10)
  const run = randomBytes(8).toString('hex')
  const presign = (method: 'GET' | 'PUT', key: string) =>
    presignUrl({
      method,
      url: `${input.hostStore.url}/${key}`,
      ...input.hostStore.keys,
      region: input.hostStore.region,
      expiresSeconds: presignedSeconds,
      nowMs: input.nowMs,
    })
  return {
    channel: presign('GET', channelKey),
    agent: { sha256: channel.agent, url: presign('GET', keys.agent(channel.agent)) },
    bundle: { sha256: channel.bundle, url: presign('GET', keys.bundle(input.recipe, channel.bundle)) },
    report: presign('PUT', keys.report(input.recipe, date, 'presigned', run)),
  }
}
