import type { HostClient } from '../config.ts'
import { UserError } from '../errors.ts'
import type { Sha256 } from '../util/sha256.ts'

/** How a host proves to the store who it is. */
export type HostCredentials =
  | { readonly auth: 'static'; readonly accessKey: string; readonly secretKey: string }
  | { readonly auth: 'instance-role' }
  | { readonly auth: 'anonymous' }
  | { readonly auth: 'presigned'; readonly urls: PresignedUrls }

/** URLs that carry their own, expiring permission. */
export interface PresignedUrls {
  /** GET of the channel. */
  readonly channel: string
  /** GET of the agent that the channel names now. */
  readonly agent: { readonly sha256: Sha256; readonly url: string }
  /** GET of the bundle that the channel names now. */
  readonly bundle: { readonly sha256: Sha256; readonly url: string }
  /** PUT of one report. */
  readonly report: string
}

/** What a host's agent is told: the content of /etc/parbake/agent.conf. */
export interface AgentConf {
  readonly recipe: string
  readonly channel: string
  /** `http(s)://host/bucket[/prefix]` or `file:///dir`, without a slash at the end. */
  readonly store: string
  readonly region: string
  readonly credentials: HostCredentials
  /** What installs itself and fetches instead of the agent's own requests; a line `client=NAME`. */
  readonly client?: HostClient
  /** Base64 SPKI DER. */
  readonly trustedKeys: readonly string[]
  readonly purpose: 'fleet' | 'verify'
  /** Minutes. */
  readonly everyMinutes: number
  /** Report the slowest commands of every shell step. */
  readonly trace?: boolean
  /** Names that say what the host is; one line `tags=a,b`, none where there are no tags. */
  readonly tags?: readonly string[]
  /** Where secrets come from, by name; a line `secret.NAME=SOURCE` each. */
  readonly secrets?: Readonly<Record<string, string>>
}

/**
 * The text of agent.conf: `name=value` lines. Throws a UserError (exit code 2) for values that would not arrive as they are:
 * the agent reads lines, and is told nothing about quotes.
 */
export function renderAgentConf(conf: AgentConf): string {
  const lines = settingsOf(conf)
  for (const [name, value] of lines) {
    // Printable ASCII only; the value itself may be a secret and is not shown.
    if (!/^[!-~]+( [!-~]+)*$/.test(value)) {
      throw new UserError(
        `the setting '${name}' for hosts is empty or holds a line break, a tab or a non-ASCII character`,
        {
          exitCode: 2,
        },
      )
    }
  }
  return lines.map(([name, value]) => `${name}=${value}\n`).join('')
}

/** The settings as they may be shown: secrets are told by their length, and URLs lose what gives access. */
export function shownSettings(conf: AgentConf): readonly (readonly [name: string, shown: string])[] {
  return settingsOf(conf).map(([name, value]) => {
    if (name === 'secret_key') return [name, `(${value.length} characters, not shown)`]
    return [name, name.startsWith('url.') ? value.replace(/\?.*/, '?…') : value]
  })
}

function settingsOf(conf: AgentConf): readonly (readonly [string, string])[] {
  return [
    ['recipe', conf.recipe],
    ['channel', conf.channel],
    ['store', conf.store],
    ['auth', conf.credentials.auth],
    ...(conf.client === undefined ? [] : [['client', conf.client] as const]),
    ['region', conf.region],
    ...credentialLines(conf.credentials),
    ...conf.trustedKeys.map((key) => ['key', key] as const),
    ['purpose', conf.purpose],
    ['every', String(conf.everyMinutes)],
    ...(conf.trace === true ? [['trace', 'yes'] as const] : []),
    ...(conf.tags === undefined || conf.tags.length === 0 ? [] : [['tags', conf.tags.join(',')] as const]),
    ...Object.entries(conf.secrets ?? {}).map(([name, source]) => [`secret.${name}`, source] as const),
  ]
}

function credentialLines(credentials: HostCredentials): readonly (readonly [string, string])[] {
  switch (credentials.auth) {
    case 'static':
      return [
        ['access_key', credentials.accessKey],
        ['secret_key', credentials.secretKey],
      ]
    case 'presigned':
      return [
        ['url.channel', credentials.urls.channel],
        ['url.agent', `${credentials.urls.agent.sha256} ${credentials.urls.agent.url}`],
        ['url.bundle', `${credentials.urls.bundle.sha256} ${credentials.urls.bundle.url}`],
        ['url.report', credentials.urls.report],
      ]
    case 'instance-role':
    case 'anonymous':
      return []
  }
}
