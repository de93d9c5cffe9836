import { fileURLToPath } from 'node:url'
import type { Context } from '../context.ts'
import { deriveHostUrl } from '../user-data/host-access.ts'
import type { UserDataOverrides } from '../user-data/make.ts'
import { hostFromGuest } from '../vm/user-network.ts'

/** The bucket name of the embedded endpoint. */
const embeddedBucket = 'parbake'

/** The store as local guests reach it. Disposing ends the embedded endpoint, if one was started. */
export interface GuestStore extends AsyncDisposable {
  readonly overrides: Pick<UserDataOverrides, 'endpoint' | 'accessKey' | 'secretKey'>
}

/**
 * Makes the configured store reachable for guests on this machine: a folder is served on a free loopback port for as long
 * as it is needed, a server on loopback is named as guests see it, anything else is used as configured.
 */
export async function openGuestStore(context: Context): Promise<GuestStore> {
  const { config } = context
  if (config.hosts.endpoint !== undefined) return withoutServer({})
  if (config.store.startsWith('file://')) return serveFolder(context)
  const url = new URL(deriveHostUrl(config))
  const keys = operatorKeys(context)
  if (['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)) url.hostname = hostFromGuest
  return withoutServer({ endpoint: url.href.replace(/\/$/, ''), ...keys })
}

function withoutServer(overrides: GuestStore['overrides']): GuestStore {
  return { overrides, [Symbol.asyncDispose]: () => Promise.resolve() }
}

async function serveFolder({ config }: Context): Promise<GuestStore> {
  const [{ serveStore }, { loadServeCredentials }] = await Promise.all([
    import('../store/server/serve.ts'),
    import('../store/server/credentials.ts'),
  ])
  const credentials = await loadServeCredentials(config.stateDir)
  const server = await serveStore({
    directory: fileURLToPath(config.store),
    bucket: embeddedBucket,
    port: 0,
    credentials,
  })
  return {
    overrides: { endpoint: `http://${hostFromGuest}:${server.port}/${embeddedBucket}`, ...credentials },
    [Symbol.asyncDispose]: () => server.close(),
  }
}

/** A guest of the operator's own machine may use the operator's keys where none were made for hosts. */
function operatorKeys({ config, reporter }: Context): { accessKey?: string; secretKey?: string } {
  const { env } = process
  if (config.hosts.auth !== 'static' || (env[config.hosts.accessKeyEnv] ?? '') !== '') return {}
  const prefixes = config.store.startsWith('minio:') ? ['MINIO_ACCESS_KEY', 'AWS_ACCESS_KEY_ID'] : ['AWS_ACCESS_KEY_ID']
  const secrets = config.store.startsWith('minio:')
    ? ['MINIO_SECRET_KEY', 'AWS_SECRET_ACCESS_KEY']
    : ['AWS_SECRET_ACCESS_KEY']
  const accessKey = prefixes.map((name) => env[name]).find((value) => value !== undefined && value !== '')
  const secretKey = secrets.map((name) => env[name]).find((value) => value !== undefined && value !== '')
  if (accessKey === undefined || secretKey === undefined) return {}
  reporter.emit({
    type: 'warning',
    text: 'this VM gets your own keys to the store, because there are none for hosts',
    hint: `set ${config.hosts.accessKeyEnv} and ${config.hosts.secretKeyEnv}`,
  })
  return { accessKey, secretKey }
}
