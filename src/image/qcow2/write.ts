import { open, type FileHandle } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import type { ByteRange } from '../../disk/ranges.ts'
import { InterruptedError } from '../../errors.ts'
import { Cleanup } from '../../util/cleanup.ts'
import { Allocator } from './allocate.ts'
import { clusterDigest, type ClusterIndex, type StoredCluster } from './cluster-index.ts'
import { ClusterCompressor } from './compress.ts'
import { compressedEntry, encodeHeader, encodeRefcounts, encodeTable, plainEntry, zeroEntry } from './format.ts'

/**
 * Larger clusters compress better, but a read of any byte decompresses all of one: twice QEMU's default makes images
 * about 4 % smaller than that.
 */
const clusterBits = 17
export const clusterBytes = 1 << clusterBits

/**
 * Levels of zstd. `quick` is what can be awaited, and still 4 % smaller than QEMU's; `small` gains 3 % more for three times
 * the work, which pays where a disk is compressed once and copied from then on.
 */
const levels = { quick: 6, small: 12 } as const

/** Clusters that one process compresses. */
const batchClusters = 48

export interface WriteQcow2Options {
  /** A file of the disk's plain bytes. */
  readonly source: string
  /** Of the disk. */
  readonly sizeBytes: number
  /** Where the source holds data; all else is zeros. */
  readonly ranges: readonly ByteRange[]
  readonly target: string
  /** An existing folder for temporary files. */
  readonly workFolder: string
  readonly signal: AbortSignal
  /** `quick` by default. */
  readonly effort?: keyof typeof levels
  /** Images to copy compressed clusters from where they hold the same content; nothing in them is trusted. */
  readonly references?: readonly ClusterReference[]
  /** Leave out what this file holds already, and refer to it by `name`. */
  readonly backing?: { readonly name: string; readonly index: ClusterIndex }
  /** Gets the share done, 0 to 1. */
  readonly onProgress?: (share: number) => void
}

/** An image file and what is known of it. */
export interface ClusterReference {
  readonly path: string
  readonly index: ClusterIndex
}

export interface WrittenQcow2 {
  readonly sizeBytes: number
  /** Of the new file. */
  readonly index: ClusterIndex
  /** Clusters that were copied from a reference, and that were compressed. */
  readonly copied: number
  readonly compressed: number
}

/**
 * Writes a qcow2 file of zstd-compressed clusters: the same disk gives the same bytes, unlike with several threads of
 * `qemu-img convert`, and what another image holds already is copied instead of being compressed again. Throws UserError
 * where zstd is missing or fails, InterruptedError.
 */
export async function writeQcow2(options: WriteQcow2Options): Promise<WrittenQcow2> {
  await using stack = new Cleanup()
  const opened = async (path: string, flags: string) => {
    const file = await open(path, flags)
    stack.defer(() => file.close())
    return file
  }
  const source = await opened(options.source, 'r')
  const target = await opened(options.target, 'w')
  const references = await Promise.all(
    (options.references ?? [])
      .filter(({ index }) => index.clusterBytes === clusterBytes)
      .map(async ({ path, index }) => ({ file: await opened(path, 'r'), index })),
  )
  const compressor = stack.use(
    await ClusterCompressor.open(options.workFolder, levels[options.effort ?? 'quick'], options.signal),
  )
  const lanes = new Lanes(compressor, Math.min(4, availableParallelism()))
  const file = new Qcow2File(target, options.sizeBytes)
  const known = new KnownClusters(references)
  const beneath = new Map(options.backing?.index.clusters.map(({ guest, content }) => [guest, content]))
  const guests = clustersOf(options.ranges)
  const waiting: Waiting[] = []
  const appendFirst = async () => {
    const next = waiting.shift() as Waiting
    await file.append(next, await next.bytes)
  }
  for (const [done, guest] of guests.entries()) {
    if (options.signal.aborted) throw new InterruptedError()
    const bytes = await readCluster(source, guest)
    if (bytes.equals(zeros)) continue
    const content = clusterDigest(bytes)
    if (beneath.get(guest) === content) {
      file.leave(guest)
      continue
    }
    const there = await known.find(content)
    const stored = there === undefined ? lanes.compress(bytes) : Promise.resolve(there)
    waiting.push({ guest, content, bytes: stored })
    if (waiting.length <= lanes.room) continue
    // The first may be in a batch that would not be full for long.
    lanes.flush()
    while (waiting.length > lanes.room / 2) await appendFirst()
    options.onProgress?.(done / guests.length)
  }
  lanes.flush()
  while (waiting.length > 0) await appendFirst()
  for (const guest of beneath.keys()) file.clear(guest)
  const sizeBytes = await file.finish(options.backing?.name)
  return { sizeBytes, index: file.index(), copied: known.found, compressed: lanes.compressed }
}

/** What a disk holds, without any place to copy it from. */
export async function indexOfDisk(
  source: string,
  ranges: readonly ByteRange[],
  signal: AbortSignal,
): Promise<ClusterIndex> {
  await using stack = new Cleanup()
  const file = await open(source, 'r')
  stack.defer(() => file.close())
  const clusters: StoredCluster[] = []
  for (const guest of clustersOf(ranges)) {
    if (signal.aborted) throw new InterruptedError()
    const bytes = await readCluster(file, guest)
    if (bytes.equals(zeros)) continue
    const content = clusterDigest(bytes)
    clusters.push({ guest, content, offset: 0, length: 0, stored: content })
  }
  return { clusterBytes, clusters }
}

const zeros = Buffer.alloc(clusterBytes)

function clustersOf(ranges: readonly ByteRange[]): readonly number[] {
  const guests = new Set<number>()
  for (const { start, length } of ranges) {
    const last = Math.ceil((start + length) / clusterBytes)
    for (let guest = Math.floor(start / clusterBytes); guest < last; guest += 1) guests.add(guest)
  }
  return [...guests].toSorted((a, b) => a - b)
}

/** What lies behind the end of the disk reads as zeros. */
async function readCluster(file: FileHandle, guest: number): Promise<Buffer> {
  return readFully(file, clusterBytes, guest * clusterBytes)
}

/** So many bytes; zeros behind the end of the file. */
async function readFully(file: FileHandle, length: number, offset: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(buffer, done, length - done, offset + done)
    if (bytesRead === 0) return buffer.fill(0, done)
    done += bytesRead
  }
  return buffer
}

interface Waiting {
  readonly guest: number
  readonly content: string
  /** A zstd frame, or the cluster itself where that is no longer. */
  readonly bytes: Promise<Buffer>
}

/** Finds clusters in other images. */
class KnownClusters {
  found = 0
  readonly #places = new Map<string, { readonly file: FileHandle; readonly cluster: StoredCluster }>()

  constructor(references: readonly { readonly file: FileHandle; readonly index: ClusterIndex }[]) {
    for (const { file, index } of references) {
      for (const cluster of index.clusters) {
        if (cluster.length > 0) this.#places.set(cluster.content, { file, cluster })
      }
    }
  }

  async find(content: string): Promise<Buffer | undefined> {
    const place = this.#places.get(content)
    if (place === undefined) return undefined
    const bytes = await readFully(place.file, place.cluster.length, place.cluster.offset)
    // Somebody may have written to the file since.
    if (clusterDigest(bytes) !== place.cluster.stored) return undefined
    this.found += 1
    return bytes
  }
}

/** Compresses batches of clusters side by side. */
class Lanes {
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

/** The file that is written. */
class Qcow2File {
  readonly #file: FileHandle
  readonly #sizeBytes: number
  readonly #places = new Allocator(clusterBytes)
  readonly #entries = new Map<number, bigint>()
  readonly #left = new Set<number>()
  readonly #clusters: StoredCluster[] = []

  constructor(file: FileHandle, sizeBytes: number) {
    this.#file = file
    this.#sizeBytes = sizeBytes
  }

  async append({ guest, content }: Waiting, bytes: Buffer): Promise<void> {
    const isPlain = bytes.length === clusterBytes
    const offset = isPlain ? this.#places.whole(1) : this.#places.packed(bytes.length)
    await this.#file.write(bytes, 0, bytes.length, offset)
    this.#entries.set(guest, isPlain ? plainEntry(offset) : compressedEntry(offset, bytes.length, clusterBits))
    this.#clusters.push({ guest, content, offset, length: bytes.length, stored: clusterDigest(bytes) })
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
  async finish(backing: string | undefined): Promise<number> {
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
      await this.#write(encodeTable(entries, clusterBytes), offset)
      l1.push(plainEntry(offset))
    }
    const l1Table = encodeTable(l1, clusterBytes)
    const l1Offset = this.#places.whole(l1Table.length / clusterBytes)
    await this.#write(l1Table, l1Offset)
    const refcounts = await this.#writeRefcounts()
    const header = encodeHeader({
      ...{ clusterBits, sizeBytes: this.#sizeBytes, refcounts },
      l1: { offset: l1Offset, entries: tables },
      ...(backing === undefined ? {} : { backing: { name: backing, format: 'qcow2' } }),
    })
    const sizeBytes = this.#places.clusters * clusterBytes
    await this.#file.truncate(sizeBytes)
    await this.#write(header, 0)
    return sizeBytes
  }

  async #writeRefcounts(): Promise<{ readonly offset: number; readonly clusters: number }> {
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
    await this.#write(encodeTable(entries, clusterBytes), offset)
    await this.#write(encodeRefcounts(this.#places.counts(), clusterBytes), first)
    return { offset, clusters }
  }

  async #write(bytes: Buffer, offset: number): Promise<void> {
    await this.#file.write(bytes, 0, bytes.length, offset)
  }

  index(): ClusterIndex {
    return { clusterBytes, clusters: this.#clusters }
  }
}
