import { open, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Context } from '../context.ts'
import { readLayout, type DiskLayout, type Partition, type ReadAt } from '../disk/layout.ts'
import { UserError } from '../errors.ts'
import { imageInfo } from '../image/qemu-img.ts'
import { run } from '../system/run.ts'
import { tempDir } from '../system/temp.ts'
import { needTool } from '../system/tools.ts'
import type { BootMethod } from './definition.ts'
import type { BaseRecord } from './model.ts'

type ToolContext = Pick<Context, 'reporter' | 'signal'>

/** The part of base.json that is read from the disk itself. */
export interface DiskDescription {
  readonly layout: NonNullable<BaseRecord['layout']>
  readonly rootPartition: number
  readonly boot: BootMethod[]
}

const linuxFileSystems: readonly string[] = ['ext2', 'ext3', 'ext4', 'xfs', 'btrfs']

/**
 * What base.json says of a disk: its layout, where its root file system is and how it can be started. Throws UserError
 * with code `no-linux-root` where there is no file system that Linux could start from.
 */
export async function describeDisk(path: string, context: ToolContext): Promise<DiskDescription> {
  const { format, virtualSizeBytes } = await imageInfo(path, { signal: context.signal })
  await using reader = format === 'raw' ? await rawReader(path) : await qcow2Reader(path, virtualSizeBytes, context)
  const layout = await readLayout(reader.read, virtualSizeBytes)
  const root = findRoot(layout)
  const hasBootCode = (await reader.read(0, 440)).some((byte) => byte !== 0)
  const { table, sectorSize, partitions } = layout
  return {
    layout: { table, sectorSize, partitions: partitions.map((partition) => ({ ...partition })) },
    rootPartition: root.number,
    boot: bootMethods(layout, hasBootCode),
  }
}

/**
 * The partition that must hold the root file system: the largest with a file system of Linux, for a separate /boot is
 * always smaller. Throws UserError with code `no-linux-root` that says what was found instead.
 */
export function findRoot(layout: Pick<DiskLayout, 'partitions'>): Partition {
  const [root] = layout.partitions
    .filter(({ fs, role }) => fs !== undefined && linuxFileSystems.includes(fs.type) && role !== 'esp')
    .toSorted((a, b) => b.sizeBytes - a.sizeBytes)
  const sealed = layout.partitions.find(({ fs }) => fs?.type === 'lvm' || fs?.type === 'luks')
  if (root !== undefined && (sealed === undefined || sealed.sizeBytes < root.sizeBytes)) return root
  const found = layout.partitions.map(({ number, fs, role }) => `${number} ${fs?.type ?? role}`).join(', ')
  throw new UserError(
    sealed === undefined
      ? `there is no Linux root file system on the disk (partitions: ${found === '' ? 'none' : found})`
      : `the root file system seems to be inside ${sealed.fs?.type === 'luks' ? 'an encrypted partition' : 'LVM'} (partition ${sealed.number}), which parbake cannot read`,
    {
      hint: 'a base needs a partition with ext2, ext3, ext4, xfs or btrfs on it that is the root of a Linux system',
      code: 'no-linux-root',
    },
  )
}

/** How firmware can start the disk: by the code in its first sector, or from an EFI system partition. */
export function bootMethods(layout: Pick<DiskLayout, 'partitions'>, hasBootCode: boolean): BootMethod[] {
  const hasEsp = layout.partitions.some(({ role, fs }) => role === 'esp' && fs?.type === 'vfat')
  return [...(hasBootCode ? (['bios'] as const) : []), ...(hasEsp ? (['uefi'] as const) : [])]
}

interface Reader extends AsyncDisposable {
  readonly read: ReadAt
}

async function rawReader(path: string): Promise<Reader> {
  const file = await open(path, 'r')
  return {
    read: async (offset, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset)
      return buffer.subarray(0, bytesRead)
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}

/** Reads through qemu-img, which needs neither root nor FUSE. A layout takes a dozen reads of 64 KiB. */
async function qcow2Reader(path: string, sizeBytes: number, context: ToolContext): Promise<Reader> {
  const folder = await tempDir('read')
  const qemuImg = await needTool('qemu-img')
  const chunkBytes = 64 * 1024
  const chunks = new Map<number, Promise<Buffer>>()
  const readChunk = async (index: number): Promise<Buffer> => {
    const offset = index * chunkBytes
    const size = Math.min(chunkBytes, sizeBytes - offset)
    const target = join(folder.path, String(index))
    const file = { driver: 'qcow2', file: { driver: 'file', filename: resolve(path) } }
    const part = `json:${JSON.stringify({ driver: 'raw', offset, size, file })}`
    await run(qemuImg, ['convert', '-O', 'raw', part, target], { ...context, purpose: 'read a disk image' })
    return readFile(target)
  }
  return {
    read: async (offset, length) => {
      const end = Math.min(offset + length, sizeBytes)
      const parts: Buffer[] = []
      for (let at = offset; at < end;) {
        const index = Math.floor(at / chunkBytes)
        const chunk = chunks.get(index) ?? readChunk(index)
        chunks.set(index, chunk)
        const part = (await chunk).subarray(at - index * chunkBytes, end - index * chunkBytes)
        if (part.length === 0) break
        parts.push(part)
        at += part.length
      }
      return Buffer.concat(parts)
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}
