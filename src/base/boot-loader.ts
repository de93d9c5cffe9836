import { open, readFile, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { hasCode, UserError } from '../errors.ts'
import { run } from '../system/run.ts'
import { needTool } from '../system/tools.ts'
import type { BootMethod } from './definition.ts'
import { linkGrub, sectorBytes, type PlannedPartition } from './disk-plan.ts'

const grubFolder = '/usr/lib/grub'
/** GRUB finds its configuration on partition 1 of whatever disk the firmware started it from. */
const prefix = '(,gpt1)/boot/grub'
const modules = [
  ...['part_msdos', 'part_gpt', 'ext2', 'search', 'search_fs_uuid', 'search_label'],
  ...['normal', 'linux', 'configfile', 'serial', 'terminal', 'echo', 'test', 'ls', 'cat', 'reboot', 'halt'],
]

interface LoaderFiles {
  /** A folder to work in. */
  readonly folder: string
  readonly disk: string
}

/** Puts GRUB onto the disk for every way of booting that has its place there. `epoch` dates its files. */
export async function installBootLoaders(
  files: LoaderFiles,
  partitions: readonly PlannedPartition[],
  epoch: number,
  context: Context,
): Promise<void> {
  const bios = partitions.find(({ role }) => role === 'bios-boot')
  const esp = partitions.find(({ role }) => role === 'esp')
  if (bios !== undefined) await installBios(files, bios, context)
  if (esp !== undefined) await installUefi(files, esp, epoch, context)
}

/** boot.img into sector 0, core.img into the BIOS boot partition. */
async function installBios({ folder, disk }: LoaderFiles, place: PlannedPartition, context: Context): Promise<void> {
  const target = join(folder, 'core.img')
  await makeImage('i386-pc', target, ['biosdisk', ...modules], context)
  const { boot, core } = linkGrub(await readBootImage(), await readFile(target), place.start)
  if (core.length > place.sectors * sectorBytes) {
    throw new UserError(`GRUB's core image of ${core.length} bytes does not fit into its partition`)
  }
  const file = await open(disk, 'r+')
  try {
    // What follows byte 440 is the partition table.
    await file.write(boot, 0, 440, 0)
    await file.write(core, 0, core.length, place.start * sectorBytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** A FAT file system with GRUB at the path that UEFI tries where it knows of no other. */
async function installUefi(
  { folder, disk }: LoaderFiles,
  place: PlannedPartition,
  epoch: number,
  context: Context,
): Promise<void> {
  const loader = join(folder, 'BOOTX64.EFI')
  await makeImage('x86_64-efi', loader, ['fat', 'efi_gop', 'efi_uga', ...modules], context)
  await utimes(loader, epoch, epoch)
  const image = join(folder, 'esp.img')
  const volume = place.uuid.slice(0, 8)
  const sizeKiB = (place.sectors * sectorBytes) / 1024
  const environment = { SOURCE_DATE_EPOCH: String(epoch), TZ: 'UTC', MTOOLS_SKIP_CHECK: '1' }
  const options = { env: environment, ...toolOptions(context, 'make the disk bootable by UEFI') }
  // --invariant sets a volume id too: ours must come after it.
  const fat = ['--invariant', '-C', '-F', '32', '-s', '1', '-n', 'EFI', '-i', volume, '-h', String(place.start)]
  await run(await needTool('mkfs.fat'), [...fat, image, String(sizeKiB)], options)
  await run(await needTool('mmd'), ['-i', image, '::/EFI', '::/EFI/BOOT'], options)
  await run(await needTool('mcopy'), ['-m', '-i', image, loader, '::/EFI/BOOT/BOOTX64.EFI'], options)
  await copyInto(image, disk, place.start * sectorBytes)
}

/** Copies a file into another, leaving out what is zero anyway: the disk is new. */
async function copyInto(source: string, target: string, offset: number): Promise<void> {
  const content = await readFile(source)
  const chunk = 64 * 1024
  const zero = Buffer.alloc(chunk)
  const file = await open(target, 'r+')
  try {
    for (let at = 0; at < content.length; at += chunk) {
      const part = content.subarray(at, at + chunk)
      if (!part.equals(zero.subarray(0, part.length))) await file.write(part, 0, part.length, offset + at)
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

async function makeImage(target: string, output: string, names: readonly string[], context: Context): Promise<void> {
  const args = ['-O', target, '-o', output, '-p', prefix, ...names]
  await run(await needTool('grub-mkimage'), args, toolOptions(context, 'make the disk bootable'))
}

/** Checks what `installBootLoaders` needs, so that its absence is told at the start. */
export async function needBootLoaders(boot: readonly BootMethod[]): Promise<void> {
  await needTool('grub-mkimage')
  if (boot.includes('bios')) await readBootImage()
  if (boot.includes('uefi')) {
    for (const tool of ['mkfs.fat', 'mmd', 'mcopy']) await needTool(tool)
    await needGrubFile('x86_64-efi/moddep.lst', 'grub-efi-amd64-bin')
  }
}

function readBootImage(): Promise<Buffer> {
  return needGrubFile('i386-pc/boot.img', 'grub-pc-bin')
}

async function needGrubFile(name: string, debianPackage: string): Promise<Buffer> {
  const path = join(grubFolder, name)
  try {
    return await readFile(path)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    throw new UserError(`${path} was not found, which is needed to make a base bootable`, {
      hint: `install it: apt-get install ${debianPackage} (on Debian and Ubuntu)`,
      code: 'tool-missing',
    })
  }
}

function toolOptions(context: Context, purpose: string) {
  return { purpose, reporter: context.reporter, signal: context.signal }
}
