import { open, type FileHandle } from 'node:fs/promises'
import { InterruptedError } from '../errors.ts'
import { MultiSearch } from './multi-search.ts'
import type { Needle } from './needles.ts'
import { intersectRanges, mergeRanges, type ByteRange } from '../disk/ranges.ts'
import { findSecrets, reach, type SecretMatch } from './secret-rules.ts'

/** Small enough that a signal or a timer never waits for long, large enough that calls cost nothing. */
const chunkBytes = 1 << 20

/** One needle says no more by more places. */
const placesPerNeedle = 4

export interface RawScan {
  /** The file of plain bytes. */
  readonly path: string
  readonly ranges: readonly ByteRange[]
  readonly needles: readonly Needle[]
  /** What must be nothing but zeros. */
  readonly unused?: readonly ByteRange[]
  /** Whether to look for secrets by their form too. */
  readonly forms?: boolean
  readonly signal?: AbortSignal
}

export interface RawScanResult {
  readonly hits: readonly { readonly needle: Needle; readonly offset: number }[]
  /** Unused bytes that are not zero, to whole 512-byte sectors. */
  readonly leftovers: readonly ByteRange[]
  /** Secrets by their form; their index counts from the disk's beginning. */
  readonly secrets: readonly SecretMatch[]
  readonly bytesScanned: number
}

/** Looks for needles in the given ranges of a disk, and for data where none may be. */
export async function scanRaw(scan: RawScan): Promise<RawScanResult> {
  const search = new MultiSearch(scan.needles.map(({ bytes }) => bytes))
  const unused = intersectRanges(scan.ranges, mergeRanges(scan.unused ?? []))
  const hits: { needle: Needle; offset: number }[] = []
  const leftovers: ByteRange[] = []
  const counts = new Map<number, number>()
  const secrets = new Map<string, SecretMatch>()
  const overlap = Math.max(0, search.longest - 1, scan.forms === true ? reach.before + reach.after : 0)
  let bytesScanned = 0
  let nextUnused = 0
  for await (const { bytes, fresh, offset } of readChunks(scan, overlap)) {
    bytesScanned += bytes.length - fresh
    search.search(bytes, (index, at) => {
      // What lies in the overlap alone was found before.
      const needle = scan.needles[index] as Needle
      if (at + needle.bytes.length <= fresh) return
      const count = (counts.get(index) ?? 0) + 1
      counts.set(index, count)
      if (count <= placesPerNeedle) hits.push({ needle, offset: offset + at })
    })
    if (scan.forms === true) {
      for (const match of findSecrets(bytes.toString('latin1'))) {
        secrets.set(`${match.id} ${match.index + offset}`, { ...match, index: match.index + offset })
      }
    }
    const end = offset + bytes.length
    for (let index = nextUnused; index < unused.length; index += 1) {
      const range = unused[index] as ByteRange
      if (range.start >= end) break
      if (range.start + range.length <= end) nextUnused = index + 1
      const from = Math.max(range.start, offset + fresh)
      const to = Math.min(range.start + range.length, end)
      if (to > from) leftovers.push(...nonZero(bytes.subarray(from - offset, to - offset), from))
    }
  }
  return { hits, leftovers: mergeRanges(leftovers), secrets: [...secrets.values()], bytesScanned }
}

const zeros = Buffer.alloc(chunkBytes)
const sector = 512

function nonZero(bytes: Buffer, offset: number): readonly ByteRange[] {
  if (isZero(bytes)) return []
  const found: ByteRange[] = []
  for (let at = 0; at < bytes.length; at += sector) {
    const part = bytes.subarray(at, at + sector)
    if (!isZero(part)) found.push({ start: offset + at, length: part.length })
  }
  return mergeRanges(found)
}

function isZero(bytes: Buffer): boolean {
  return bytes.compare(zeros, 0, bytes.length) === 0
}

interface Chunk {
  readonly bytes: Buffer
  /** Index of the first byte that no earlier chunk had. */
  readonly fresh: number
  /** Of `bytes` on the disk. */
  readonly offset: number
}

/** The bytes of the ranges, the next chunk being read while one is looked at. */
async function* readChunks(scan: RawScan, overlap: number): AsyncGenerator<Chunk, void, undefined> {
  const pieces = scan.ranges.flatMap(({ start, length }) => cut(start, length))
  const file = await open(scan.path, 'r')
  try {
    let tail: Buffer = Buffer.alloc(0)
    let next = readPiece(file, pieces[0])
    for (const [index, piece] of pieces.entries()) {
      const read = await next
      if (scan.signal?.aborted === true) throw new InterruptedError()
      next = readPiece(file, pieces[index + 1])
      // Awaited in the next round, or at the end.
      next.catch(() => {})
      const before = pieces[index - 1]
      if (before === undefined || before.start + before.length !== piece.start) tail = Buffer.alloc(0)
      yield { bytes: Buffer.concat([tail, read]), fresh: tail.length, offset: piece.start - tail.length }
      tail = read.subarray(Math.max(0, read.length - overlap))
    }
    await next
  } finally {
    await file.close()
  }
}

function cut(start: number, length: number): readonly ByteRange[] {
  const pieces: ByteRange[] = []
  for (let at = 0; at < length; at += chunkBytes) {
    pieces.push({ start: start + at, length: Math.min(chunkBytes, length - at) })
  }
  return pieces
}

async function readPiece(file: FileHandle, piece: ByteRange | undefined): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(piece?.length ?? 0)
  let done = 0
  while (piece !== undefined && done < piece.length) {
    const { bytesRead } = await file.read(buffer, done, piece.length - done, piece.start + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}
