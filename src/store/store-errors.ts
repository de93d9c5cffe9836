import { InterruptedError, messageOf, UserError } from '../errors.ts'
import { isSafeKey } from './keys.ts'

/** The codes of ObjectStore's errors. */
export type StoreErrorCode = 'store-unreachable' | 'store-denied' | 'store-no-bucket' | 'store-full' | 'store-failed'

/** What was tried, for messages. */
export interface StoreAction {
  /** The store's URL, without secrets. */
  readonly url: string
  /** e.g. `read`, `write`, `list`, `delete`. */
  readonly verb: string
  readonly key?: string
  readonly signal?: AbortSignal | undefined
}

/** What an adapter knows about a failure. */
export interface StoreFailure {
  /** HTTP status, if there was an answer. */
  readonly status?: number | undefined
  /** S3's or Node's error code. */
  readonly code?: string | undefined
  readonly message?: string | undefined
}

const unreachableCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
  'TimeoutError',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'EPROTO',
])
const deniedCodes = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'RequestTimeTooSkewed',
  'ExpiredToken',
  'InvalidToken',
  'CredentialsProviderError',
  'AccessKeyRequiredError',
  'SecretKeyRequiredError',
  'EACCES',
  'EPERM',
  'EROFS',
])
const fullCodes = new Set([
  'QuotaExceeded',
  'StorageFull',
  'XMinioStorageFull',
  'InsufficientCapacity',
  'ENOSPC',
  'EDQUOT',
])

/** Which of ObjectStore's codes a failure is. Pure. */
export function classifyStoreFailure(failure: StoreFailure): StoreErrorCode {
  const { status, code = '' } = failure
  if (code === 'NoSuchBucket') return 'store-no-bucket'
  if (fullCodes.has(code) || status === 507) return 'store-full'
  if (unreachableCodes.has(code)) return 'store-unreachable'
  if (deniedCodes.has(code) || status === 401 || status === 403) return 'store-denied'
  return 'store-failed'
}

const hints: Readonly<Record<StoreErrorCode, string | undefined>> = {
  'store-unreachable': `check the address and that the server runs; the embedded one is started by 'parbake store serve'`,
  'store-denied':
    'check the access key and secret key in the environment (README, "Object store") and what they may do: ' +
    `'parbake store policy' prints what is needed`,
  'store-no-bucket': 'create the bucket, or correct its name in the store URL',
  'store-full': 'make room in the store, or raise its quota; nothing that was there before has changed',
  'store-failed': undefined,
}

const reasons: Readonly<Record<StoreErrorCode, string>> = {
  'store-unreachable': 'cannot be reached',
  'store-denied': 'refused access',
  'store-no-bucket': 'has no such bucket',
  'store-full': 'is full',
  'store-failed': 'failed',
}

/** Turns whatever an adapter caught into what ObjectStore promises to throw. */
export function storeError(action: StoreAction, error: unknown): Error {
  if (action.signal?.aborted === true) return new InterruptedError()
  if (error instanceof UserError || error instanceof InterruptedError) return error
  const failure = failureOf(error)
  const code = classifyStoreFailure(failure)
  const what = action.key === undefined ? action.verb : `${action.verb} ${action.key}`
  const detail = [failure.code, failure.message].filter((part) => part !== undefined && part !== '').join(': ')
  const clock = failure.code === 'RequestTimeTooSkewed' ? 'set the clock of this machine' : undefined
  const hint = clock ?? hints[code]
  return new UserError(`store ${action.url} ${reasons[code]} (${what})${detail === '' ? '' : `: ${detail}`}`, {
    code,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  })
}

/**
 * Runs one call of a store: refuses unsafe keys and a signal that has fired, and turns what is thrown into what ObjectStore
 * promises. `explain` may make more of an error first.
 */
export async function guarded<T>(
  action: StoreAction,
  work: () => Promise<T>,
  explain: (error: unknown) => unknown = (error) => error,
): Promise<T> {
  try {
    if (action.key !== undefined) checkKey(action.url, action.key)
    action.signal?.throwIfAborted()
    return await work()
  } catch (error) {
    throw storeError(action, explain(error))
  }
}

/** Reads status and code out of the error classes of the AWS SDK, the minio client and Node. */
export function failureOf(error: unknown): StoreFailure {
  if (!(error instanceof Error)) return { message: String(error) }
  const fields = error as Error & {
    readonly code?: unknown
    readonly Code?: unknown
    readonly $metadata?: { readonly httpStatusCode?: number }
    readonly errors?: readonly unknown[]
    readonly statusCode?: unknown
  }
  // Node tries several addresses and then throws an AggregateError without a message.
  const first = fields.errors?.[0]
  if (error instanceof AggregateError && first instanceof Error) return failureOf(first)
  const status =
    fields.$metadata?.httpStatusCode ?? (typeof fields.statusCode === 'number' ? fields.statusCode : undefined)
  const code = [fields.code, fields.Code].find((value) => typeof value === 'string')
  return { status, code: code ?? (error.name === 'Error' ? undefined : error.name), message: messageOf(error) }
}

/** Throws for keys that not every store and signer treats alike; `isSafeKey` says which those are. */
export function checkKey(url: string, key: string): void {
  if (isSafeKey(key)) return
  throw new UserError(`'${key}' cannot be a key in store ${url}`, {
    code: 'store-failed',
    hint: 'keys are made of [A-Za-z0-9._=/-], without empty, . and .. parts',
  })
}
