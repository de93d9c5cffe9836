import { statfs } from 'node:fs/promises'

const gibibyte = 1024 ** 3

/** What a file system has, in bytes. */
export interface Space {
  readonly totalBytes: number
  /** What this user may still write. */
  readonly freeBytes: number
}

/** What the file system that holds a path has. */
export async function spaceAt(path: string): Promise<Space> {
  const { blocks, bavail, bsize } = await statfs(path)
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
}

/** The bound of kept states where none is configured: 20 GiB or a fifth of the file system, whichever is less. */
export function defaultBound(space: Space): number {
  return Math.min(20 * gibibyte, Math.floor(space.totalBytes / 5))
}

/** What a cache leaves free for others: 2 GiB or a tenth of the file system, whichever is less. */
export function leastFree(space: Space): number {
  return Math.min(2 * gibibyte, Math.floor(space.totalBytes / 10))
}

/** Bytes by which the file system is fuller than a cache may make it. */
export function missingBytes(space: Space): number {
  return Math.max(0, leastFree(space) - space.freeBytes)
}
