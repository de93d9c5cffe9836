import { parentPort, workerData } from 'node:worker_threads'
import { digestClusters } from './contents.ts'

const { source, guests } = workerData as { readonly source: string; readonly guests: readonly number[] }
parentPort?.postMessage(await digestClusters(source, guests))
