import { randomBytes } from 'node:crypto'
import type { ObjectStore } from './object-store.ts'

/**
 * Does this store enforce conditional puts? Some ignore the condition and let every writer win, which would lose
 * published channels and let two bakes hold one lease. Writes one small object under `leases/` and removes it.
 */
export async function probeConditionalPut(store: ObjectStore): Promise<boolean> {
  const key = `leases/probe-${randomBytes(8).toString('hex')}`
  try {
    const first = await store.put(key, 'first', { condition: { absent: true } })
    if (first.outcome !== 'stored') return false
    const again = await store.put(key, 'again', { condition: { absent: true } })
    if (again.outcome !== 'conflict') return false
    const wrong = await store.put(key, 'wrong', { condition: { etag: '00000000000000000000000000000000' } })
    if (wrong.outcome !== 'conflict') return false
    const right = await store.put(key, 'right', { condition: { etag: first.etag } })
    if (right.outcome !== 'stored') return false
    const stale = await store.put(key, 'stale', { condition: { etag: first.etag } })
    return stale.outcome === 'conflict'
  } finally {
    await store.delete(key)
  }
}
