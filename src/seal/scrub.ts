import type { Context } from '../context.ts'
import { exposeRaw, withReadAt } from '../disk/expose.ts'
import { readLayout } from '../disk/layout.ts'
import { dataRanges } from '../image/data-ranges.ts'
import type { DiskFormat } from '../image/disk-format.ts'
import { run } from '../system/run.ts'
import { needTool } from '../system/tools.ts'
import { extUnused } from './ext.ts'
import { intersectRanges, mergeRanges, totalLength, type ByteRange } from '../disk/ranges.ts'
import { scanRaw } from './raw-scan.ts'

export interface ScrubOptions {
  /** A powered-off system; nothing else may have it open for writing. */
  readonly disk: { readonly path: string; readonly format: DiskFormat }
  /** An existing folder that is gone when the work is over. */
  readonly workFolder: string
}

/**
 * Zeroes what ext file systems of a disk no longer use: free blocks, which a trim leaves where they share a cluster with
 * used ones, and the journal, which keeps copies of folders with the names of deleted files. Needs no root. Resolves with
 * the bytes that it zeroed; other file systems are left alone.
 */
export async function scrubDisk(context: Context, options: ScrubOptions): Promise<{ readonly bytes: number }> {
  const leftovers = await findLeftovers(context, options)
  if (leftovers.length === 0) return { bytes: 0 }
  const { path, format } = options.disk
  const commands = leftovers.map(({ start, length }) => `write -q -z -u ${start} ${length}\n`)
  const { stdout } = await run(await needTool('qemu-io'), ['-f', format, '--discard=unmap', path], {
    input: `${commands.join('')}quit\n`,
    purpose: 'drop deleted data from a disk',
    signal: context.signal,
  })
  // It goes on after an error, and ends with 0.
  const failed = stdout.split('\n').find((line) => line.includes('failed'))
  if (failed !== undefined) throw new Error(`qemu-io: ${failed.trim()}`)
  return { bytes: totalLength(leftovers) }
}

async function findLeftovers(context: Context, { disk, workFolder }: ScrubOptions): Promise<readonly ByteRange[]> {
  await using raw = await exposeRaw(context, { ...disk, writable: false, workFolder })
  const layout = await withReadAt(raw, (read) => readLayout(read, raw.sizeBytes))
  const unused = (await extUnused(context, raw.path, layout)).flatMap(({ free, journal }) => [...free, ...journal])
  // No more is read than what could be left.
  const ranges = intersectRanges(await dataRanges(context, disk), mergeRanges(unused))
  const { leftovers } = await scanRaw({ path: raw.path, ranges, needles: [], unused, signal: context.signal })
  return leftovers
}
