import { Worker } from 'node:worker_threads'
import { InterruptedError } from '../errors.ts'
import { scanRaw, type RawScan, type RawScanResult } from './raw-scan.ts'

/** `scanRaw` in a thread of its own, so that what else is done meanwhile has a core too. */
export async function scanAside(scan: RawScan): Promise<RawScanResult> {
  // From source: a worker of Node 20 cannot load TypeScript.
  if (import.meta.url.endsWith('.ts')) return scanRaw(scan)
  const { signal, ...data } = scan
  if (signal?.aborted === true) throw new InterruptedError()
  const worker = new Worker(new URL('scan-worker.js', import.meta.url), { workerData: data })
  const interrupt = () => void worker.terminate()
  signal?.addEventListener('abort', interrupt)
  try {
    return await new Promise<RawScanResult>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', () => reject(signal?.aborted === true ? new InterruptedError() : new Error('the scan ended')))
    })
  } finally {
    signal?.removeEventListener('abort', interrupt)
    await worker.terminate()
  }
}
