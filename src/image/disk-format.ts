import { open } from 'node:fs/promises'
import { hasCode, UserError } from '../errors.ts'

export type DiskFormat = 'qcow2' | 'raw'

/** Magic numbers of what people pass by mistake, with what to do about it. */
const others: readonly { readonly magic: string; readonly name: string; readonly hint: string }[] = [
  { magic: '1f8b', name: 'compressed with gzip', hint: 'unpack it with gunzip first' },
  { magic: 'fd377a585a00', name: 'compressed with xz', hint: 'unpack it with unxz first' },
  { magic: '28b52ffd', name: 'compressed with zstd', hint: 'unpack it with unzstd first' },
  { magic: '425a68', name: 'compressed with bzip2', hint: 'unpack it with bunzip2 first' },
  { magic: '504b0304', name: 'a zip archive', hint: 'unpack it first' },
  { magic: '4b444d56', name: 'a VMDK image', hint: 'convert it: qemu-img convert -f vmdk -O qcow2 IN OUT' },
  { magic: '7668647866696c65', name: 'a VHDX image', hint: 'convert it: qemu-img convert -f vhdx -O qcow2 IN OUT' },
  { magic: '636f6e6563746978', name: 'a VHD image', hint: 'convert it: qemu-img convert -f vpc -O qcow2 IN OUT' },
]

/**
 * Tells qcow2 from raw by the file's first bytes. Never left to qemu-img, which lets whoever wrote a raw disk choose
 * how it is read. A raw disk must have a partition table. Throws UserError for everything else.
 */
export async function detectDiskFormat(path: string): Promise<DiskFormat> {
  const head = await readHead(path, 1024)
  const hex = head.toString('hex')
  if (hex.startsWith('514649fb')) return 'qcow2'
  const other = others.find(({ magic }) => hex.startsWith(magic))
  if (other !== undefined) {
    throw new UserError(`${path} is ${other.name}, neither a qcow2 nor a raw disk image`, { hint: other.hint })
  }
  const hasBootSignature = head.length >= 512 && head.readUInt16LE(510) === 0xaa55
  const hasGpt = head.subarray(512, 520).toString('latin1') === 'EFI PART'
  if (hasBootSignature || hasGpt) return 'raw'
  throw new UserError(`${path} is neither a qcow2 nor a raw disk image: it has no partition table`, {
    hint: 'give a whole bootable disk, as cloud images are',
  })
}

/**
 * Refuses a qcow2 file that would make QEMU open other files of this machine: one with a backing file or with an
 * external data file.
 */
export async function refuseOutsideReferences(path: string): Promise<void> {
  const head = await readHead(path, 80)
  if (head.length < 72) throw new UserError(`${path} is cut short: it ends within the qcow2 header`)
  const version = head.readUInt32BE(4)
  if (head.readBigUInt64BE(8) !== 0n) {
    throw new UserError(`${path} is an overlay: it needs another file as its backing file`, {
      hint: 'flatten it: qemu-img convert -O qcow2 IN OUT',
    })
  }
  const externalDataFile = 4n
  if (version >= 3 && head.length >= 80 && (head.readBigUInt64BE(72) & externalDataFile) !== 0n) {
    throw new UserError(`${path} keeps its data in another file`, {
      hint: 'make it one file: qemu-img convert -O qcow2 IN OUT',
    })
  }
}

async function readHead(path: string, length: number): Promise<Buffer> {
  try {
    const file = await open(path, 'r')
    try {
      const buffer = Buffer.alloc(length)
      const { bytesRead } = await file.read(buffer, 0, length, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw new UserError(`there is no file ${path}`, { exitCode: 2 })
    if (hasCode(error, 'EISDIR')) throw new UserError(`${path} is a folder, no disk image`, { exitCode: 2 })
    if (hasCode(error, 'EACCES')) throw new UserError(`${path} may not be read by this user`)
    throw error
  }
}
