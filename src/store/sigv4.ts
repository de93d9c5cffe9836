import { createHash, createHmac } from 'node:crypto'
import { compareCodeUnits } from '../util/canonical-json.ts'

/** AWS Signature Version 4 as S3 uses it: shared by the presigner and the embedded server. Pure. */
export const algorithm = 'AWS4-HMAC-SHA256'
export const unsignedPayload = 'UNSIGNED-PAYLOAD'
export const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** A request in the form that is signed. */
export interface CanonicalParts {
  readonly method: string
  /** Decoded path, e.g. `/bucket/key`. */
  readonly path: string
  /** Decoded names and values, in any order, without X-Amz-Signature. */
  readonly query: readonly (readonly [string, string])[]
  /** The signed headers: lower-case name and value; several values of one name joined by commas. */
  readonly headers: readonly (readonly [string, string])[]
  /** Hex sha256 of the body, or one of S3's words for bodies signed otherwise. */
  readonly payloadHash: string
}

/** What a signing key is good for. */
export interface Scope {
  /** YYYYMMDD */
  readonly date: string
  readonly region: string
  readonly service: string
}

/** RFC 3986: everything but the unreserved characters in %XX, upper case. */
export function uriEncode(text: string, keepSlash = false): string {
  const encoded = encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return keepSlash ? encoded.replaceAll('%2F', '/') : encoded
}

export function canonicalQuery(query: CanonicalParts['query']): string {
  return query
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .toSorted((a, b) => compareCodeUnits(a[0], b[0]) || compareCodeUnits(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** S3 encodes the path once and normalises nothing. */
export function canonicalRequest(parts: CanonicalParts): string {
  const headers = parts.headers
    .map(([name, value]) => [name.toLowerCase(), value.trim().replaceAll(/ +/g, ' ')] as const)
    .toSorted((a, b) => compareCodeUnits(a[0], b[0]))
  return [
    parts.method,
    uriEncode(parts.path, true),
    canonicalQuery(parts.query),
    ...headers.map(([name, value]) => `${name}:${value}`),
    '',
    headers.map(([name]) => name).join(';'),
    parts.payloadHash,
  ].join('\n')
}

export function scopeText(scope: Scope): string {
  return `${scope.date}/${scope.region}/${scope.service}/aws4_request`
}

/** `timestamp` is YYYYMMDDTHHMMSSZ. */
export function stringToSign(parts: CanonicalParts, timestamp: string, scope: Scope): string {
  return [algorithm, timestamp, scopeText(scope), hexSha256(canonicalRequest(parts))].join('\n')
}

export function signingKey(secretKey: string, scope: Scope): Buffer {
  const date = hmac(`AWS4${secretKey}`, scope.date)
  return hmac(hmac(hmac(date, scope.region), scope.service), 'aws4_request')
}

/** Hex signature of a string with a signing key. */
export function sign(key: Buffer, text: string): string {
  return hmac(key, text).toString('hex')
}

/** The string that one chunk of a STREAMING-AWS4-HMAC-SHA256-PAYLOAD body is signed by. */
export function chunkStringToSign(timestamp: string, scope: Scope, previous: string, chunkSha256: string): string {
  return [`${algorithm}-PAYLOAD`, timestamp, scopeText(scope), previous, emptySha256, chunkSha256].join('\n')
}

/** The string that the trailer of a STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER body is signed by. */
export function trailerStringToSign(timestamp: string, scope: Scope, previous: string, trailer: string): string {
  return [`${algorithm}-TRAILER`, timestamp, scopeText(scope), previous, hexSha256(trailer)].join('\n')
}

/** YYYYMMDDTHHMMSSZ */
export function amzTimestamp(ms: number): string {
  return `${new Date(ms).toISOString().replaceAll(/[-:]/g, '').slice(0, 15)}Z`
}

/** Milliseconds of YYYYMMDDTHHMMSSZ, or undefined where it is none. */
export function parseAmzTimestamp(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const ms = Date.UTC(year, month - 1, day, hour, minute, second)
  return Number.isNaN(ms) ? undefined : ms
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function hexSha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
