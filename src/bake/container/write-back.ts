import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../context.ts'
import { exposeRaw, type RawDisk } from '../../disk/expose.ts'
import { mountSystem, type MountedSystem } from '../../disk/mount.ts'
import type { MountNamespace } from '../../disk/namespace.ts'
import type { Partition } from '../../disk/layout.ts'
import { createOverlay } from '../../image/qemu-img.ts'
import { phase } from '../../report/events.ts'
import { parseExtents } from '../../seal/ext.ts'
import { run } from '../../system/run.ts'
import { needTool } from '../../system/tools.ts'
import { Cleanup } from '../../util/cleanup.ts'
import type { SealedDisk } from '../engine.ts'
import { findChanges, pathsInLayers, removePaths } from './changes.ts'
import { calmly, layOutInOrder } from './in-order.ts'
import { mountOverlay, upperIn } from './overlay.ts'

export interface LayerWriterOptions {
  /** Where everything is mounted. */
  readonly namespace: MountNamespace
  /** The base's root, as in the namespace. */
  readonly lower: string
  readonly base: RawDisk
  /** Write a qcow2 file that has this one as its backing file; left out: a raw copy of the base. */
  readonly thinOn?: string | undefined
  readonly work: string
}

/**
 * Writes layers into a disk that is at first as the base. Layers that nobody changes any more are written while the system
 * goes on, each once; where the disk is a copy, that is made meanwhile too.
 */
export class LayerWriter implements AsyncDisposable {
  readonly #context: Context
  readonly #options: LayerWriterOptions
  readonly #ended = new AbortController()
  readonly #cleanup = new Cleanup()
  readonly #disk: Promise<OpenDisk>
  /** All that was asked for up to now; fails with what failed first. */
  #done: Promise<number>
  #written = 0

  constructor(context: Context, options: LayerWriterOptions) {
    const signal = AbortSignal.any([context.signal, this.#ended.signal])
    this.#context = { ...context, signal }
    this.#options = options
    this.#disk = this.#open()
    this.#done = this.#disk.then(() => 0)
    // Whoever needs the disk hears of a failure; nobody may.
    this.#done.catch(() => {})
  }

  get isThin(): boolean {
    return this.#options.thinOn !== undefined
  }

  /** Writes these layers (all of them, the lowest first) but for those that were written before. */
  write(layers: readonly string[]): void {
    // One at a time, also where there are several: so a bake that goes on from kept layers fills the same blocks as that
    // which made them.
    for (; this.#written < layers.length; this.#written += 1) {
      const some = layers.slice(0, this.#written + 1)
      this.#done = this.#done.then(async (paths) => paths + (await this.#copy(some)))
      this.#done.catch(() => {})
    }
  }

  /** Writes the rest, and resolves with the disk, which nobody has open any more. */
  async finish(layers: readonly string[]): Promise<SealedDisk> {
    const { sealed } = await phase(
      this.#context.reporter,
      'write the layers to the disk',
      async () => {
        this.write(layers)
        const paths = await this.#done
        const { disk, system, format, path } = await this.#disk
        const { rootPartition } = system
        const options = { purpose: 'write the layers to the disk', signal: this.#context.signal }
        // What is not on the disk yet cannot be trimmed.
        await system.run('sync', ['--file-system', system.innerRoot], options)
        await system.run('fstrim', [system.innerRoot], options)
        await system[Symbol.asyncDispose]()
        if (rootPartition.fs?.type === 'ext4' || rootPartition.fs?.type === 'ext3') {
          await cleanExt(this.#context, disk.path, rootPartition)
        }
        await this.#cleanup[Symbol.asyncDispose]()
        return { paths, sealed: { path, format } }
      },
      ({ paths }) => ({ detail: `${paths} paths` }),
    )
    return sealed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort()
    await this.#done.catch(() => {})
    await this.#cleanup[Symbol.asyncDispose]()
  }

  async #open(): Promise<OpenDisk> {
    const { namespace, thinOn, base, work } = this.#options
    const path = join(work, thinOn === undefined ? 'disk.raw' : 'sealed.qcow2')
    const format = thinOn === undefined ? 'raw' : 'qcow2'
    await rm(path, { force: true })
    if (thinOn === undefined) await copyDisk(this.#context, base.path, path)
    else await createOverlay(path, thinOn, undefined, this.#context)
    const disk = this.#cleanup.use(
      await exposeRaw(this.#context, { path, format, writable: true, workFolder: work, namespace }),
    )
    const system = this.#cleanup.use(
      await mountSystem(this.#context, disk, join(work, 'disk'), {
        ...{ writable: true, inOrder: true, rootOnly: true, namespace },
      }),
    )
    if (system.rootPartition.fs?.type === 'ext4') await layOutInOrder(system.mounts[0]?.device ?? '')
    return { disk, system, format, path }
  }

  /** Writes the last of these layers. */
  async #copy(layers: readonly string[]): Promise<number> {
    const { namespace, lower, work } = this.#options
    const { reporter, signal } = this.#context
    const { system } = await this.#disk
    const merged = join(work, 'merged')
    const place = { namespace, lower, links: join(work, 'written-layers') }
    await mountOverlay(place, layers, merged, { readOnly: true, reporter })
    try {
      const changes = findChanges(pathsInLayers(layers.slice(-1).map(upperIn)), namespace.path(merged), system.root)
      removePaths(system.root, changes.remove)
      const copy = async (paths: readonly string[], ...more: readonly string[]) => {
        const [command, ...args] = await calmly(await needTool('rsync'), [
          // In place, for nothing is in the way: so no temporary names get into the folders of the disk. Times to the
          // nanosecond: or a folder would keep that of the copy where both are of the same second.
          ...['-aHAX', ...more, '--numeric-ids', '--ignore-times', '--modify-window=-1', '--inplace', '--from0'],
          ...['--files-from=-', `${merged}/`, `${system.innerRoot}/`],
        ])
        const options = { purpose: 'write the layers to the disk', reporter, signal, input: paths.join('\0') }
        await namespace.run(command, args, options)
      }
      if (changes.sparse.length > 0) await copy(changes.sparse, '--sparse')
      // After it, for this sets the times of folders.
      await copy(changes.copy)
      return changes.copy.length + changes.sparse.length
    } finally {
      await namespace.run('umount', ['--lazy', merged], { allowFailure: true })
    }
  }
}

interface OpenDisk extends SealedDisk {
  readonly disk: RawDisk
  readonly system: MountedSystem
}

/** Where the file system can, it is a matter of an instant. */
async function copyDisk({ reporter, signal }: Context, from: string, to: string): Promise<void> {
  const [command, ...args] = await calmly(await needTool('cp'), ['--reflink=auto', '--sparse=always', from, to])
  await run(command, args, {
    ...{ purpose: "copy the base's disk", reporter, signal },
  })
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
