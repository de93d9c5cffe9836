import { clusterBytes } from './clusters.ts'
import type { ClusterCompressor } from './compress.ts'

/** Clusters that one process compresses. */
const batchClusters = 48

/** Compresses batches of clusters side by side. */
export class Lanes {
  compressed = 0
  /** How many clusters may wait, so that all lanes have work and memory stays bounded. */
  readonly room: number
  readonly #compressor: ClusterCompressor
  readonly #lanes: Promise<unknown>[]
  #batch: { readonly bytes: Buffer; readonly done: (frames: Promise<Buffer>) => void }[] = []

  constructor(compressor: ClusterCompressor, count: number) {
    this.#compressor = compressor
    this.#lanes = Array.from({ length: count }, () => Promise.resolve())
    this.room = batchClusters * (count + 2)
  }

  compress(bytes: Buffer): Promise<Buffer> {
    const result = new Promise<Buffer>((resolve) => this.#batch.push({ bytes, done: resolve }))
    // Whoever waits for it hears of a failure; after another one nobody does.
    result.catch(() => {})
    this.compressed += 1
    if (this.#batch.length >= batchClusters) this.flush()
    return result
  }

  async compressNow(bytes: Buffer): Promise<Buffer> {
    const frame = this.compress(bytes)
    this.flush()
    return frame
  }

  flush(): void {
    const batch = this.#batch
    if (batch.length === 0) return
    this.#batch = []
    const lane = this.#lanes.shift() ?? Promise.resolve()
    const clusters = batch.map(({ bytes }) => bytes)
    const frames = lane.then(() => this.#compressor.compress(clusters))
    this.#lanes.push(frames.catch(() => {}))
    for (const [at, { bytes, done }] of batch.entries()) {
      done(
        frames.then((all) => {
          const frame = all[at] as Buffer
          return frame.length < clusterBytes ? frame : bytes
        }),
      )
    }
  }
}
