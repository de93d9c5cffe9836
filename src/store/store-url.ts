import { fileURLToPath } from 'node:url'
import { UserError } from '../errors.ts'
import { isSafeKey } from './keys.ts'

/** Where a store is, as its URL says; no secrets. */
export type StoreLocation =
  | { readonly kind: 'directory'; readonly directory: string }
  | {
      readonly kind: 's3'
      readonly bucket: string
      /** Without slashes at its ends; empty for none. */
      readonly prefix: string
      /** undefined for AWS itself. */
      readonly endpoint: string | undefined
      readonly region: string | undefined
    }
  | {
      readonly kind: 'minio'
      readonly host: string
      readonly port: number
      readonly tls: boolean
      readonly bucket: string
      readonly prefix: string
      readonly region: string | undefined
    }

const examples =
  'examples: file:///var/lib/parbake/store, s3://bucket/prefix?endpoint=http://127.0.0.1:9400&region=us-east-1, ' +
  'minio://127.0.0.1:9400/bucket/prefix?tls=false'

/** Reads a store URL; throws UserError (exit code 2) with examples where it is none. Pure. */
export function parseStoreUrl(text: string): StoreLocation {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw bad(text, 'is no URL')
  if (url.username !== '' || url.password !== '') {
    throw bad('(hidden)', 'holds credentials', 'give them in the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY')
  }
  if (url.hash !== '') throw bad(text, `has a fragment '${url.hash}'`)
  switch (url.protocol) {
    case 'file:':
      return directoryLocation(text, url)
    case 's3:':
      return s3Location(text, url)
    case 'minio:':
      return minioLocation(text, url)
    default:
      throw bad(text, `has the scheme '${url.protocol.slice(0, -1)}'`)
  }
}

function directoryLocation(text: string, url: URL): StoreLocation {
  allowOptions(text, url, [])
  if (url.host !== '' || url.pathname === '/') throw bad(text, 'names no folder by absolute path')
  return { kind: 'directory', directory: fileURLToPath(url).replace(/\/+$/, '') }
}

function s3Location(text: string, url: URL): StoreLocation {
  allowOptions(text, url, ['endpoint', 'region'])
  if (url.port !== '') throw bad(text, 'has a port in place of a bucket', 'put the server into ?endpoint=')
  const endpoint = url.searchParams.get('endpoint') ?? undefined
  if (endpoint !== undefined && !isHttpOrigin(endpoint)) throw bad(text, `has the endpoint '${endpoint}'`)
  return {
    kind: 's3',
    bucket: bucketOf(text, url.hostname),
    prefix: prefixOf(text, url.pathname),
    endpoint: endpoint?.replace(/\/$/, ''),
    region: url.searchParams.get('region') ?? undefined,
  }
}

function minioLocation(text: string, url: URL): StoreLocation {
  allowOptions(text, url, ['tls', 'region'])
  const tls = url.searchParams.get('tls') ?? 'true'
  if (tls !== 'true' && tls !== 'false') throw bad(text, `has tls=${tls}, neither true nor false`)
  const [bucket = '', ...prefix] = url.pathname.replace(/^\//, '').split('/')
  if (url.hostname === '') throw bad(text, 'names no host')
  return {
    kind: 'minio',
    host: url.hostname,
    port: url.port === '' ? (tls === 'true' ? 443 : 80) : Number(url.port),
    tls: tls === 'true',
    bucket: bucketOf(text, bucket),
    prefix: prefixOf(text, prefix.join('/')),
    region: url.searchParams.get('region') ?? undefined,
  }
}

function bucketOf(text: string, name: string): string {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) {
    throw bad(text, name === '' ? 'names no bucket' : `names the bucket '${name}', which is not a bucket name`)
  }
  return name
}

function prefixOf(text: string, path: string): string {
  const prefix = path.replaceAll(/^\/+|\/+$/g, '')
  if (prefix !== '' && !isSafeKey(prefix))
    throw bad(text, `has the prefix '${prefix}'`, 'it takes [A-Za-z0-9._=/-] only')
  return prefix
}

function isHttpOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  const plain =
    url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === ''
  return (url.protocol === 'http:' || url.protocol === 'https:') && plain
}

function allowOptions(text: string, url: URL, allowed: readonly string[]): void {
  for (const name of url.searchParams.keys()) {
    if (allowed.includes(name)) continue
    const takes = allowed.length === 0 ? 'it takes none' : `it takes ${allowed.join(' and ')}`
    throw bad(text, `has the option '${name}'`, takes)
  }
}

function bad(text: string, what: string, hint?: string): UserError {
  return new UserError(`store URL '${text}' ${what}`, {
    exitCode: 2,
    code: 'store-url',
    hint: hint === undefined ? examples : `${hint}; ${examples}`,
  })
}
