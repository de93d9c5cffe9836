import { Worker } from 'node:worker_threads'
import { InterruptedError } from '../errors.ts'

/**
 * Whether threads can be started from here: not from source, for a thread of Node 20 cannot load TypeScript. `url` is the
 * caller's `import.meta.url`.
 */
export function canWorkAside(url: string): boolean {
  return !url.endsWith('.ts')
}

/**
 * Runs a script that posts one message in a thread of its own, so that what else is done meanwhile has a core too, and
 * resolves with the message. Throws what the script throws, InterruptedError.
 */
export async function workAside<T>(script: URL, workerData: unknown, signal: AbortSignal | undefined): Promise<T> {
  if (signal?.aborted === true) throw new InterruptedError()
  const worker = new Worker(script, { workerData })
  const interrupt = () => void worker.terminate()
  signal?.addEventListener('abort', interrupt)
  try {
    return await new Promise<T>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', () =>
        reject(signal?.aborted === true ? new InterruptedError() : new Error(`${script.pathname} ended`)),
      )
    })
  } finally {
    signal?.removeEventListener('abort', interrupt)
    await worker.terminate()
  }
}
