import { loadStage0 } from '../bundle/agent.ts'
import { checkChannelName } from '../bundle/channel.ts'
import type { Config } from '../config.ts'
import { UserError } from '../errors.ts'
import type { Reporter } from '../report/events.ts'
import type { HostCredentials } from './agent-conf.ts'
import { hostAccess, type HostAccessOverrides, type HostStore } from './host-access.ts'
import { renderUserData, type UserData } from './render.ts'
import { userDataTargets, type TargetName, type UserDataTarget } from './targets.ts'

export interface UserDataOverrides extends HostAccessOverrides {
  readonly channel?: string
  readonly purpose?: 'fleet' | 'verify'
  readonly trace?: boolean
  /** Instead of those of the configuration. */
  readonly tags?: readonly string[]
}

export interface MakeUserDataInput {
  readonly recipeName: string
  /** Minutes between converges by cron; 15 where absent. */
  readonly everyMinutes?: number
  readonly config: Config
  readonly target: TargetName
  readonly overrides?: UserDataOverrides
  /** Base64 SPKI DER, as `loadTrustedKeys` gives them. */
  readonly trustedKeys: readonly string[]
  /** Compress the document as a whole. Absent: where it does not fit as text. */
  readonly gzip?: boolean
  /** Gets warnings about the hosts' credentials. */
  readonly reporter?: Reporter
}

/**
 * Makes the user-data of a recipe's hosts. Reads the store for `presigned` only. Throws a UserError where hosts would trust
 * no key, have no credentials or no usable store URL, and where the document is too large for the target.
 */
export async function makeUserData(input: MakeUserDataInput): Promise<UserData> {
  const { config, overrides = {} } = input
  if (input.trustedKeys.length === 0) {
    throw new UserError(`there is no public key in ${config.keysDir}, so hosts would trust nothing`, {
      hint: `run 'parbake keys init', or put your team's .pub file there`,
      exitCode: 2,
      code: 'no-trusted-key',
    })
  }
  const { client } = config.hosts
  const channel = overrides.channel ?? config.channel
  checkChannelName(channel)
  const hostStore = await hostAccess(config, overrides, { env: process.env, serveCredentials })
  const credentials = await credentialsFor(hostStore, { ...input, channel })
  warnAboutCredentials(input, credentials)
  return renderUserData({
    target: input.target,
    stage0: loadStage0(client === undefined ? 'own' : 'client'),
    ...(input.gzip === undefined ? {} : { format: input.gzip ? 'gzip' : 'text' }),
    conf: {
      recipe: input.recipeName,
      channel,
      store: hostStore.url,
      region: hostStore.region,
      credentials,
      ...(client === undefined ? {} : { client }),
      trustedKeys: input.trustedKeys,
      purpose: overrides.purpose ?? 'fleet',
      everyMinutes: input.everyMinutes ?? 15,
      ...(overrides.trace === true ? { trace: true } : {}),
      tags: overrides.tags ?? config.hosts.tags,
      ...(config.hosts.secrets === undefined ? {} : { secrets: config.hosts.secrets }),
    },
  })
}

async function credentialsFor(
  hostStore: HostStore,
  input: MakeUserDataInput & { readonly channel: string },
): Promise<HostCredentials> {
  const { auth, keys } = hostStore
  if (auth === 'anonymous' || auth === 'instance-role') return { auth }
  if (keys === undefined) throw new TypeError(`no keys for ${auth}`)
  if (auth === 'static') return { auth, accessKey: keys.accessKey, secretKey: keys.secretKey }
  // Only here is the store read, so only here are its libraries loaded.
  const [{ openStore }, { presignForHost }] = await Promise.all([import('../store/open.ts'), import('./presigned.ts')])
  const store = await openStore(input.config.store)
  try {
    const urls = await presignForHost({
      store,
      hostStore: { ...hostStore, keys },
      recipe: input.recipeName,
      channel: input.channel,
      trustedKeys: input.trustedKeys,
      nowMs: Date.now(),
    })
    return { auth, urls }
  } finally {
    store.close()
  }
}

async function serveCredentials(stateDir: string): Promise<{ accessKey: string; secretKey: string }> {
  const { loadServeCredentials } = await import('../store/server/credentials.ts')
  return loadServeCredentials(stateDir)
}

function warnAboutCredentials(input: MakeUserDataInput, credentials: HostCredentials): void {
  const target: UserDataTarget = userDataTargets[input.target]
  if (credentials.auth === 'static' && target.instanceRoles) {
    input.reporter?.emit({
      type: 'warning',
      text: `this user-data holds a secret key, and every process on the host can read user-data`,
      hint: 'with --auth instance-role it would hold none',
    })
  }
  // What runs on NoCloud may be anything, a machine of a cloud too.
  if (credentials.auth === 'instance-role' && !target.instanceRoles && input.target !== 'nocloud') {
    input.reporter?.emit({
      type: 'warning',
      text: `hosts on ${target.title} have no role that the agent could take credentials from`,
      hint: 'use --auth static, presigned or anonymous',
    })
  }
  if (credentials.auth === 'presigned') {
    input.reporter?.emit({
      type: 'warning',
      text: 'the URLs in this user-data expire in 7 days and fetch the current bundle only',
      hint: 'make it anew for every launch',
    })
  }
}
