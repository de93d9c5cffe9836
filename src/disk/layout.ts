import { crc32 } from 'node:zlib'
import { UserError } from '../errors.ts'
import { detectFileSystem, type FileSystem } from './file-system.ts'

/** Reads bytes of a disk; at its end fewer than were asked for. */
export type ReadAt = (offset: number, length: number) => Promise<Buffer>

export interface DiskLayout {
  /** `none`: one file system fills the disk. */
  readonly table: 'mbr' | 'gpt' | 'none'
  readonly sectorSize: number
  readonly sizeBytes: number
  /** By number, empty slots left out. */
  readonly partitions: readonly Partition[]
}

export interface Partition {
  /** As the kernel counts: logical MBR partitions from 5; 0 where there is no table. */
  readonly number: number
  readonly startBytes: number
  readonly sizeBytes: number
  /** What the partition table says that it is for; `fs` says what is really there. */
  readonly role: 'linux' | 'esp' | 'bios-boot' | 'swap' | 'other'
  /** Its name in a GPT. */
  readonly name?: string
  /** The PARTUUID by which Linux finds it. */
  readonly partUuid?: string
  readonly fs?: FileSystem
}

const mbrRoles: Readonly<Record<number, Partition['role']>> = { 0x83: 'linux', 0x82: 'swap', 0xef: 'esp' }
const extendedTypes: readonly number[] = [0x05, 0x0f, 0x85]

/** From the Discoverable Partitions Specification, the UEFI specification and GRUB's manual. */
const gptRoles: Readonly<Record<string, Partition['role']>> = {
  '0fc63daf-8483-4772-8e79-3d69d8477de4': 'linux',
  '4f68bce3-e8cd-4db1-96e7-fbcaf984b709': 'linux',
  'b921b045-1df0-41c3-af44-4c6f280d3fae': 'linux',
  'bc13c2ff-59e6-4262-a352-b275fd6f7172': 'linux',
  '933ac7e1-2eb4-4f13-b844-0e14e2aef915': 'linux',
  '4d21b016-b534-45c2-a9fb-5c16e091fd2d': 'linux',
  '3b8f8425-20e0-4f3b-907f-1a25a76f98e8': 'linux',
  '8484680c-9521-48c6-9c11-b0720656f69e': 'linux',
  'c12a7328-f81f-11d2-ba4b-00a0c93ec93b': 'esp',
  '21686148-6449-6e6f-744e-656564454649': 'bios-boot',
  '0657fd6d-a4ab-43c4-84e5-0933c84b4f4f': 'swap',
}

/**
 * What is on a disk, read from its own bytes, so that neither root nor a kernel that scans partitions is needed. Throws
 * UserError with code `disk-unreadable` where neither a partition table nor a file system is found.
 */
export async function readLayout(read: ReadAt, sizeBytes: number): Promise<DiskLayout> {
  const gpt = await readGpt(read, sizeBytes)
  if (gpt !== undefined) return withFileSystems(read, { table: 'gpt', sizeBytes, ...gpt })
  const whole = await detectFileSystem(read, 0)
  // The boot sector of a FAT ends like an MBR.
  const mbr = whole?.type === 'vfat' ? undefined : await readMbr(read, sizeBytes)
  if (mbr !== undefined && mbr.length > 0)
    return withFileSystems(read, { table: 'mbr', sectorSize: 512, sizeBytes, partitions: mbr })
  if (whole === undefined) {
    throw new UserError('the disk has no partition table and no file system that is known', {
      hint: 'known are MBR and GPT; ext2, ext3, ext4, xfs, btrfs and vfat',
      code: 'disk-unreadable',
    })
  }
  const partition: Partition = { number: 0, startBytes: 0, sizeBytes, role: 'linux', fs: whole }
  return { table: 'none', sectorSize: 512, sizeBytes, partitions: [partition] }
}

async function withFileSystems(read: ReadAt, layout: DiskLayout): Promise<DiskLayout> {
  const partitions: Partition[] = []
  for (const partition of layout.partitions) {
    const fs = await detectFileSystem(read, partition.startBytes)
    partitions.push(fs === undefined ? partition : { ...partition, fs })
  }
  return { ...layout, partitions }
}

async function readMbr(read: ReadAt, sizeBytes: number): Promise<readonly Partition[] | undefined> {
  const sector = await readWhole(read, 0, 512)
  if (sector === undefined || sector.readUInt16LE(510) !== 0xaa55) return undefined
  const slots = mbrSlots(sector)
  // A boot sector without a table may hold anything there.
  if (slots.some(({ flag }) => (flag & 0x7f) !== 0) || slots.every(({ type }) => type === 0)) return undefined
  const diskId = sector.readUInt32LE(440).toString(16).padStart(8, '0')
  const partitions: Partition[] = []
  for (const [index, slot] of slots.entries()) {
    if (slot.type === 0 || slot.sectors === 0) continue
    if (extendedTypes.includes(slot.type)) partitions.push(...(await logicalPartitions(read, slot.start, diskId)))
    else partitions.push(mbrPartition(slot, index + 1, slot.start, diskId))
  }
  return partitions.filter(({ startBytes }) => startBytes < sizeBytes).toSorted((a, b) => a.number - b.number)
}

interface MbrSlot {
  readonly flag: number
  readonly type: number
  readonly start: number
  readonly sectors: number
}

function mbrSlots(sector: Buffer): readonly MbrSlot[] {
  return [446, 462, 478, 494].map((at) => ({
    flag: sector.readUInt8(at),
    type: sector.readUInt8(at + 4),
    start: sector.readUInt32LE(at + 8),
    sectors: sector.readUInt32LE(at + 12),
  }))
}

function mbrPartition(slot: MbrSlot, number: number, startSector: number, diskId: string): Partition {
  return {
    number,
    startBytes: startSector * 512,
    sizeBytes: slot.sectors * 512,
    role: mbrRoles[slot.type] ?? 'other',
    partUuid: `${diskId}-${number.toString(16).padStart(2, '0')}`,
  }
}

/** The chain of extended boot records; each names one partition and the next record, counted from the first. */
async function logicalPartitions(read: ReadAt, extendedStart: number, diskId: string): Promise<readonly Partition[]> {
  const partitions: Partition[] = []
  const seen = new Set<number>()
  let record: number | undefined = extendedStart
  while (record !== undefined && !seen.has(record)) {
    seen.add(record)
    const sector: Buffer | undefined = await readWhole(read, record * 512, 512)
    if (sector === undefined || sector.readUInt16LE(510) !== 0xaa55) break
    const [own, next] = mbrSlots(sector)
    if (own !== undefined && own.type !== 0 && own.sectors !== 0 && !extendedTypes.includes(own.type)) {
      partitions.push(mbrPartition(own, 5 + partitions.length, record + own.start, diskId))
    }
    record = next !== undefined && extendedTypes.includes(next.type) ? extendedStart + next.start : undefined
  }
  return partitions
}

/** The first valid GPT header, in the places and orders in which firmware looks: the main one, then the copy. */
async function readGpt(
  read: ReadAt,
  sizeBytes: number,
): Promise<Pick<DiskLayout, 'sectorSize' | 'partitions'> | undefined> {
  for (const sectorSize of [512, 4096]) {
    for (const at of [sectorSize, sizeBytes - sectorSize]) {
      const partitions = at <= 0 ? undefined : await gptPartitions(read, at, sectorSize)
      if (partitions !== undefined) return { sectorSize, partitions }
    }
  }
  return undefined
}

async function gptPartitions(
  read: ReadAt,
  headerAt: number,
  sectorSize: number,
): Promise<readonly Partition[] | undefined> {
  const header = await readWhole(read, headerAt, 512)
  if (header === undefined || header.toString('latin1', 0, 8) !== 'EFI PART') return undefined
  const headerSize = header.readUInt32LE(12)
  if (headerSize < 92 || headerSize > 512) return undefined
  const unsigned = Buffer.from(header.subarray(0, headerSize))
  unsigned.writeUInt32LE(0, 16)
  if (crc32(unsigned) !== header.readUInt32LE(16)) return undefined
  const count = header.readUInt32LE(80)
  const entrySize = header.readUInt32LE(84)
  if (entrySize < 128 || count * entrySize > 1 << 20) return undefined
  const table = await readWhole(read, Number(header.readBigUInt64LE(72)) * sectorSize, count * entrySize)
  if (table === undefined || crc32(table) !== header.readUInt32LE(88)) return undefined
  return Array.from({ length: count }, (_, index) =>
    table.subarray(index * entrySize, (index + 1) * entrySize),
  ).flatMap((entry, index) =>
    entry.subarray(0, 16).every((byte) => byte === 0) ? [] : [gptPartition(entry, index, sectorSize)],
  )
}

function gptPartition(entry: Buffer, index: number, sectorSize: number): Partition {
  const first = Number(entry.readBigUInt64LE(32))
  const last = Number(entry.readBigUInt64LE(40))
  const name = entry.toString('utf16le', 56, 128).replace(/\0.*$/s, '')
  return {
    number: index + 1,
    startBytes: first * sectorSize,
    sizeBytes: (last - first + 1) * sectorSize,
    role: gptRoles[guid(entry, 0)] ?? 'other',
    ...(name === '' ? {} : { name }),
    partUuid: guid(entry, 16),
  }
}

/** The first three fields of a GUID are little-endian. */
function guid(bytes: Buffer, at: number): string {
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0')
  return [
    hex(bytes.readUInt32LE(at), 8),
    hex(bytes.readUInt16LE(at + 4), 4),
    hex(bytes.readUInt16LE(at + 6), 4),
    bytes.toString('hex', at + 8, at + 10),
    bytes.toString('hex', at + 10, at + 16),
  ].join('-')
}

async function readWhole(read: ReadAt, offset: number, length: number): Promise<Buffer | undefined> {
  const bytes = await read(offset, length)
  return bytes.length < length ? undefined : bytes
}
