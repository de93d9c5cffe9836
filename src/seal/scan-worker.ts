import { parentPort, workerData } from 'node:worker_threads'
import { scanRaw, type RawScan } from './raw-scan.ts'

const scan = workerData as RawScan
// What crosses threads is no Buffer any more.
const needles = scan.needles.map(({ name, bytes }) => ({ name, bytes: Buffer.from(bytes) }))
parentPort?.postMessage(await scanRaw({ ...scan, needles }))
