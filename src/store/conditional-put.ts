import { setTimeout as sleep } from 'node:timers/promises'
import type { ObjectInfo, PutCondition, PutResult } from './object-store.ts'
import { isConflict, isTransient, quoted } from './s3-common.ts'
import type { StoreFailure } from './store-errors.ts'

/** The headers of one try. */
export type ConditionHeaders = { readonly 'if-none-match': '*' } | { readonly 'if-match': string }

export interface ConditionalPut {
  readonly condition: PutCondition
  readonly body: Buffer
  /** AWS quotes ETags in `If-Match`; Ceph 16 wants them bare; others take both. */
  readonly quoteFirst: boolean
  /** One put without any repetition of its own; resolves with the ETag. */
  send(headers: ConditionHeaders): Promise<string>
  head(): Promise<ObjectInfo | undefined>
  read(): Promise<Buffer | undefined>
  failureOf(error: unknown): StoreFailure
}

const tries = 5

/**
 * Puts under a condition and always finds out how it ended. A lost connection or a status of 500 says nothing about
 * whether the put took effect (Ceph 16 answers 500 to the losers of a race): then the object itself tells. Two writers of
 * equal bytes cannot be told apart by that, so what decides (leases, channels) must be unique to its writer.
 */
export async function conditionalPut(put: ConditionalPut): Promise<PutResult> {
  const forms = headerForms(put)
  let form = 0
  let uncertain = false
  for (let attempt = 1; ; attempt++) {
    const headers = forms[form]
    if (headers === undefined) return { outcome: 'conflict' }
    try {
      return { outcome: 'stored', etag: await put.send(headers) }
    } catch (error) {
      const failure = put.failureOf(error)
      const refused = isConflict(failure, put.condition)
      if (!refused && (!isTransient(failure) || attempt >= tries)) throw error
      uncertain ||= !refused
      const current = await put.head()
      if (!holds(put.condition, current)) return uncertain ? isOurs(put, current) : { outcome: 'conflict' }
      // Refused although the object is still that version: this server wants the ETag written the other way.
      if (refused) form++
      else await sleep(50 * 2 ** attempt * (0.5 + Math.random()))
    }
  }
}

function headerForms(put: ConditionalPut): readonly ConditionHeaders[] {
  if ('absent' in put.condition) return [{ 'if-none-match': '*' }]
  const { etag } = put.condition
  const forms = put.quoteFirst ? [quoted(etag), etag] : [etag, quoted(etag)]
  return forms.map((value) => ({ 'if-match': value }))
}

function holds(condition: PutCondition, current: ObjectInfo | undefined): boolean {
  return 'absent' in condition ? current === undefined : current?.etag === condition.etag
}

async function isOurs(put: ConditionalPut, current: ObjectInfo | undefined): Promise<PutResult> {
  if (current === undefined || current.sizeBytes !== put.body.length) return { outcome: 'conflict' }
  const ours = (await put.read())?.equals(put.body) === true
  return ours ? { outcome: 'stored', etag: current.etag } : { outcome: 'conflict' }
}
