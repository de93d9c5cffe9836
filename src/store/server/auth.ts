import { timingSafeEqual } from 'node:crypto'
import { algorithm, parseAmzTimestamp, type Scope, sign, signingKey, stringToSign, unsignedPayload } from '../sigv4.ts'
import { queryValue, type S3Request } from './request.ts'
import { S3Problem } from './s3-problem.ts'

export interface ServerCredentials {
  readonly accessKey: string
  readonly secretKey: string
}

/** One account of the server. */
export interface Account extends ServerCredentials {
  readonly readOnly: boolean
}

/** What the signature says about the body. */
export type Payload =
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'sha256'; readonly sha256: string }
  /** aws-chunked; `signed`: every chunk carries a signature. */
  | { readonly kind: 'chunked'; readonly signed: boolean; readonly trailer: boolean }

/** A request whose signature was verified. */
export interface Authenticated {
  readonly account: Account
  readonly payload: Payload
  /** What signed chunks are verified with. */
  readonly signing: SigningContext
}

export interface SigningContext {
  readonly key: Buffer
  readonly timestamp: string
  readonly scope: Scope
  readonly signature: string
}

interface Claim {
  readonly accessKey: string
  readonly scope: Scope
  readonly signedHeaders: readonly string[]
  readonly signature: string
  readonly timestamp: string
  readonly query: S3Request['query']
  readonly payloadHash: string
}

const skewMs = 15 * 60_000
const maxExpiresSeconds = 604_800

/** Verifies SigV4 in the header or in the query; throws S3Problem for everything else, anonymous requests included. */
export function authenticate(request: S3Request, accounts: readonly Account[], nowMs: number): Authenticated {
  const authorization = request.headers.get('authorization')
  const presigned = queryValue(request, 'X-Amz-Algorithm') !== undefined
  if (authorization === undefined && !presigned) throw new S3Problem('AccessDenied')
  if (authorization !== undefined && presigned) {
    throw new S3Problem('InvalidArgument', 'Only one way to sign may be used at a time.')
  }
  const claim =
    authorization === undefined ? readQueryClaim(request, nowMs) : readHeaderClaim(request, authorization, nowMs)
  const account = accounts.find((each) => each.accessKey === claim.accessKey)
  if (account === undefined) throw new S3Problem('InvalidAccessKeyId')
  requireSigned(request, claim.signedHeaders)
  const key = signingKey(account.secretKey, claim.scope)
  const expected = sign(key, stringToSign(partsOf(request, claim), claim.timestamp, claim.scope))
  if (!equalInConstantTime(expected, claim.signature)) throw new S3Problem('SignatureDoesNotMatch')
  const signing = { key, timestamp: claim.timestamp, scope: claim.scope, signature: claim.signature }
  return { account, payload: payloadOf(claim.payloadHash), signing }
}

function readHeaderClaim(request: S3Request, authorization: string, nowMs: number): Claim {
  const match = /^AWS4-HMAC-SHA256\s+(.*)$/.exec(authorization)
  if (match === null) throw new S3Problem('InvalidRequest', `Only ${algorithm} is supported.`)
  const fields = new Map<string, string>()
  for (const part of (match[1] ?? '').split(',')) {
    const [name = '', ...value] = part.trim().split('=')
    fields.set(name, value.join('='))
  }
  const timestamp = request.headers.get('x-amz-date') ?? ''
  const ms = parseAmzTimestamp(timestamp)
  if (ms === undefined) throw new S3Problem('AccessDenied', 'A valid x-amz-date header is needed.')
  if (Math.abs(nowMs - ms) > skewMs) throw new S3Problem('RequestTimeTooSkewed')
  const payloadHash = request.headers.get('x-amz-content-sha256')
  if (payloadHash === undefined) {
    throw new S3Problem('InvalidRequest', 'The header x-amz-content-sha256 is needed; UNSIGNED-PAYLOAD will do.')
  }
  return {
    ...readCredential(fields.get('Credential') ?? '', timestamp, 'AuthorizationHeaderMalformed'),
    signedHeaders: (fields.get('SignedHeaders') ?? '').split(';'),
    signature: fields.get('Signature') ?? '',
    timestamp,
    query: request.query,
    payloadHash,
  }
}

function readQueryClaim(request: S3Request, nowMs: number): Claim {
  const malformed = 'AuthorizationQueryParametersError'
  const value = (name: string) => queryValue(request, name) ?? ''
  if (value('X-Amz-Algorithm') !== algorithm) throw new S3Problem(malformed, `Only ${algorithm} is supported.`)
  const timestamp = value('X-Amz-Date')
  const ms = parseAmzTimestamp(timestamp)
  const expires = /^\d{1,6}$/.test(value('X-Amz-Expires')) ? Number(value('X-Amz-Expires')) : 0
  if (ms === undefined || expires < 1 || expires > maxExpiresSeconds) throw new S3Problem(malformed)
  if (ms - nowMs > skewMs) throw new S3Problem('AccessDenied', 'Request is not yet valid.')
  if (nowMs > ms + expires * 1000) throw new S3Problem('AccessDenied', 'Request has expired.')
  return {
    ...readCredential(value('X-Amz-Credential'), timestamp, malformed),
    signedHeaders: value('X-Amz-SignedHeaders').split(';'),
    signature: value('X-Amz-Signature'),
    timestamp,
    query: request.query.filter(([name]) => name !== 'X-Amz-Signature'),
    payloadHash: request.headers.get('x-amz-content-sha256') ?? unsignedPayload,
  }
}

function readCredential(
  credential: string,
  timestamp: string,
  malformed: 'AuthorizationHeaderMalformed' | 'AuthorizationQueryParametersError',
): Pick<Claim, 'accessKey' | 'scope'> {
  const [end, service = '', region = '', date = '', ...rest] = credential.split('/').toReversed()
  if (
    end !== 'aws4_request' ||
    service !== 's3' ||
    region === '' ||
    rest.length === 0 ||
    date !== timestamp.slice(0, 8)
  ) {
    throw new S3Problem(malformed, 'The credential must be <access key>/<date>/<region>/s3/aws4_request.')
  }
  return { accessKey: rest.toReversed().join('/'), scope: { date, region, service } }
}

/** What is not signed could be changed on the way: the host and S3's own headers must be. */
function requireSigned(request: S3Request, signedHeaders: readonly string[]): void {
  const required = ['host', ...[...request.headers.keys()].filter((name) => name.startsWith('x-amz-'))]
  const unsigned = required.filter((name) => !signedHeaders.includes(name))
  if (unsigned.length === 0) return
  throw new S3Problem(
    'AccessDenied',
    `There were headers present in the request which were not signed: ${unsigned.join(', ')}`,
  )
}

function partsOf(request: S3Request, claim: Claim) {
  return {
    method: request.method,
    path: request.path,
    query: claim.query,
    headers: claim.signedHeaders.map((name) => [name, request.headers.get(name) ?? ''] as const),
    payloadHash: claim.payloadHash,
  }
}

function payloadOf(hash: string): Payload {
  if (hash === unsignedPayload) return { kind: 'unsigned' }
  if (/^[0-9a-f]{64}$/.test(hash)) return { kind: 'sha256', sha256: hash }
  const streaming = /^STREAMING-(AWS4-HMAC-SHA256|UNSIGNED)-PAYLOAD(-TRAILER)?$/.exec(hash)
  const signed = streaming?.[1] === 'AWS4-HMAC-SHA256'
  const trailer = streaming?.[2] !== undefined
  if (streaming === null || (!signed && !trailer))
    throw new S3Problem('InvalidArgument', 'x-amz-content-sha256 is not valid.')
  return { kind: 'chunked', signed, trailer }
}

export function equalInConstantTime(a: string, b: string): boolean {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}
