import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { InterruptedError } from '../errors.ts'

/** Milliseconds of work between two looks at signals and timers. Calls that do not wait cost several times as much. */
const sliceMs = 10

/**
 * For long work in calls that do not wait: the function it gives is awaited again and again, gives way to signals and timers
 * every few milliseconds, and throws InterruptedError.
 */
export function slices(signal: AbortSignal | undefined): () => Promise<void> {
  let until = performance.now() + sliceMs
  return async () => {
    if (performance.now() <= until) return
    await yieldToOthers()
    if (signal?.aborted === true) throw new InterruptedError()
    until = performance.now() + sliceMs
  }
}
