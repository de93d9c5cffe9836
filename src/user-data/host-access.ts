import { beyondClients, type Config, type HostAuth, type HostClient } from '../config.ts'
import { UserError } from '../errors.ts'
import { parseStoreUrl } from '../store/store-url.ts'

/** What a caller may decide differently from parbake.yaml. */
export interface HostAccessOverrides {
  /** `http(s)://host[:port]/bucket[/prefix]` as hosts see it. */
  readonly endpoint?: string
  readonly auth?: HostAuth
  readonly accessKey?: string
  readonly secretKey?: string
}

/** Where hosts find the store, and with which keys. */
export interface HostStore {
  /** Without a slash at the end. */
  readonly url: string
  readonly region: string
  readonly auth: HostAuth
  /** For `static`: what hosts sign with; for `presigned`: what signs here. Undefined for the others. */
  readonly keys: { readonly accessKey: string; readonly secretKey: string; readonly sessionToken?: string } | undefined
}

/** Keys of the embedded store server, as `loadServeCredentials` gives them. */
type ServeCredentials = (stateDir: string) => Promise<{ readonly accessKey: string; readonly secretKey: string }>

export interface HostAccessSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Asked only where the store is a folder and no keys are given. */
  readonly serveCredentials: ServeCredentials
}

/** The embedded server on its usual port, as a guest on QEMU's user network sees the host's loopback. */
const embeddedStoreUrl = 'http://10.0.2.2:9400/parbake'

type AccessConfig = Pick<Config, 'store' | 'hosts' | 'stateDir'>

/**
 * Works out how hosts reach the store. Throws a UserError (exit code 2) for a store URL that hosts cannot use, an unknown
 * way to authenticate, and missing keys.
 */
export async function hostAccess(
  config: AccessConfig,
  overrides: HostAccessOverrides,
  sources: HostAccessSources,
): Promise<HostStore> {
  const auth = overrides.auth ?? config.hosts.auth
  const endpoint = overrides.endpoint ?? config.hosts.endpoint
  const url = endpoint === undefined ? deriveHostUrl(config) : checkedEndpoint(endpoint)
  const shared = { url, region: regionOf(config), auth }
  checkClient(config.hosts.client, auth)
  switch (auth) {
    case 'anonymous':
    case 'instance-role':
      return { ...shared, keys: undefined }
    case 'static':
    case 'presigned':
      return { ...shared, keys: await findKeys(config, overrides, sources, auth) }
    default:
      throw new UserError(`unknown way to authenticate: '${String(auth)}'`, {
        hint: 'use static, instance-role, presigned or anonymous',
        exitCode: 2,
      })
  }
}

/** Throws a UserError (exit code 2) for a way to authenticate that the hosts' client does not have. */
function checkClient(client: HostClient | undefined, auth: HostAuth): void {
  if (client === undefined || !beyondClients[client].includes(auth)) return
  const others = (['static', 'instance-role', 'anonymous'] as const).filter(
    (other) => !beyondClients[client].includes(other),
  )
  throw new UserError(`${client}, which hosts are to fetch with (hosts.client), cannot do ${auth} requests`, {
    hint: `use --auth ${others.join(' or ')}, or leave hosts.client out: the agent's own requests can`,
    exitCode: 2,
    code: 'client-cannot-authenticate',
  })
}

/** The URL of the store as a host can reach it, from the `store` setting. */
export function deriveHostUrl(config: Pick<Config, 'store' | 'hosts'>): string {
  const location = parseStoreUrl(config.store)
  switch (location.kind) {
    case 'directory':
      return embeddedStoreUrl
    case 's3': {
      const { bucket, prefix, endpoint = `https://s3.${regionOf(config)}.amazonaws.com` } = location
      return joinUrl(endpoint, bucket, prefix)
    }
    case 'minio': {
      const { tls, host, port, bucket, prefix } = location
      const usualPort = tls ? 443 : 80
      return joinUrl(`${tls ? 'https' : 'http'}://${host}${port === usualPort ? '' : `:${port}`}`, bucket, prefix)
    }
  }
}

function checkedEndpoint(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (
    url === undefined ||
    !isHttp ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== '' ||
    url.password !== ''
  ) {
    throw new UserError(`'${endpoint.replace(/\/\/[^/]*@/, '//')}' is no endpoint that hosts can use`, {
      hint: 'give http(s)://host[:port]/bucket[/prefix], without user name and query',
      exitCode: 2,
    })
  }
  return endpoint.replace(/\/+$/, '')
}

function regionOf(config: Pick<Config, 'store' | 'hosts'>): string {
  const location = parseStoreUrl(config.store)
  return location.kind === 'directory' ? config.hosts.region : (location.region ?? config.hosts.region)
}

async function findKeys(
  config: AccessConfig,
  overrides: HostAccessOverrides,
  sources: HostAccessSources,
  auth: 'static' | 'presigned',
): Promise<NonNullable<HostStore['keys']>> {
  const { accessKeyEnv, secretKeyEnv } = config.hosts
  const accessKey = overrides.accessKey ?? sources.env[accessKeyEnv]
  const secretKey = overrides.secretKey ?? sources.env[secretKeyEnv]
  if (accessKey !== undefined && accessKey !== '' && secretKey !== undefined && secretKey !== '') {
    // Temporary keys are of no use in a document; for presigning they live as long as they live.
    const sessionToken =
      auth === 'presigned' && accessKeyEnv === 'AWS_ACCESS_KEY_ID' ? sources.env['AWS_SESSION_TOKEN'] : undefined
    return { accessKey, secretKey, ...(sessionToken === undefined || sessionToken === '' ? {} : { sessionToken }) }
  }
  if (config.store.startsWith('file://')) return sources.serveCredentials(config.stateDir)
  const missing = accessKey === undefined || accessKey === '' ? accessKeyEnv : secretKeyEnv
  throw new UserError(
    `the environment variable ${missing} is not set, and hosts would authenticate with ${auth} keys`,
    {
      hint: `set ${accessKeyEnv} and ${secretKeyEnv} to a key pair made for hosts (read bundles/, agents/, channels/; write reports/), or choose another --auth`,
      exitCode: 2,
    },
  )
}

function joinUrl(base: string, ...paths: readonly string[]): string {
  return [base.replace(/\/+$/, ''), ...paths.filter((path) => path !== '')].join('/')
}
