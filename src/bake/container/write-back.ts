import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../context.ts'
import { exposeRaw, type RawDisk } from '../../disk/expose.ts'
import { mountSystem } from '../../disk/mount.ts'
import type { MountNamespace } from '../../disk/namespace.ts'
import type { Partition } from '../../disk/layout.ts'
import { createOverlay } from '../../image/qemu-img.ts'
import { phase } from '../../report/events.ts'
import { parseExtents } from '../../seal/ext.ts'
import { run } from '../../system/run.ts'
import { needTool } from '../../system/tools.ts'
import type { SealedDisk } from '../engine.ts'
import { findChanges, pathsInLayers, removePaths } from './changes.ts'
import { upperIn } from './overlay.ts'

export interface WriteBackInput {
  /** Where everything is mounted. */
  readonly namespace: MountNamespace
  /** The merged tree, as in the namespace; nothing may change it meanwhile. */
  readonly merged: string
  /** The layers that differ from the base, the lowest first. */
  readonly layers: readonly string[]
  readonly work: string
}

/** Writes what the layers hold into a raw copy of the base's disk. */
export async function writeWhole(context: Context, input: WriteBackInput, copy: RawDisk): Promise<SealedDisk> {
  await writeInto(context, input, copy)
  return { path: copy.path, format: 'raw' }
}

/** Writes what the layers hold into a qcow2 file that has the base as its backing file. */
export async function writeThin(context: Context, input: WriteBackInput, base: string): Promise<SealedDisk> {
  const path = join(input.work, 'sealed.qcow2')
  await rm(path, { force: true })
  await createOverlay(path, base, undefined, context)
  await using disk = await exposeRaw(context, {
    ...{ path, format: 'qcow2', writable: true, workFolder: input.work, namespace: input.namespace },
  })
  await writeInto(context, input, disk)
  return { path, format: 'qcow2' }
}

async function writeInto(context: Context, input: WriteBackInput, disk: RawDisk): Promise<void> {
  await phase(
    context.reporter,
    'write the layers to the disk',
    async () => {
      const written = await copyChanges(context, input, disk)
      if (written.partition.fs?.type === 'ext4' || written.partition.fs?.type === 'ext3') {
        await cleanExt(context, disk.path, written.partition)
      }
      return written
    },
    ({ paths }) => ({ detail: `${paths} paths` }),
  )
}

interface Written {
  readonly paths: number
  readonly partition: Partition
}

async function copyChanges(context: Context, input: WriteBackInput, disk: RawDisk): Promise<Written> {
  const { reporter, signal } = context
  const options = { purpose: 'write the layers to the disk', reporter, signal }
  const { namespace, merged } = input
  await using system = await mountSystem(context, disk, join(input.work, 'disk'), {
    ...{ writable: true, rootOnly: true, namespace },
  })
  const changes = findChanges(pathsInLayers(input.layers.map(upperIn)), namespace.path(merged), system.root)
  removePaths(system.root, changes.remove)
  await namespace.run(
    await needTool('rsync'),
    [
      // In place, for nothing is in the way: so no temporary names get into the folders of the disk. Times to the
      // nanosecond: or a folder would keep that of the copy where both are of the same second.
      ...['-aHAXS', '--numeric-ids', '--ignore-times', '--modify-window=-1', '--inplace', '--from0', '--files-from=-'],
      ...[`${merged}/`, `${system.innerRoot}/`],
    ],
    { ...options, input: changes.copy.join('\0') },
  )
  // What is not on the disk yet cannot be trimmed.
  await system.run('sync', ['--file-system', system.innerRoot], options)
  await system.run('fstrim', [system.innerRoot], options)
  return { paths: changes.copy.length, partition: system.rootPartition }
}

/**
 * Takes what mounting left out of an ext file system: old blocks in its journal, which a clean one does not need, and the
 * folder of this machine that it was mounted at, instead of which a booted system would have written its root.
 */
async function cleanExt(context: Context, path: string, partition: Partition): Promise<void> {
  const { reporter, signal } = context
  const device = `${path}?offset=${partition.startBytes}`
  const debugfs = await needTool('debugfs')
  const { stdout } = await run(debugfs, ['-R', 'stat <8>', device], { allowFailure: true, signal })
  const stats = await run(debugfs, ['-R', 'stats -h', device], { allowFailure: true, signal })
  const blockSize = Number(/^Block size:\s+(\d+)$/m.exec(stats.stdout)?.[1])
  if (!Number.isNaN(blockSize)) {
    for (const { first, count } of journalExtents(stdout)) {
      await zero(context, path, partition.startBytes + first * blockSize, count * blockSize)
    }
  }
  await run(debugfs, ['-w', '-R', 'set_super_value last_mounted /', device], { allowFailure: true, reporter, signal })
}

/** The largest cluster in which a disk image keeps or drops its bytes as a whole. */
const clusterBytes = 65_536

/** Zeroes a range of a disk and gives its space back. A hole leaves what shares a cluster with its ends, so those are written. */
async function zero({ reporter, signal }: Context, path: string, offset: number, length: number): Promise<void> {
  const edge = Math.min(length, 2 * clusterBytes)
  const file = await open(path, 'r+')
  try {
    for (const at of [offset, offset + length - edge]) await file.write(Buffer.alloc(edge), 0, edge, at)
  } finally {
    await file.close()
  }
  await run(
    await needTool('fallocate'),
    ['--punch-hole', '--offset', String(offset), '--length', String(length), path],
    { purpose: 'clean the journal of a disk', reporter, signal },
  )
}

/** The blocks of a journal but its first, which is its header, from what debugfs says about inode 8. Pure. */
export function journalExtents(text: string): readonly { readonly first: number; readonly count: number }[] {
  return parseExtents(text)
    .filter(({ length }) => length > 0)
    .map(({ start, length }) => ({ first: start, count: length }))
}
