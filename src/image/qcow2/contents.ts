import { closeSync, openSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { ByteRange } from '../../disk/ranges.ts'
import { canWorkAside, workAside } from '../../util/aside.ts'
import { slices } from '../../util/slices.ts'
import { clusterDigest } from './cluster-index.ts'
import { clusterBytes, readCluster } from './clusters.ts'

/** What a disk holds in one cluster that is not all zeros. */
export interface ClusterContent {
  /** Its number on the disk. */
  readonly guest: number
  /** Digest of its bytes. */
  readonly content: string
}

/** A thread is not worth its start for fewer. */
const clustersPerThread = 256
const mostThreads = 4

/**
 * Digests of a disk's clusters, in order, from a file of its plain bytes; `ranges` is where that holds data. Uses all cores.
 * Throws InterruptedError.
 */
export async function readContents(
  source: string,
  ranges: readonly ByteRange[],
  signal: AbortSignal,
): Promise<readonly ClusterContent[]> {
  const guests = clustersOf(ranges)
  const threads = Math.min(mostThreads, availableParallelism(), Math.ceil(guests.length / clustersPerThread))
  if (threads < 2 || !canWorkAside(import.meta.url)) return digestClusters(source, guests, signal)
  const script = new URL('contents-worker.js', import.meta.url)
  const each = Math.ceil(guests.length / threads)
  const parts = await Promise.all(
    Array.from({ length: threads }, (_, at) =>
      workAside<ClusterContent[]>(script, { source, guests: guests.slice(at * each, (at + 1) * each) }, signal),
    ),
  )
  return parts.flat()
}

/** In this thread. */
export async function digestClusters(
  source: string,
  guests: readonly number[],
  signal?: AbortSignal,
): Promise<ClusterContent[]> {
  const file = openSync(source, 'r')
  try {
    const contents: ClusterContent[] = []
    const buffer = Buffer.allocUnsafe(clusterBytes)
    const pause = slices(signal)
    for (const guest of guests) {
      await pause()
      const bytes = readCluster(file, guest, buffer)
      if (!bytes.equals(zeros)) contents.push({ guest, content: clusterDigest(bytes) })
    }
    return contents
  } finally {
    closeSync(file)
  }
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
