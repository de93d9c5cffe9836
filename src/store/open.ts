import { UserError } from '../errors.ts'
import type { ObjectStore } from './object-store.ts'
import { parseStoreUrl } from './store-url.ts'

export interface OpenStoreOptions {
  /** Where credentials are looked for; this process's environment by default. */
  readonly env?: NodeJS.ProcessEnv
}

/**
 * Opens the store behind a URL: `file:///dir`, `s3://bucket/prefix?endpoint=http://host:port&region=…` or
 * `minio://host:port/bucket/prefix?tls=false&region=…`. Loads only the adapter it needs and sends nothing yet.
 * Throws UserError with exit code 2 for a bad URL or missing credentials.
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const env = options.env ?? process.env
  const location = parseStoreUrl(url)
  switch (location.kind) {
    case 'directory': {
      const { openDirectoryStore } = await import('./directory.ts')
      return openDirectoryStore(location.directory)
    }
    case 's3': {
      const { openS3Store } = await import('./s3.ts')
      const credentials = envCredentials(env)
      return openS3Store({
        ...location,
        region: location.region ?? envRegion(env),
        ...(credentials && { credentials }),
      })
    }
    case 'minio': {
      const credentials = minioCredentials(env)
      const { openMinioStore } = await import('./minio.ts')
      return openMinioStore({ ...location, region: location.region ?? envRegion(env), credentials })
    }
  }
}

/** Keys of an S3 account. */
export interface StoreCredentials {
  readonly accessKey: string
  readonly secretKey: string
  readonly sessionToken?: string
}

/** The AWS variables, or undefined where they are not set; half of a pair is an error. */
function envCredentials(env: NodeJS.ProcessEnv): StoreCredentials | undefined {
  const accessKey = env['AWS_ACCESS_KEY_ID']
  const secretKey = env['AWS_SECRET_ACCESS_KEY']
  if (!accessKey && !secretKey) return undefined
  if (!accessKey || !secretKey) {
    throw missing(accessKey ? 'AWS_SECRET_ACCESS_KEY is not set' : 'AWS_ACCESS_KEY_ID is not set')
  }
  const sessionToken = env['AWS_SESSION_TOKEN']
  return { accessKey, secretKey, ...(sessionToken ? { sessionToken } : {}) }
}

function minioCredentials(env: NodeJS.ProcessEnv): StoreCredentials {
  const accessKey = env['MINIO_ACCESS_KEY']
  const secretKey = env['MINIO_SECRET_KEY']
  if (accessKey && secretKey) return { accessKey, secretKey }
  if (accessKey || secretKey) throw missing(`MINIO_${accessKey ? 'SECRET' : 'ACCESS'}_KEY is not set`)
  const fallback = envCredentials(env)
  if (fallback === undefined) throw missing('there are no credentials for the store')
  return fallback
}

function envRegion(env: NodeJS.ProcessEnv): string {
  return env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || 'us-east-1'
}

function missing(what: string): UserError {
  return new UserError(what, {
    exitCode: 2,
    code: 'store-denied',
    hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (for minio:// also MINIO_ACCESS_KEY and MINIO_SECRET_KEY)',
  })
}
