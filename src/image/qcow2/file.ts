import { ftruncateSync, writeSync } from 'node:fs'
import { Allocator } from './allocate.ts'
import { clusterDigest, type ClusterIndex, type StoredCluster } from './cluster-index.ts'
import { clusterBits, clusterBytes } from './clusters.ts'
import { compressedEntry, encodeHeader, encodeRefcounts, encodeTable, plainEntry, zeroEntry } from './format.ts'

/** The file that is written. */
export class Qcow2File {
  readonly #file: number
  readonly #sizeBytes: number
  readonly #places = new Allocator(clusterBytes)
  readonly #entries = new Map<number, bigint>()
  readonly #left = new Set<number>()
  readonly #clusters: StoredCluster[] = []

  constructor(file: number, sizeBytes: number) {
    this.#file = file
    this.#sizeBytes = sizeBytes
  }

  append(guest: number, content: string, bytes: Buffer, stored = clusterDigest(bytes)): void {
    const isPlain = bytes.length === clusterBytes
    const offset = isPlain ? this.#places.whole(1) : this.#places.packed(bytes.length)
    this.#write(bytes, offset)
    this.#entries.set(guest, isPlain ? plainEntry(offset) : compressedEntry(offset, bytes.length, clusterBits))
    this.#clusters.push({ guest, content, offset, length: bytes.length, stored })
  }

  /** The backing file has it. */
  leave(guest: number): void {
    this.#left.add(guest)
  }

  /** It is zeros here, whatever the backing file has. */
  clear(guest: number): void {
    if (!this.#entries.has(guest) && !this.#left.has(guest)) this.#entries.set(guest, zeroEntry)
  }

  /** Writes the tables, and the header last: until then it is no qcow2 file. Resolves with its size in bytes. */
  finish(backing: string | undefined): number {
    const perTable = clusterBytes / 8
    const tables = Math.ceil(Math.ceil(this.#sizeBytes / clusterBytes) / perTable)
    const l1: bigint[] = []
    for (let table = 0; table < tables; table += 1) {
      const entries = Array.from({ length: perTable }, (_, at) => this.#entries.get(table * perTable + at) ?? 0n)
      if (entries.every((entry) => entry === 0n)) {
        l1.push(0n)
        continue
      }
      const offset = this.#places.whole(1)
      this.#write(encodeTable(entries, clusterBytes), offset)
      l1.push(plainEntry(offset))
    }
    const l1Table = encodeTable(l1, clusterBytes)
    const l1Offset = this.#places.whole(l1Table.length / clusterBytes)
    this.#write(l1Table, l1Offset)
    const refcounts = this.#writeRefcounts()
    const header = encodeHeader({
      ...{ clusterBits, sizeBytes: this.#sizeBytes, refcounts },
      l1: { offset: l1Offset, entries: tables },
      ...(backing === undefined ? {} : { backing: { name: backing, format: 'qcow2' } }),
    })
    const sizeBytes = this.#places.clusters * clusterBytes
    ftruncateSync(this.#file, sizeBytes)
    this.#write(header, 0)
    return sizeBytes
  }

  #writeRefcounts(): { readonly offset: number; readonly clusters: number } {
    const perBlock = clusterBytes / 2
    // They count themselves too: one block is for so many clusters that another round is enough.
    const blocksFor = (clusters: number) => Math.ceil(clusters / perBlock)
    const table = (blocks: number) => Math.ceil((blocks * 8) / clusterBytes)
    let blocks = blocksFor(this.#places.clusters + 1)
    while (blocksFor(this.#places.clusters + table(blocks) + blocks) > blocks) blocks += 1
    const clusters = table(blocks)
    const offset = this.#places.whole(clusters)
    const first = this.#places.whole(blocks)
    const entries = Array.from({ length: blocks }, (_, at) => BigInt(first + at * clusterBytes))
    this.#write(encodeTable(entries, clusterBytes), offset)
    this.#write(encodeRefcounts(this.#places.counts(), clusterBytes), first)
    return { offset, clusters }
  }

  #write(bytes: Buffer, offset: number): void {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#file, bytes, done, bytes.length - done, offset + done)
    }
  }

  index(): ClusterIndex {
    return { clusterBytes, clusters: this.#clusters }
  }
}
