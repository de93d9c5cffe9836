import type { Context } from '../context.ts'
import type { DiskLayout, Partition } from '../disk/layout.ts'
import { run } from '../system/run.ts'
import { needTool } from '../system/tools.ts'
import { mergeRanges, type ByteRange } from '../disk/ranges.ts'

/** What an ext2, ext3 or ext4 file system of a disk does not use; offsets count from the disk's beginning. */
export interface ExtUnused {
  readonly partition: Partition
  readonly blockSize: number
  readonly free: readonly ByteRange[]
  /**
   * The journal but for its first block, its superblock. Empty where there is none, or where it holds what is still to be
   * written.
   */
  readonly journal: readonly ByteRange[]
  /** Whether small files lie within their inodes, in two pieces. */
  readonly inlineData: boolean
}

/** The ext file systems of a disk, read without mounting them. */
export async function extUnused(context: Context, rawPath: string, layout: DiskLayout): Promise<readonly ExtUnused[]> {
  const found: ExtUnused[] = []
  for (const partition of extPartitions(layout)) {
    const place = extPlace(rawPath, partition)
    const dump = await runTool(context, 'dumpe2fs', [place])
    const { blockSize, needsRecovery, hasJournal, inlineData, freeBlocks } = parseDumpe2fs(dump)
    const journalBlocks =
      hasJournal && !needsRecovery ? parseExtents(await runTool(context, 'debugfs', ['-R', 'stat <8>', place])) : []
    const bytes = (blocks: readonly ByteRange[]) =>
      mergeRanges(
        blocks.map(({ start, length }) => ({
          start: partition.startBytes + start * blockSize,
          length: length * blockSize,
        })),
      )
    found.push({ partition, blockSize, free: bytes(freeBlocks), journal: bytes(journalBlocks), inlineData })
  }
  return found
}

export function extPartitions(layout: DiskLayout): readonly Partition[] {
  return layout.partitions.filter(({ fs }) => fs !== undefined && /^ext[234]$/.test(fs.type))
}

/** How the programs of e2fsprogs are told to read a file system within a file. */
export function extPlace(rawPath: string, partition: Partition): string {
  return `${rawPath}?offset=${partition.startBytes}`
}

export async function runTool(
  context: Context,
  tool: 'dumpe2fs' | 'debugfs',
  args: readonly string[],
): Promise<string> {
  const { stdout } = await run(await needTool(tool), args, {
    purpose: 'look into a file system',
    reporter: context.reporter,
    signal: context.signal,
    env: { DEBUGFS_PAGER: 'cat', LC_ALL: 'C' },
  })
  return stdout
}

interface Dumpe2fs {
  readonly blockSize: number
  readonly needsRecovery: boolean
  readonly hasJournal: boolean
  readonly inlineData: boolean
  /** In blocks. */
  readonly freeBlocks: readonly ByteRange[]
}

/** What dumpe2fs prints: `Free blocks: 9-12, 20` once per group. */
export function parseDumpe2fs(text: string): Dumpe2fs {
  const features = /^Filesystem features:\s+(.*)$/m.exec(text)?.[1]?.split(/\s+/) ?? []
  return {
    blockSize: Number(/^Block size:\s+(\d+)$/m.exec(text)?.[1] ?? 4096),
    needsRecovery: features.includes('needs_recovery'),
    hasJournal: features.includes('has_journal'),
    inlineData: features.includes('inline_data'),
    freeBlocks: [...text.matchAll(/^ +Free blocks: (.+)$/gm)].flatMap((match) => parseNumbers(match[1] ?? '')),
  }
}

function parseNumbers(text: string): readonly ByteRange[] {
  return [...text.matchAll(/(\d+)(?:-(\d+))?/g)].map((match) => {
    const start = Number(match[1])
    return { start, length: Number(match[2] ?? start) - start + 1 }
  })
}

/** The blocks of an inode but its first, from debugfs' `stat`: `(0):1025, (1-3):1026-1028`, or `(IND):…` for others. */
export function parseExtents(text: string): readonly ByteRange[] {
  const list = /^(?:EXTENTS|BLOCKS):\n([\s\S]*?)(?:\nTOTAL|$)/m.exec(text)?.[1] ?? ''
  return [...list.matchAll(/\((\d+)(?:-\d+)?\):(\d+)(?:-(\d+))?/g)].flatMap((match) => {
    const start = Number(match[2])
    const length = Number(match[3] ?? start) - start + 1
    return match[1] === '0' ? [{ start: start + 1, length: length - 1 }] : [{ start, length }]
  })
}
