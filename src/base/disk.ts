import { chmod, mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Context } from '../context.ts'
import { hasCode, UserError } from '../errors.ts'
import { run } from '../system/run.ts'
import { needTool } from '../system/tools.ts'
import type { BaseDefinition } from './definition.ts'

const sectorBytes = 512
/** Where the root partition begins: 1 MiB, which leaves GRUB's core the sectors before it. */
const firstSector = 2048
const grubFolder = '/usr/lib/grub/i386-pc'
const grubModules = [
  ...['biosdisk', 'part_msdos', 'part_gpt', 'ext2', 'search', 'search_fs_uuid', 'search_label'],
  ...['normal', 'linux', 'configfile', 'serial', 'terminal', 'echo', 'test', 'ls', 'cat', 'reboot', 'halt'],
]

/** ext4 as GRUB 2.06 can read it. */
const fileSystemFeatures = '^metadata_csum_seed,^orphan_file'

/** Writes an MBR partition table with one bootable Linux partition onto a new sparse file. */
export async function partitionDisk(disk: string, definition: BaseDefinition, context: Context): Promise<void> {
  const file = await open(disk, 'wx')
  await file.truncate(definition.diskSizeMiB * 1024 * 1024)
  await file.close()
  const table = `label: dos\nlabel-id: ${definition.diskId}\nstart=${firstSector}, type=83, bootable\n`
  await run(await needTool('sfdisk'), ['--quiet', '--no-reread', '--no-tell-kernel', disk], {
    ...options(context, 'partition the disk'),
    input: table,
  })
}

/**
 * Unpacks a tar of a file tree and makes the root file system from it inside the disk, without mounting anything. As a
 * user without root it does so in a user namespace, where the files can have their owners.
 */
export async function writeRootFileSystem(
  paths: { readonly folder: string; readonly tree: string; readonly disk: string },
  definition: BaseDefinition,
  epoch: number,
  context: Context,
): Promise<void> {
  const script = `
set -eu
trap 'rm -rf tree' EXIT
trap 'exit 143' TERM INT HUP
mkdir tree
# The kernel fills /dev; device nodes cannot be made in a user namespace.
"$TAR" -C tree --numeric-owner --same-owner --xattrs --xattrs-include='*' --exclude='./dev/*' -xpf "$TREE"
"$MKE2FS" -q -F -t ext4 -b 4096 -m 1 -L "$LABEL" -U "$UUID" -O "$FEATURES" -E "$EXTENDED" -d tree "$DISK" "$SIZE"
`
  const sizeKiB = definition.diskSizeMiB * 1024 - (firstSector * sectorBytes) / 1024
  const shell = ['sh', '-c', script]
  const [command = 'sh', ...args] =
    process.getuid?.() === 0
      ? shell
      : [await needTool('unshare', 'own files as root'), '--user', '--map-root-user', '--map-auto', '--', ...shell]
  await run(command, args, {
    ...options(context, 'make the file system'),
    cwd: paths.folder,
    env: {
      TAR: await needTool('tar'),
      MKE2FS: await needTool('mke2fs'),
      TREE: paths.tree,
      DISK: paths.disk,
      SIZE: `${sizeKiB}k`,
      LABEL: definition.rootLabel,
      UUID: definition.rootUuid,
      FEATURES: fileSystemFeatures,
      // The file is new, hence zero: saying so spares the guest from zeroing inode tables at its first boot.
      EXTENDED: [
        `offset=${firstSector * sectorBytes}`,
        `hash_seed=${definition.rootUuid}`,
        'assume_storage_prezeroed=1',
        'nodiscard',
      ].join(','),
      SOURCE_DATE_EPOCH: String(epoch),
      E2FSPROGS_FAKE_TIME: String(epoch),
    },
  })
}

/** Puts GRUB into the sectors before the first partition: boot.img into sector 0, core.img from sector 1 on. */
export async function installGrub(folder: string, disk: string, context: Context): Promise<void> {
  const core = join(folder, 'core.img')
  const grub = await needTool('grub-mkimage')
  await run(
    grub,
    ['-O', 'i386-pc', '-o', core, '-p', '(hd0,msdos1)/boot/grub', ...grubModules],
    options(context, 'make the disk bootable'),
  )
  const coreImage = await readFile(core)
  const bootImage = await readBootImage()
  if (coreImage.length > (firstSector - 1) * sectorBytes) {
    throw new UserError(`GRUB's core image of ${coreImage.length} bytes does not fit before the first partition`)
  }
  const file = await open(disk, 'r+')
  try {
    // What follows byte 440 is the partition table.
    await file.write(bootImage, 0, 440, 0)
    await file.write(coreImage, 0, coreImage.length, sectorBytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function readBootImage(): Promise<Buffer> {
  try {
    return await readFile(join(grubFolder, 'boot.img'))
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    throw new UserError(`${grubFolder}/boot.img was not found, which is needed to make a base bootable`, {
      hint: 'install it: apt-get install grub-pc-bin (on Debian and Ubuntu)',
      code: 'tool-missing',
    })
  }
}

/** Checks the parts that are needed at the end, so that their absence is told at the start. */
export async function needDiskTools(): Promise<void> {
  for (const tool of ['sfdisk', 'tar', 'mke2fs', 'grub-mkimage', 'qemu-img']) await needTool(tool)
  if (process.getuid?.() !== 0) await needTool('unshare', 'build a base without root')
  await readBootImage()
}

/** Writes a tar with a definition's own files, owned by root. */
export async function writeOverlayTar(
  folder: string,
  definition: BaseDefinition,
  sources: string,
  epoch: number,
  context: Context,
): Promise<string> {
  const tar = join(folder, 'overlay.tar')
  const root = join(folder, 'overlay')
  const files = [...definition.files, { path: '/etc/apt/sources.list', mode: '0644', content: sources }]
  for (const { path, mode, content } of files) {
    const target = join(root, path)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, content)
    await chmod(target, Number.parseInt(mode, 8))
  }
  // Files only: folders in the archive would change the modes of those in the tree.
  const names = files.map(({ path }) => `.${path}`).toSorted()
  await run(
    await needTool('tar'),
    [
      '-C',
      root,
      '--format=ustar',
      '--owner=0',
      '--group=0',
      '--numeric-owner',
      `--mtime=@${epoch}`,
      '-cf',
      tar,
      ...names,
    ],
    options(context, 'pack the files of a base'),
  )
  return tar
}

function options(context: Context, purpose: string) {
  return { purpose, reporter: context.reporter, signal: context.signal }
}
