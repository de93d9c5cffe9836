/**
 * The parts of the qcow2 format that an image of compressed clusters needs, as QEMU's docs/interop/qcow2.txt has them.
 * All numbers are big-endian; offsets count bytes from the beginning of the file.
 */

const magic = 0x514649fb
const headerLength = 112
const backingFormatExtension = 0xe2792aca
/** Bit 3 of the incompatible features: the header says how clusters are compressed. */
const hasCompressionType = 1n << 3n
const zstd = 1
/** Refcounts of 2 to the power of 4 bits. */
const refcountOrder = 4

/** In an L1 entry, or an L2 entry of a plain cluster: nobody else refers to it. */
const copied = 1n << 63n
const compressed = 1n << 62n

/** In a plain L2 entry: the cluster reads as zeros, whatever the backing file has there. */
export const zeroEntry = 1n

/** Compressed clusters are counted and addressed in sectors. */
export const sectorBytes = 512

export interface Qcow2Header {
  readonly clusterBits: number
  /** Of the disk. */
  readonly sizeBytes: number
  readonly l1: { readonly offset: number; readonly entries: number }
  readonly refcounts: { readonly offset: number; readonly clusters: number }
  /** Name and format of the backing file. */
  readonly backing?: { readonly name: string; readonly format: string }
}

/** The header with its extensions, one cluster long at most. Throws RangeError where the name is too long. */
export function encodeHeader(header: Qcow2Header): Buffer {
  const { backing } = header
  const extension = backing === undefined ? [] : [encodeExtension(backingFormatExtension, Buffer.from(backing.format))]
  const extensions = Buffer.concat([...extension, Buffer.alloc(8)])
  const name = Buffer.from(backing?.name ?? '')
  // The format's own limit.
  if (name.length > 1023) throw new RangeError('the name of a backing file has 1023 bytes at most')
  const fixed = Buffer.alloc(headerLength)
  fixed.writeUInt32BE(magic, 0)
  fixed.writeUInt32BE(3, 4)
  fixed.writeBigUInt64BE(BigInt(name.length === 0 ? 0 : headerLength + extensions.length), 8)
  fixed.writeUInt32BE(name.length, 16)
  fixed.writeUInt32BE(header.clusterBits, 20)
  fixed.writeBigUInt64BE(BigInt(header.sizeBytes), 24)
  fixed.writeUInt32BE(header.l1.entries, 36)
  fixed.writeBigUInt64BE(BigInt(header.l1.offset), 40)
  fixed.writeBigUInt64BE(BigInt(header.refcounts.offset), 48)
  fixed.writeUInt32BE(header.refcounts.clusters, 56)
  fixed.writeBigUInt64BE(hasCompressionType, 72)
  fixed.writeUInt32BE(refcountOrder, 96)
  fixed.writeUInt32BE(headerLength, 100)
  fixed.writeUInt8(zstd, 104)
  return Buffer.concat([fixed, extensions, name])
}

function encodeExtension(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(type, 0)
  head.writeUInt32BE(data.length, 4)
  return Buffer.concat([head, data, Buffer.alloc((8 - (data.length % 8)) % 8)])
}

/** An entry of the L1 table, or of an L2 table for a cluster that is not compressed. */
export function plainEntry(offset: number): bigint {
  return BigInt(offset) | copied
}

/** The L2 entry of a compressed cluster of `length` bytes. */
export function compressedEntry(offset: number, length: number, clusterBits: number): bigint {
  const offsetBits = 62 - (clusterBits - 8)
  return compressed | (BigInt(sectorsOf(offset, length) - 1) << BigInt(offsetBits)) | BigInt(offset)
}

/** How many sectors a range touches. */
function sectorsOf(offset: number, length: number): number {
  return Math.ceil(((offset % sectorBytes) + length) / sectorBytes)
}

/** The host clusters that an entry of a compressed cluster refers to, as whole sectors. */
export function touchedClusters(offset: number, length: number, clusterBytes: number): readonly [number, number] {
  const end = offset - (offset % sectorBytes) + sectorsOf(offset, length) * sectorBytes
  return [Math.floor(offset / clusterBytes), Math.floor((end - 1) / clusterBytes)]
}

/** A table of 64-bit entries, padded with zeros to whole clusters. */
export function encodeTable(entries: readonly bigint[], clusterBytes: number): Buffer {
  const table = Buffer.alloc(Math.max(1, Math.ceil((entries.length * 8) / clusterBytes)) * clusterBytes)
  for (const [index, entry] of entries.entries()) table.writeBigUInt64BE(entry, index * 8)
  return table
}

/** Blocks of 16-bit refcounts, padded with zeros to whole clusters. */
export function encodeRefcounts(counts: readonly number[], clusterBytes: number): Buffer {
  const blocks = Buffer.alloc(Math.ceil((counts.length * 2) / clusterBytes) * clusterBytes)
  for (const [index, count] of counts.entries()) blocks.writeUInt16BE(count, index * 2)
  return blocks
}
