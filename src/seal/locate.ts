import type { Context } from '../context.ts'
import type { DiskLayout, Partition } from '../disk/layout.ts'
import { extPlace, runTool, type ExtUnused } from './ext.ts'
import { isIn } from '../disk/ranges.ts'

/** Where a byte of a disk lies, as far as that can be told without mounting anything. */
export type DiskPlace =
  | { readonly kind: 'outside' }
  /** In a partition whose file system is not ext, so that no more is known. */
  | { readonly kind: 'partition'; readonly partition: Partition }
  | { readonly kind: 'free' | 'journal' | 'file-system'; readonly partition: Partition }
  /** `path` begins at the root of that file system; undefined where the inode has no name. */
  | { readonly kind: 'file'; readonly partition: Partition; readonly path: string | undefined; readonly inode: number }

/** The inode of the journal. */
const journalInode = 8

/** How many numbers debugfs is asked for at once. */
const perQuestion = 500

/** Tells for offsets of a disk where they lie: in which file where the file system is ext, else in which partition. */
export async function locateOffsets(
  context: Context,
  rawPath: string,
  layout: DiskLayout,
  unused: readonly ExtUnused[],
  offsets: readonly number[],
): Promise<ReadonlyMap<number, DiskPlace>> {
  const places = new Map<number, DiskPlace>()
  for (const offset of offsets) {
    const partition = layout.partitions.find(
      ({ startBytes, sizeBytes }) => offset >= startBytes && offset < startBytes + sizeBytes,
    )
    places.set(offset, partition === undefined ? { kind: 'outside' } : { kind: 'partition', partition })
  }
  for (const { partition, blockSize, free, journal } of unused) {
    const end = partition.startBytes + partition.sizeBytes
    const blockOf = (offset: number) => Math.floor((offset - partition.startBytes) / blockSize)
    const inside = offsets.filter((offset) => offset >= partition.startBytes && offset < end)
    const used: number[] = []
    for (const offset of inside) {
      if (isIn(free, offset)) places.set(offset, { kind: 'free', partition })
      else if (isIn(journal, offset)) places.set(offset, { kind: 'journal', partition })
      else used.push(offset)
    }
    if (used.length === 0) continue
    const files = await filesOfBlocks(context, partition, rawPath, [...new Set(used.map(blockOf))])
    for (const offset of used) places.set(offset, files.get(blockOf(offset)) ?? { kind: 'file-system', partition })
  }
  return places
}

/** The place in words that go on after `byte 12 of the disk, `. */
export function placeInWords(place: DiskPlace): string {
  switch (place.kind) {
    case 'outside':
      return 'outside all partitions'
    case 'partition':
      return `in partition ${place.partition.number}`
    case 'free':
      return 'in free space'
    case 'journal':
      return 'in the journal of the file system'
    case 'file-system':
      return 'in the file system itself'
    case 'file':
      return `in ${place.path ?? `inode ${place.inode}`}`
  }
}

async function filesOfBlocks(
  context: Context,
  partition: Partition,
  rawPath: string,
  blocks: readonly number[],
): Promise<ReadonlyMap<number, DiskPlace>> {
  const disk = extPlace(rawPath, partition)
  const inodes = new Map(await ask(context, disk, 'icheck', blocks, /^(\d+)\s+(\d+)$/gm))
  const found = new Set([...inodes.values()].map(Number))
  const names = new Map(await ask(context, disk, 'ncheck', [...found], /^(\d+)\s+(\/.*)$/gm))
  return new Map(
    [...inodes].map(([block, text]): [number, DiskPlace] => {
      const inode = Number(text)
      if (inode === journalInode) return [block, { kind: 'journal', partition }]
      return [block, { kind: 'file', partition, path: names.get(inode)?.replace(/^\/+/, '/'), inode }]
    }),
  )
}

/** Rows of a number and a text that debugfs prints for a list of numbers. */
async function ask(
  context: Context,
  disk: string,
  question: 'icheck' | 'ncheck',
  numbers: readonly number[],
  row: RegExp,
): Promise<readonly (readonly [number, string])[]> {
  const rows: (readonly [number, string])[] = []
  for (let at = 0; at < numbers.length; at += perQuestion) {
    const some = numbers.slice(at, at + perQuestion).join(' ')
    const text = await runTool(context, 'debugfs', ['-R', `${question} ${some}`, disk])
    for (const match of text.matchAll(row)) rows.push([Number(match[1]), match[2] ?? ''])
  }
  return rows
}
