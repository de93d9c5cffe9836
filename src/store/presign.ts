import { UserError } from '../errors.ts'
import {
  algorithm,
  amzTimestamp,
  canonicalQuery,
  type Scope,
  scopeText,
  sign,
  signingKey,
  stringToSign,
  unsignedPayload,
  uriEncode,
} from './sigv4.ts'

export interface PresignRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE'
  /** The object's URL as the host will ask for it, with any query of its own. */
  readonly url: string
  readonly accessKey: string
  readonly secretKey: string
  /** Of temporary credentials: the URL dies with them. */
  readonly sessionToken?: string
  readonly region: string
  /** 1 to 604800 (7 days). */
  readonly expiresSeconds: number
  readonly nowMs: number
}

export const maxPresignSeconds = 604_800

/** A URL that lets whoever has it do one thing for a while, without credentials. Pure. */
export function presignUrl(request: PresignRequest): string {
  const { expiresSeconds } = request
  if (!Number.isInteger(expiresSeconds) || expiresSeconds < 1 || expiresSeconds > maxPresignSeconds) {
    throw new UserError(`a presigned URL cannot last ${expiresSeconds} s`, {
      exitCode: 2,
      hint: `1 to ${maxPresignSeconds} s (7 days) can be signed`,
    })
  }
  const url = new URL(request.url)
  const timestamp = amzTimestamp(request.nowMs)
  const scope: Scope = { date: timestamp.slice(0, 8), region: request.region, service: 's3' }
  const query: (readonly [string, string])[] = [
    ...url.searchParams,
    ['X-Amz-Algorithm', algorithm],
    ['X-Amz-Credential', `${request.accessKey}/${scopeText(scope)}`],
    ['X-Amz-Date', timestamp],
    ['X-Amz-Expires', String(expiresSeconds)],
    ['X-Amz-SignedHeaders', 'host'],
  ]
  if (request.sessionToken !== undefined) query.push(['X-Amz-Security-Token', request.sessionToken])
  const path = decodeURIComponent(url.pathname)
  const parts = {
    method: request.method,
    path,
    query,
    headers: [['host', url.host]] as const,
    payloadHash: unsignedPayload,
  }
  const signature = sign(signingKey(request.secretKey, scope), stringToSign(parts, timestamp, scope))
  return `${url.origin}${uriEncode(path, true)}?${canonicalQuery(query)}&X-Amz-Signature=${signature}`
}
