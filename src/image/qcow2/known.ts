import { clusterDigest, type ClusterIndex, type StoredCluster } from './cluster-index.ts'
import { clusterBytes, readFully } from './clusters.ts'

/** Finds clusters in other images. */
export class KnownClusters {
  copied = 0
  readonly #places = new Map<string, { readonly file: number; readonly cluster: StoredCluster }>()
  readonly #buffer = Buffer.allocUnsafe(clusterBytes)

  constructor(references: readonly { readonly file: number; readonly index: ClusterIndex }[]) {
    for (const { file, index } of references) {
      for (const cluster of index.clusters) {
        if (cluster.length > 0 && cluster.length <= clusterBytes) this.#places.set(cluster.content, { file, cluster })
      }
    }
  }

  has(content: string): boolean {
    return this.#places.has(content)
  }

  /** The stored bytes, good until the next call, and their digest; undefined where somebody has written to the file since. */
  read(content: string): { readonly bytes: Buffer; readonly stored: string } | undefined {
    const place = this.#places.get(content)
    if (place === undefined) return undefined
    const { length, offset, stored } = place.cluster
    const bytes = readFully(place.file, this.#buffer.subarray(0, length), offset)
    if (clusterDigest(bytes) !== stored) return undefined
    this.copied += 1
    return { bytes, stored }
  }
}
