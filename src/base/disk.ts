import { chmod, mkdir, open, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Context } from '../context.ts'
import { run } from '../system/run.ts'
import { needTool } from '../system/tools.ts'
import { needBootLoaders } from './boot-loader.ts'
import type { BaseDefinition, BaseDisk } from './definition.ts'
import { sectorBytes, sfdiskScript, type PlannedPartition } from './disk-plan.ts'

/** ext4 as GRUB 2.06 can read it. */
const fileSystemFeatures = '^metadata_csum_seed,^orphan_file'

/** Writes the partition table onto a new sparse file. */
export async function partitionDisk(
  path: string,
  disk: BaseDisk,
  partitions: readonly PlannedPartition[],
  context: Context,
): Promise<void> {
  const file = await open(path, 'wx')
  await file.truncate(disk.sizeMiB * 1024 * 1024)
  await file.close()
  await run(await needTool('sfdisk'), ['--quiet', '--no-reread', '--no-tell-kernel', path], {
    ...options(context, 'partition the disk'),
    input: sfdiskScript(disk, partitions),
  })
}

/**
 * Unpacks a tar of a file tree and makes the root file system from it inside the disk, without mounting anything. As a
 * user without root it does so in a user namespace, where the files can have their owners.
 */
export async function writeRootFileSystem(
  paths: { readonly folder: string; readonly tree: string; readonly disk: string },
  disk: BaseDisk,
  place: PlannedPartition,
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
  const sizeKiB = (place.sectors * sectorBytes) / 1024
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
      LABEL: disk.rootLabel,
      UUID: disk.rootUuid,
      FEATURES: fileSystemFeatures,
      // The file is new, hence zero: saying so spares the guest from zeroing inode tables at its first boot.
      EXTENDED: [
        `offset=${place.start * sectorBytes}`,
        `hash_seed=${disk.rootUuid}`,
        'assume_storage_prezeroed=1',
        'nodiscard',
      ].join(','),
      SOURCE_DATE_EPOCH: String(epoch),
      E2FSPROGS_FAKE_TIME: String(epoch),
    },
  })
}

/** Checks the parts that are needed at the end, so that their absence is told at the start. */
export async function needDiskTools(definition: BaseDefinition): Promise<void> {
  for (const tool of ['sfdisk', 'tar', 'mke2fs', 'qemu-img']) await needTool(tool)
  if (process.getuid?.() !== 0) await needTool('unshare', 'build a base without root')
  await needBootLoaders(definition.boot)
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
