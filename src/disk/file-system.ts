import type { ReadAt } from './layout.ts'

/** What a superblock says. `lvm` and `luks` hold other block devices and cannot be mounted as they are. */
export interface FileSystem {
  readonly type: 'ext2' | 'ext3' | 'ext4' | 'xfs' | 'btrfs' | 'vfat' | 'swap' | 'lvm' | 'luks'
  /** As `UUID=` in fstab has it: for vfat its serial number, `1234-ABCD`. */
  readonly uuid: string
  /** As `LABEL=` in fstab has it; '' where there is none. */
  readonly label: string
}

type Detector = (head: Buffer) => FileSystem | undefined

/** Enough for every superblock but that of btrfs. */
const headBytes = 8192
const btrfsOffset = 65_536

/** The file system at this offset of a disk, or undefined. The offsets are those of the kernel's own headers. */
export async function detectFileSystem(read: ReadAt, offset: number): Promise<FileSystem | undefined> {
  const head = pad(await read(offset, headBytes), headBytes)
  for (const detector of [luks, lvm, xfs, ext, swap, vfat]) {
    const found = detector(head)
    if (found !== undefined) return found
  }
  return btrfs(pad(await read(offset + btrfsOffset, 1024), 1024))
}

const ext: Detector = (head) => {
  const block = head.subarray(1024, 2048)
  if (block.readUInt16LE(56) !== 0xef53) return undefined
  const compat = block.readUInt32LE(92)
  const incompat = block.readUInt32LE(96)
  const readOnlyCompat = block.readUInt32LE(100)
  // An external journal is no file system.
  if ((incompat & 0x8) !== 0) return undefined
  // Whatever ext3 does not know.
  const isExt4 = (incompat & ~0x16) !== 0 || (readOnlyCompat & ~0x7) !== 0
  const type = isExt4 ? 'ext4' : (compat & 0x4) !== 0 ? 'ext3' : 'ext2'
  return { type, uuid: uuid(block, 104), label: text(block, 120, 16) }
}

const xfs: Detector = (head) =>
  head.toString('latin1', 0, 4) === 'XFSB'
    ? { type: 'xfs', uuid: uuid(head, 32), label: text(head, 108, 12) }
    : undefined

const btrfs: Detector = (block) =>
  block.toString('latin1', 64, 72) === '_BHRfS_M'
    ? { type: 'btrfs', uuid: uuid(block, 32), label: text(block, 299, 256) }
    : undefined

const swap: Detector = (head) =>
  head.toString('latin1', 4086, 4096) === 'SWAPSPACE2'
    ? { type: 'swap', uuid: uuid(head, 1036), label: text(head, 1052, 16) }
    : undefined

const vfat: Detector = (head) => {
  if (head.readUInt16LE(510) !== 0xaa55) return undefined
  const at =
    head.toString('latin1', 82, 87) === 'FAT32' ? 67 : /^FAT1[26]/.test(head.toString('latin1', 54, 59)) ? 39 : 0
  if (at === 0) return undefined
  const serial = head.readUInt32LE(at).toString(16).toUpperCase().padStart(8, '0')
  const label = head.toString('latin1', at + 4, at + 15).trimEnd()
  return { type: 'vfat', uuid: `${serial.slice(0, 4)}-${serial.slice(4)}`, label: label === 'NO NAME' ? '' : label }
}

const luks: Detector = (head) => {
  if (head.toString('latin1', 0, 6) !== 'LUKS\xba\xbe') return undefined
  return { type: 'luks', uuid: text(head, 168, 40), label: head.readUInt16BE(6) === 2 ? text(head, 24, 48) : '' }
}

/** The label is in one of the first four sectors and says where the header is. */
const lvm: Detector = (head) => {
  for (const sector of [0, 512, 1024, 1536]) {
    if (head.toString('latin1', sector, sector + 8) !== 'LABELONE') continue
    if (head.toString('latin1', sector + 24, sector + 32) !== 'LVM2 001') continue
    const at = sector + head.readUInt32LE(sector + 20)
    const id = head.toString('latin1', at, at + 32)
    const parts = /^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/.exec(id)?.slice(1) ?? [id]
    return { type: 'lvm', uuid: parts.join('-'), label: '' }
  }
  return undefined
}

function uuid(bytes: Buffer, at: number): string {
  const hex = bytes.toString('hex', at, at + 16)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** Text that ends at its first NUL or fills its field. */
function text(bytes: Buffer, at: number, length: number): string {
  const field = bytes.subarray(at, at + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? length : end)
}

function pad(bytes: Buffer, length: number): Buffer {
  return bytes.length >= length ? bytes : Buffer.concat([bytes], length)
}
