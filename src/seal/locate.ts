import type { Context } from '../context.ts'
import type { DiskLayout } from '../disk/layout.ts'
import { extPlace, runTool, type ExtUnused } from './ext.ts'
import type { ByteRange } from './ranges.ts'

/** The inode of the journal. */
const journalInode = 8

/** Says in words where bytes of a disk lie: in which file where the file system is ext, else in which partition. */
export async function describeOffsets(
  context: Context,
  rawPath: string,
  layout: DiskLayout,
  unused: readonly ExtUnused[],
  offsets: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  const words = new Map<number, string>()
  for (const offset of offsets) {
    const partition = layout.partitions.find(
      ({ startBytes, sizeBytes }) => offset >= startBytes && offset < startBytes + sizeBytes,
    )
    words.set(offset, partition === undefined ? 'outside all partitions' : `in partition ${partition.number}`)
  }
  for (const { partition, blockSize, free, journal } of unused) {
    const end = partition.startBytes + partition.sizeBytes
    const inside = offsets.filter((offset) => offset >= partition.startBytes && offset < end)
    for (const offset of inside) {
      if (isIn(free, offset)) words.set(offset, 'in free space')
      if (isIn(journal, offset)) words.set(offset, 'in the journal of the file system')
    }
    const used = inside.filter((offset) => !isIn(free, offset) && !isIn(journal, offset))
    if (used.length === 0) continue
    const blockOf = (offset: number) => Math.floor((offset - partition.startBytes) / blockSize)
    const paths = await pathsOfBlocks(context, extPlace(rawPath, partition), used.map(blockOf))
    for (const offset of used) words.set(offset, paths.get(blockOf(offset)) ?? 'in the file system itself')
  }
  return words
}

function isIn(ranges: readonly ByteRange[], offset: number): boolean {
  return ranges.some(({ start, length }) => offset >= start && offset < start + length)
}

async function pathsOfBlocks(
  context: Context,
  place: string,
  blocks: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  const inodes = new Map<number, number>()
  const found = await runTool(context, 'debugfs', ['-R', `icheck ${blocks.join(' ')}`, place])
  for (const match of found.matchAll(/^(\d+)\s+(\d+)$/gm)) inodes.set(Number(match[1]), Number(match[2]))
  if (inodes.size === 0) return new Map()
  const names = new Map<number, string>()
  const named = await runTool(context, 'debugfs', ['-R', `ncheck ${[...new Set(inodes.values())].join(' ')}`, place])
  for (const match of named.matchAll(/^(\d+)\s+(\/.*)$/gm))
    names.set(Number(match[1]), (match[2] ?? '').replace(/^\/+/, '/'))
  return new Map(
    [...inodes].map(([block, inode]) => [
      block,
      inode === journalInode ? 'in the journal of the file system' : `in ${names.get(inode) ?? `inode ${inode}`}`,
    ]),
  )
}
