import { sha256 } from '../util/sha256.ts'
import type { BaseDefinition } from './definition.ts'

export const sectorBytes = 512
const sectorsPerMiB = 2048

/** GPT type UUIDs, from the UEFI specification and the Discoverable Partitions Specification. */
const types = {
  'bios-boot': '21686148-6449-6e6f-744e-656564454649',
  esp: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
  root: '4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
} as const

/** A partition to be made. Sectors are those of 512 bytes. */
export interface PlannedPartition {
  readonly role: keyof typeof types
  readonly number: number
  readonly start: number
  readonly sectors: number
  readonly type: string
  readonly uuid: string
}

/**
 * Where everything goes on a base's disk. The root file system is number 1 and lies last, so that it can grow with the
 * disk; the boot loaders' places are 14 and 15, as on Debian's and Ubuntu's own cloud images.
 */
export function planDisk({ disk, boot }: Pick<BaseDefinition, 'disk' | 'boot'>): readonly PlannedPartition[] {
  const wanted = [
    ...(boot.includes('bios') ? [{ role: 'bios-boot' as const, number: 14, sectors: sectorsPerMiB }] : []),
    ...(boot.includes('uefi') ? [{ role: 'esp' as const, number: 15, sectors: disk.espMiB * sectorsPerMiB }] : []),
  ]
  // The second copy of the table takes the last 33 sectors. To the end, else every first boot finds space to grow into.
  const end = disk.sizeMiB * sectorsPerMiB - 33
  let start = sectorsPerMiB
  const placed = wanted.map((partition) => {
    const own = { ...partition, start }
    start += partition.sectors
    return own
  })
  const sectorsPerBlock = 4096 / sectorBytes
  const sectors = Math.floor((end - start) / sectorsPerBlock) * sectorsPerBlock
  return [...placed, { role: 'root' as const, number: 1, start, sectors }].map((partition) => ({
    ...partition,
    type: types[partition.role],
    uuid: uuidFrom(`${disk.id} ${partition.role}`),
  }))
}

/** What sfdisk reads to write the table. */
export function sfdiskScript(disk: BaseDefinition['disk'], partitions: readonly PlannedPartition[]): string {
  const lines = partitions.map(
    ({ role, number, start, sectors, type, uuid }) =>
      `${number} : start=${start}, size=${sectors}, type=${type}, uuid=${uuid}, name="${role}"`,
  )
  return `label: gpt\nlabel-id: ${disk.id}\nunit: sectors\n\n${lines.join('\n')}\n`
}

/** Always the same UUID (version 8) for a text. */
export function uuidFrom(text: string): string {
  const hex = sha256(text)
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`
}

/**
 * Makes GRUB's two pieces find each other on a GPT disk: boot.img names the sector of core.img (64 bits at 0x5c), and
 * the last entry of the list in core.img's first sector names where its rest begins (64 bits at 0x1f4). Returns changed
 * copies. Throws RangeError for images of another shape. Offsets from GRUB's include/grub/i386/pc/boot.h, 2.04 to 2.12.
 */
export function linkGrub(
  bootImage: Buffer,
  coreImage: Buffer,
  firstSector: number,
): { readonly boot: Buffer; readonly core: Buffer } {
  const restAt = 0x1f4
  if (bootImage.length !== sectorBytes || bootImage.readUInt16LE(510) !== 0xaa55) {
    throw new RangeError('boot.img is no boot sector')
  }
  if (coreImage.length <= sectorBytes || coreImage.readBigUInt64LE(restAt) !== 2n) {
    throw new RangeError("core.img has no list of sectors where GRUB's has it")
  }
  const boot = Buffer.from(bootImage)
  const core = Buffer.from(coreImage)
  boot.writeBigUInt64LE(BigInt(firstSector), 0x5c)
  core.writeBigUInt64LE(BigInt(firstSector + 1), restAt)
  return { boot, core }
}
