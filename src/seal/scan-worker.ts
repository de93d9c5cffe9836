import { parentPort, workerData } from 'node:worker_threads'
import { scanRaw, type RawScan, type RawScanResult } from './raw-scan.ts'

const results: RawScanResult[] = []
for (const scan of workerData as readonly RawScan[]) {
  // What crosses threads is no Buffer any more.
  const needles = scan.needles.map(({ name, bytes }) => ({ name, bytes: Buffer.from(bytes) }))
  results.push(await scanRaw({ ...scan, needles }))
}
parentPort?.postMessage(results)
