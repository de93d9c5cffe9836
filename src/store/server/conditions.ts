import type { ObjectInfo, PutCondition } from '../object-store.ts'
import { unquoted } from '../s3-common.ts'
import type { S3Request } from './request.ts'
import { S3Problem } from './s3-problem.ts'

/** What a GET or HEAD is to be answered with. */
export type ReadVerdict = 'send' | 'not-modified'

/** HTTP's preconditions of reads, in the order of RFC 9110; throws PreconditionFailed. */
export function checkReadConditions(request: S3Request, info: ObjectInfo): ReadVerdict {
  const modifiedSeconds = Math.floor(info.modifiedMs / 1000)
  const ifMatch = request.headers.get('if-match')
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, info.etag)) throw new S3Problem('PreconditionFailed')
  } else {
    const since = httpSeconds(request.headers.get('if-unmodified-since'))
    if (since !== undefined && modifiedSeconds > since) throw new S3Problem('PreconditionFailed')
  }
  const ifNoneMatch = request.headers.get('if-none-match')
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, info.etag) ? 'not-modified' : 'send'
  const since = httpSeconds(request.headers.get('if-modified-since'))
  return since !== undefined && modifiedSeconds <= since ? 'not-modified' : 'send'
}

/** The condition of a put; S3 knows `If-None-Match: *` and `If-Match: <etag>` only. */
export function putCondition(request: S3Request): PutCondition | undefined {
  const ifNoneMatch = request.headers.get('if-none-match')
  const ifMatch = request.headers.get('if-match')
  if (ifNoneMatch !== undefined && ifMatch !== undefined) {
    throw new S3Problem('InvalidRequest', 'If-Match and If-None-Match exclude each other.')
  }
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch !== '*') throw new S3Problem('NotImplemented', 'A put takes If-None-Match: * only.')
    return { absent: true }
  }
  return ifMatch === undefined ? undefined : { etag: unquoted(ifMatch) }
}

function matches(list: string, etag: string): boolean {
  return list.split(',').some((each) => each.trim() === '*' || unquoted(each.trim()) === etag)
}

function httpSeconds(date: string | undefined): number | undefined {
  const ms = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000)
}

/** Bytes that a Range header asks for; undefined to send all (no range, or one that HTTP says to ignore). */
export function requestedRange(header: string | undefined, size: number): { start: number; end: number } | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  const [first, second] = [match[1] ?? '', match[2] ?? '']
  const start = first === '' ? Math.max(0, size - Number(second)) : Number(first)
  const end = first === '' || second === '' ? size - 1 : Math.min(Number(second), size - 1)
  if (first !== '' && second !== '' && Number(second) < start) return undefined
  if (start > end) throw new S3Problem('InvalidRange')
  return { start, end }
}
