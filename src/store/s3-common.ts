import type { PutCondition } from './object-store.ts'
import type { StoreFailure } from './store-errors.ts'

/** An ETag as ObjectInfo has it. */
export function unquoted(etag: string | undefined): string {
  return (etag ?? '').replaceAll(/^(W\/)?"|"$/g, '')
}

export function quoted(etag: string): string {
  return `"${etag}"`
}

/**
 * The ways to write an `If-Match`, likeliest first: HTTP and AWS quote the ETag, Ceph 16 wants it bare. The second is
 * tried only where the first was refused although the object still has this ETag.
 */
export function ifMatchForms(etag: string, custom: boolean): readonly string[] {
  return custom ? [etag, quoted(etag)] : [quoted(etag), etag]
}

/** Did a conditional put fail because its condition did not hold? */
export function isConflict(failure: StoreFailure, condition: PutCondition): boolean {
  // 409: AWS saw another conditional put of this key at the same time.
  if (failure.status === 412 || failure.code === 'PreconditionFailed') return true
  if (failure.status === 409 || failure.code === 'ConditionalRequestConflict')
    return failure.code !== 'OperationAborted'
  // If-Match on an object that is gone.
  return 'etag' in condition && isMissing(failure) && failure.code !== 'NoSuchBucket'
}

/** Is it that the object does not exist? */
export function isMissing(failure: StoreFailure): boolean {
  if (failure.code === 'NoSuchBucket') return false
  return failure.status === 404 || failure.code === 'NoSuchKey' || failure.code === 'NotFound'
}
