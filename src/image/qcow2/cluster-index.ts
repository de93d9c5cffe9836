import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { writeFileAtomic } from '../../system/atomic-file.ts'

/** Where an image file holds one cluster of its disk. */
export interface StoredCluster {
  /** Its number on the disk. */
  readonly guest: number
  /** Digest of its content. */
  readonly content: string
  /** In the image file; length 0 where that does not hold it so that it could be copied. */
  readonly offset: number
  readonly length: number
  /** Digest of the stored bytes: whoever copies them looks whether they are still those. */
  readonly stored: string
}

/** What is known of an image's clusters, zeros left out. */
export interface ClusterIndex {
  readonly clusterBytes: number
  readonly clusters: readonly StoredCluster[]
}

/** 128 bits of a SHA-256, as Latin-1 text: a key of a map. */
export function clusterDigest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest().toString('latin1', 0, digestBytes)
}

/** Where the index of an image file lies. */
export function clustersBeside(image: string): string {
  return `${image.replace(/\.qcow2$/, '')}.clusters`
}

const magic = 'PBCLUST1'
const digestBytes = 16
const headBytes = 16
const entryBytes = 48

/** Writes the index beside its image. What a loss of power leaves of it is not taken for one. */
export async function writeClusterIndex(path: string, index: ClusterIndex): Promise<void> {
  const bytes = Buffer.alloc(headBytes + index.clusters.length * entryBytes)
  bytes.write(magic, 0, 'latin1')
  bytes.writeUInt32BE(index.clusterBytes, 8)
  bytes.writeUInt32BE(index.clusters.length, 12)
  for (const [at, { guest, content, offset, length, stored }] of index.clusters.entries()) {
    const start = headBytes + at * entryBytes
    bytes.writeUInt32BE(guest, start)
    bytes.writeUInt32BE(length, start + 4)
    bytes.writeBigUInt64BE(BigInt(offset), start + 8)
    bytes.write(content, start + 16, 'latin1')
    bytes.write(stored, start + 16 + digestBytes, 'latin1')
  }
  await writeFileAtomic(path, bytes, 0o644, { durable: false })
}

/** The index of a file, or undefined where there is none or it is not whole. */
export async function readClusterIndex(path: string): Promise<ClusterIndex | undefined> {
  const bytes = await readFile(path).catch(() => undefined)
  if (bytes === undefined || bytes.length < headBytes || bytes.toString('latin1', 0, 8) !== magic) return undefined
  const count = bytes.readUInt32BE(12)
  if (bytes.length !== headBytes + count * entryBytes) return undefined
  const clusters = Array.from({ length: count }, (_, at) => {
    const start = headBytes + at * entryBytes
    return {
      guest: bytes.readUInt32BE(start),
      length: bytes.readUInt32BE(start + 4),
      offset: Number(bytes.readBigUInt64BE(start + 8)),
      content: bytes.toString('latin1', start + 16, start + 16 + digestBytes),
      stored: bytes.toString('latin1', start + 16 + digestBytes, start + entryBytes),
    }
  })
  return { clusterBytes: bytes.readUInt32BE(8), clusters }
}
