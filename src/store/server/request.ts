import type { IncomingMessage } from 'node:http'
import { S3Problem } from './s3-problem.ts'

/** A request, taken apart and decoded once. */
export interface S3Request {
  readonly raw: IncomingMessage
  readonly method: string
  /** Decoded. */
  readonly path: string
  /** Decoded, in the order sent. */
  readonly query: readonly (readonly [string, string])[]
  /** Lower-case names; several values of one name joined by commas, as they are signed. */
  readonly headers: ReadonlyMap<string, string>
}

export function readRequest(raw: IncomingMessage): S3Request {
  const [path = '/', ...rest] = (raw.url ?? '/').split('?')
  const query = rest.join('?')
  const headers = new Map<string, string>()
  for (let index = 0; index + 1 < raw.rawHeaders.length; index += 2) {
    const name = (raw.rawHeaders[index] ?? '').toLowerCase()
    const value = (raw.rawHeaders[index + 1] ?? '').trim()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before},${value}`)
  }
  return {
    raw,
    method: raw.method ?? 'GET',
    path: decode(path),
    query: query.split('&').flatMap((pair): (readonly [string, string])[] => {
      if (pair === '') return []
      const [name = '', ...value] = pair.split('=')
      return [[decode(name), decode(value.join('='))]]
    }),
    headers,
  }
}

/** The first value of a query parameter; undefined where it is not there, empty where it has none. */
export function queryValue(request: S3Request, name: string): string | undefined {
  return request.query.find(([each]) => each === name)?.[1]
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new S3Problem('InvalidArgument', 'The URL is not encoded as it should be.')
  }
}
