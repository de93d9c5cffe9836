import { createHash } from 'node:crypto'
import { amzTimestamp, scopeText, sign, signingKey, stringToSign } from '../../src/store/sigv4.ts'

/** An S3 endpoint and an account on it. */
export interface S3Account {
  /** Origin, e.g. `http://127.0.0.1:9400`. */
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
}

export interface SignedRequest {
  readonly method: string
  /** With a leading slash. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  readonly nowMs?: number
  /** Sent in place of the right one. */
  readonly signature?: string
  /** Sent as x-amz-content-sha256 in place of the body's digest. */
  readonly payloadHash?: string
}

/** Sends one request signed by hand: for what client libraries would not send. */
export async function signedFetch(account: S3Account, request: SignedRequest): Promise<Response> {
  const timestamp = amzTimestamp(request.nowMs ?? Date.now())
  const scope = { date: timestamp.slice(0, 8), region: 'us-east-1', service: 's3' }
  const body = Buffer.from(request.body ?? '')
  const payloadHash = request.payloadHash ?? createHash('sha256').update(body).digest('hex')
  const query = Object.entries(request.query ?? {})
  const headers: Record<string, string> = {
    host: new URL(account.endpoint).host,
    'x-amz-date': timestamp,
    'x-amz-content-sha256': payloadHash,
    ...request.headers,
  }
  const parts = { method: request.method, path: request.path, query, headers: Object.entries(headers), payloadHash }
  const signature =
    request.signature ?? sign(signingKey(account.secretKey, scope), stringToSign(parts, timestamp, scope))
  const signedHeaders = Object.keys(headers).toSorted().join(';')
  const search = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
  return fetch(`${account.endpoint}${request.path}${search === '' ? '' : `?${search}`}`, {
    method: request.method,
    headers: {
      ...headers,
      authorization: `AWS4-HMAC-SHA256 Credential=${account.accessKey}/${scopeText(scope)}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
    },
    ...(request.method === 'GET' || request.method === 'HEAD' ? {} : { body }),
  })
}

/** Creates a bucket; one that is there already is no error. */
export async function createBucket(account: S3Account, bucket: string): Promise<void> {
  const answer = await signedFetch(account, { method: 'PUT', path: `/${bucket}` })
  const text = await answer.text()
  if (!answer.ok && !text.includes('BucketAlreadyOwnedByYou')) {
    throw new Error(`cannot create bucket ${bucket}: ${answer.status} ${text}`)
  }
}

/** The environment that makes `openStore` use this account and nothing else of this machine. */
export function accountEnv(account: S3Account): NodeJS.ProcessEnv {
  return { AWS_ACCESS_KEY_ID: account.accessKey, AWS_SECRET_ACCESS_KEY: account.secretKey }
}

export function s3Url(account: S3Account, bucket: string, prefix = ''): string {
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}?endpoint=${account.endpoint}&region=us-east-1`
}

export function minioUrl(account: S3Account, bucket: string, prefix = ''): string {
  const { host, protocol } = new URL(account.endpoint)
  return `minio://${host}/${bucket}${prefix === '' ? '' : `/${prefix}`}?tls=${protocol === 'https:'}&region=us-east-1`
}
