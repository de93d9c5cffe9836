import type { PutCondition } from './object-store.ts'
import type { StoreFailure } from './store-errors.ts'

/** An ETag as ObjectInfo has it. */
export function unquoted(etag: string | undefined): string {
  return (etag ?? '').replaceAll(/^(W\/)?"|"$/g, '')
}

export function quoted(etag: string): string {
  return `"${etag}"`
}

/** Did a conditional put fail because its condition did not hold? */
export function isConflict(failure: StoreFailure, condition: PutCondition): boolean {
  if (failure.status === 412 || failure.code === 'PreconditionFailed') return true
  // If-Match on an object that is gone.
  return 'etag' in condition && isMissing(failure)
}

/** Is it that the object does not exist? */
export function isMissing(failure: StoreFailure): boolean {
  if (failure.code === 'NoSuchBucket' || failure.code === 'NoSuchUpload') return false
  return failure.status === 404 || failure.code === 'NoSuchKey' || failure.code === 'NotFound'
}

const transientCodes = [
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'TimeoutError', 'SlowDown', 'InternalError'],
  // AWS: another conditional put of this key at the same time.
  ...['ConditionalRequestConflict', 'OperationAborted'],
]

/** May the same request succeed if it is repeated? It may also have taken effect already. */
export function isTransient(failure: StoreFailure): boolean {
  const { status = 0, code = '' } = failure
  return (status >= 500 && status !== 501 && status !== 507) || transientCodes.includes(code)
}
