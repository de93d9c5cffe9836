import { touchedClusters } from './format.ts'

/**
 * Hands out places of a qcow2 file that only grows, and counts who refers to each of its clusters. Compressed clusters lie
 * close together; where a plain one, which begins at a cluster of the file, comes between, the gap before it is filled later.
 */
export class Allocator {
  readonly #clusterBytes: number
  readonly #counts: number[]
  #next: number
  #packAt: number
  #packEnd: number

  constructor(clusterBytes: number) {
    this.#clusterBytes = clusterBytes
    // The header.
    this.#counts = [1]
    this.#next = clusterBytes
    this.#packAt = clusterBytes
    this.#packEnd = clusterBytes
  }

  /** Offset for a compressed cluster of so many bytes. */
  packed(length: number): number {
    if (this.#packAt + length > this.#packEnd) {
      // Nothing in between: it goes on into the next cluster of the file.
      if (this.#packEnd !== this.#next) this.#packAt = this.#next
      const missing = Math.ceil((this.#packAt + length - this.#next) / this.#clusterBytes)
      this.#next += missing * this.#clusterBytes
      this.#packEnd = this.#next
    }
    const offset = this.#packAt
    this.#packAt += length
    const [first, last] = touchedClusters(offset, length, this.#clusterBytes)
    for (let cluster = first; cluster <= last; cluster += 1) {
      this.#counts[cluster] = (this.#counts[cluster] ?? 0) + 1
    }
    return offset
  }

  /** Offset for whole clusters, to which one thing refers. */
  whole(clusters: number): number {
    const offset = this.#next
    this.#next += clusters * this.#clusterBytes
    for (let at = offset; at < this.#next; at += this.#clusterBytes) this.#counts[at / this.#clusterBytes] = 1
    return offset
  }

  /** Clusters of the file so far. */
  get clusters(): number {
    return this.#next / this.#clusterBytes
  }

  /** References to every cluster of the file so far. */
  counts(): readonly number[] {
    return Array.from({ length: this.clusters }, (_, cluster) => this.#counts[cluster] ?? 0)
  }
}
