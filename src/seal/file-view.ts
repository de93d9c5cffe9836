import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import type { RawDisk } from '../disk/expose.ts'
import { parseFstab, wantedMounts } from '../disk/fstab.ts'
import type { DiskLayout, Partition } from '../disk/layout.ts'
import { mountSystem, type MountedSystem } from '../disk/mount.ts'
import { UserError } from '../errors.ts'
import { tempDir } from '../system/temp.ts'
import { Cleanup } from '../util/cleanup.ts'
import { extPartitions, extPlace, runTool } from './ext.ts'

/** The files of the system on a disk, as a folder. */
export interface FileView extends AsyncDisposable {
  readonly root: string
  readonly how: 'mounted' | 'debugfs'
  /** Absent where the files were copied out. */
  readonly system?: MountedSystem
  /** File systems that the system mounts and that could not be read this way, in words. */
  readonly notLooked: readonly string[]
}

/**
 * Opens the files of a disk: as root mounted read-only, without root copied out by debugfs, which can read ext2 to ext4
 * only. Throws UserError with code `seal-check-needs-root` for other root file systems.
 */
export async function openFileView(
  context: Context,
  disk: RawDisk,
  layout: DiskLayout,
  workFolder: string,
): Promise<FileView> {
  await using stack = new Cleanup()
  const folder = stack.use(await tempDir('look', workFolder))
  if (process.getuid?.() === 0) {
    const system = stack.use(await mountSystem(context, disk, join(folder.path, 'root'), { writable: false }))
    return { ...view(system.root, 'mounted', [], stack.move()), system }
  }
  const root = await findExtRoot(context, disk.path, layout)
  const target = join(folder.path, 'root')
  await dump(context, disk.path, root, target)
  const fstab = parseFstab(await readFile(join(target, 'etc/fstab'), 'utf8').catch(() => ''))
  const notLooked: string[] = []
  for (const mount of wantedMounts(layout, fstab)) {
    if (extPartitions(layout).includes(mount.partition)) {
      await dump(context, disk.path, mount.partition, join(target, mount.target))
    } else {
      notLooked.push(
        `the files of ${mount.target} (${mount.partition.fs?.type ?? 'unknown'}) were not looked at: that needs root`,
      )
    }
  }
  return view(target, 'debugfs', notLooked, stack.move())
}

function view(root: string, how: FileView['how'], notLooked: readonly string[], stack: Cleanup): FileView {
  return { root, how, notLooked, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() }
}

async function findExtRoot(context: Context, rawPath: string, layout: DiskLayout): Promise<Partition> {
  for (const partition of extPartitions(layout)) {
    const found = await runTool(context, 'debugfs', ['-R', 'stat /etc', extPlace(rawPath, partition)])
    if (/Type: directory/.test(found)) return partition
  }
  const types = layout.partitions.flatMap(({ fs }) => fs?.type ?? []).join(', ')
  throw new UserError(`the files of this disk (${types}) can be looked at by root only`, {
    hint: 'without root that is possible for ext2, ext3 and ext4: run the bake as root, or use a base with one of them',
    code: 'seal-check-needs-root',
  })
}

/** Copies a whole file system out. It cannot give files to their owners, and says so for each; nobody asks here. */
async function dump(context: Context, rawPath: string, partition: Partition, target: string): Promise<void> {
  await mkdir(target, { recursive: true })
  await runTool(context, 'debugfs', ['-R', `rdump / ${JSON.stringify(target)}`, extPlace(rawPath, partition)])
}
