import { closeSync, openSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Cleanup } from '../../util/cleanup.ts'
import { slices } from '../../util/slices.ts'
import type { ClusterIndex } from './cluster-index.ts'
import { clusterBytes, readCluster } from './clusters.ts'
import { ClusterCompressor } from './compress.ts'
import type { ClusterContent } from './contents.ts'
import { Qcow2File } from './file.ts'
import { KnownClusters } from './known.ts'
import { Lanes } from './lanes.ts'

/**
 * Levels of zstd. `quick` is what can be awaited, and still 4 % smaller than QEMU's; `small` gains 3 % more for three times
 * the work, which pays where a disk is compressed once and copied from then on.
 */
const levels = { quick: 6, small: 12 } as const

export interface WriteQcow2Options {
  /** A file of the disk's plain bytes. */
  readonly source: string
  /** Of the disk. */
  readonly sizeBytes: number
  /** What `readContents` found in the source, which nobody has changed since; all else is zeros. */
  readonly contents: readonly ClusterContent[]
  readonly target: string
  /** An existing folder for temporary files. */
  readonly workFolder: string
  readonly signal: AbortSignal
  /** `quick` by default. */
  readonly effort?: keyof typeof levels
  /** Images to copy compressed clusters from where they hold the same content; nothing in them is trusted. */
  readonly references?: readonly ClusterReference[]
  /** Leave out what this file holds already, and refer to it by `name`. */
  readonly backing?: { readonly name: string; readonly contents: readonly ClusterContent[] }
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
  const opened = (path: string, flags: string) => {
    const file = openSync(path, flags)
    stack.defer(() => closeSync(file))
    return file
  }
  const source = opened(options.source, 'r')
  const target = opened(options.target, 'w')
  const references = (options.references ?? [])
    .filter(({ index }) => index.clusterBytes === clusterBytes)
    .map(({ path, index }) => ({ file: opened(path, 'r'), index }))
  const compressor = stack.use(
    await ClusterCompressor.open(options.workFolder, levels[options.effort ?? 'quick'], options.signal),
  )
  const lanes = new Lanes(compressor, Math.min(4, availableParallelism()))
  const file = new Qcow2File(target, options.sizeBytes)
  const known = new KnownClusters(references)
  const beneath = new Map(options.backing?.contents.map(({ guest, content }) => [guest, content]))
  const waiting: Waiting[] = []
  let compressing = 0
  const appendFirst = async () => {
    const { guest, content, frame } = waiting.shift() as Waiting
    const copy = frame === undefined ? known.read(content) : undefined
    if (frame !== undefined) compressing -= 1
    if (copy !== undefined) file.append(guest, content, copy.bytes, copy.stored)
    // Where a copy is no longer what it was, the source still is.
    else file.append(guest, content, await (frame ?? lanes.compressNow(readCluster(source, guest))))
  }
  const pause = slices(options.signal)
  for (const [done, { guest, content }] of options.contents.entries()) {
    await pause()
    if (beneath.get(guest) === content) {
      file.leave(guest)
      continue
    }
    const isKnown = known.has(content)
    if (!isKnown) compressing += 1
    waiting.push({ guest, content, ...(isKnown ? {} : { frame: lanes.compress(readCluster(source, guest)) }) })
    if (compressing <= lanes.room) continue
    // The first may be in a batch that would not be full for long.
    lanes.flush()
    while (compressing > lanes.room / 2) {
      await pause()
      await appendFirst()
    }
    options.onProgress?.(done / options.contents.length)
  }
  lanes.flush()
  while (waiting.length > 0) {
    await pause()
    await appendFirst()
  }
  for (const guest of beneath.keys()) file.clear(guest)
  const sizeBytes = file.finish(options.backing?.name)
  return { sizeBytes, index: file.index(), copied: known.copied, compressed: lanes.compressed }
}

interface Waiting {
  readonly guest: number
  readonly content: string
  /** A zstd frame, or the cluster itself where that is no longer; absent where a reference has it. */
  readonly frame?: Promise<Buffer>
}
