import { lstat, mkdir, readdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { RunOptions, RunResult } from '../system/run.ts'
import { Cleanup } from '../util/cleanup.ts'
import { withReadAt, type RawDisk } from './expose.ts'
import { isMountable, parseFstab, subvolumeOf, wantedMounts, type FstabEntry, type WantedMount } from './fstab.ts'
import { readLayout, type DiskLayout, type Partition } from './layout.ts'
import { waitUntilFree } from './loop.ts'
import { openNamespace, throwIfInterrupted, type MountNamespace } from './namespace.ts'

/** The system on a disk, mounted in a mount namespace of its own. */
export interface MountedSystem extends AsyncDisposable {
  /**
   * Folder of its root file system as this process opens it (`/proc/PID/root/…`). Never resolve it (`realpath`), and mind
   * that absolute links in it lead elsewhere.
   */
  readonly root: string
  /** The same folder as commands see it that `run` starts. */
  readonly innerRoot: string
  readonly layout: DiskLayout
  readonly rootPartition: Partition
  /** All that is mounted, the root first; targets as in the system itself. */
  readonly mounts: readonly SystemMount[]
  /** What the system's fstab mounts from this disk besides its root. */
  readonly wanted: readonly WantedMount[]
  /** Those of them that are not mounted, for this kernel does not know their file system, or their place is no folder. */
  readonly missing: readonly WantedMount[]
  readonly namespace: MountNamespace
  /** Runs a command that sees the mounted system at `innerRoot`. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<RunResult>
}

export interface SystemMount {
  readonly target: string
  readonly partition: Partition
  readonly device: string
}

export interface MountOptions {
  readonly writable: boolean
  /** Mounts in this namespace instead of an own one, and leaves it open. */
  readonly namespace?: MountNamespace
  /** Finds space when something is written and not when it goes to the disk: the same writes then fill the same blocks. */
  readonly inOrder?: boolean
  /** Mounts nothing but the root file system; `wanted` still says what else fstab names. */
  readonly rootOnly?: boolean
}

/**
 * Finds the root file system of a disk and mounts it at `folder`, and what its fstab wants from the same disk below it.
 * Needs root and loop devices, but no kernel that scans partitions. Disposing it unmounts and frees the loop devices; if
 * this process is killed, the kernel does. Throws UserError with code `no-system` where the disk holds no Linux system.
 */
export async function mountSystem(
  context: Context,
  disk: RawDisk,
  folder: string,
  options: MountOptions,
): Promise<MountedSystem> {
  throwIfInterrupted(context.signal)
  const layout = await withReadAt(disk, (read) => readLayout(read, disk.sizeBytes))
  await using stack = new Cleanup()
  if (await makeFolder(folder)) stack.defer(() => rmdir(folder).catch(() => {}))
  const namespace =
    options.namespace ?? stack.use(await openNamespace(context, disk.holder === undefined ? {} : { from: disk.holder }))
  const mounter = new Mounter(context, disk, namespace, options)
  stack.defer(() => mounter.unmountAll())
  const found = await findRoot(mounter, layout, folder)
  const mounts: SystemMount[] = [{ target: '/', partition: found.partition, device: mounter.deviceAt(folder) }]
  const wanted = wantedMounts(layout, found.fstab)
  const missing: WantedMount[] = []
  for (const want of options.rootOnly === true ? [] : wanted) {
    const { target, partition, subvolume } = want
    const place = join(folder, target)
    if (!(await isPlainFolder(namespace, folder, target)) || !(await kernelKnows(namespace, partition))) {
      missing.push(want)
      continue
    }
    await mounter.mount(partition, place, subvolume === undefined ? [] : [`subvol=${subvolume}`])
    mounts.push({ target, partition, device: mounter.deviceAt(place) })
  }
  const kept = stack.move()
  return {
    root: namespace.path(folder),
    innerRoot: folder,
    layout,
    rootPartition: found.partition,
    mounts,
    wanted,
    missing,
    namespace,
    run: (command, args, runOptions) => namespace.run(command, args, runOptions),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  }
}

/** True where the folder did not exist. */
async function makeFolder(folder: string): Promise<boolean> {
  return (await mkdir(folder, { recursive: true })) !== undefined
}

interface FoundRoot {
  readonly partition: Partition
  readonly fstab: readonly FstabEntry[]
}

/** Leaves the root file system mounted at `folder`. A system with an fstab is preferred to one without. */
async function findRoot(mounter: Mounter, layout: DiskLayout, folder: string): Promise<FoundRoot> {
  const candidates = layout.partitions.filter(
    (partition) => isMountable(partition) && partition.role !== 'esp' && partition.fs?.type !== 'vfat',
  )
  for (const wanted of ['with fstab', 'any'] as const) {
    for (const partition of candidates) {
      for await (const options of rootOptions(mounter, partition, folder)) {
        await mounter.mount(partition, folder, options)
        const fstab = await readSystem(mounter.namespace.path(folder))
        if (fstab !== undefined && (fstab.length > 0 || wanted === 'any')) return { partition, fstab }
        await mounter.unmount(folder)
      }
    }
  }
  throw new UserError('no Linux system was found on the disk', {
    hint: `it has ${describe(layout)}; volumes of LVM or LUKS cannot be opened`,
    code: 'no-system',
  })
}

function describe(layout: DiskLayout): string {
  const partitions = layout.partitions.map(({ number, fs, role }) => `${number}: ${fs?.type ?? role}`)
  return partitions.length === 0 ? 'no partitions' : `the partitions ${partitions.join(', ')}`
}

/** Ways to mount a partition that may hold a root file system: for btrfs the default subvolume, then the others. */
async function* rootOptions(
  mounter: Mounter,
  partition: Partition,
  folder: string,
): AsyncGenerator<readonly string[], void, undefined> {
  yield []
  if (partition.fs?.type !== 'btrfs') return
  await mounter.mount(partition, folder, ['subvolid=5'])
  const top = mounter.namespace.path(folder)
  const systems: string[] = []
  for (const name of await subfolders(top)) {
    for (const path of [name, ...(await subfolders(join(top, name))).map((child) => join(name, child))]) {
      const fstab = await readSystem(join(top, path))
      if (fstab === undefined) continue
      const root = fstab.find(({ target }) => target === '/')
      // What the system itself calls its root comes before its snapshots.
      if (root !== undefined && subvolumeOf(root.options) === path) systems.unshift(path)
      else systems.push(path)
    }
  }
  await mounter.unmount(folder)
  for (const path of systems) yield [`subvol=${path}`]
}

async function subfolders(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

/** The fstab of a system (empty where it has none), or undefined where the folder holds no system. */
async function readSystem(root: string): Promise<readonly FstabEntry[] | undefined> {
  const releases = await Promise.all(['etc/os-release', 'usr/lib/os-release'].map((path) => exists(join(root, path))))
  if (!releases.includes(true) || !(await isFolder(join(root, 'etc')))) return undefined
  const path = join(root, 'etc/fstab')
  // A link could lead out of the disk.
  const found = await lstat(path).catch(() => undefined)
  return found?.isFile() === true ? parseFstab(await readFile(path, 'utf8')) : []
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() === true
}

/** Whether the kernel can mount the file system; its module is loaded by that where it is one. */
async function kernelKnows(namespace: MountNamespace, { fs }: Partition): Promise<boolean> {
  const type = fs?.type ?? ''
  const known = async () => new RegExp(`\\t${type}$`, 'm').test(await readFile('/proc/filesystems', 'utf8'))
  if (await known()) return true
  await namespace.run('sh', ['-c', 'modprobe -q "$1"', 'modprobe', type], { allowFailure: true })
  return known()
}

/** True where no part of the path below `root` is a link, which could lead out of the disk. */
async function isPlainFolder(namespace: MountNamespace, root: string, target: string): Promise<boolean> {
  let path = namespace.path(root)
  for (const part of target.split('/').filter((word) => word !== '')) {
    path = join(path, part)
    if (!(await isFolder(path))) return false
  }
  return true
}

/**
 * Attaches and mounts in one go, so that a kill leaves at most for an instant what nobody frees: a mounted loop device
 * that was detached goes with its mount. Prints the device.
 */
const mountScript = `
device=$(losetup --find --show --offset "$1" --sizelimit "$2" $3 "$4") || exit
mount -t "$5" -o "$6" "$device" "$7"
status=$?
losetup --detach "$device" 2>/dev/null
echo "$device"
exit $status
`

/** Mounts partitions of one disk, and knows what it has mounted. */
class Mounter {
  readonly namespace: MountNamespace
  readonly #context: Context
  readonly #disk: RawDisk
  readonly #writable: boolean
  readonly #inOrder: boolean
  #mounted: { readonly place: string; readonly device: string }[] = []

  constructor(context: Context, disk: RawDisk, namespace: MountNamespace, { writable, inOrder }: MountOptions) {
    this.#context = context
    this.#disk = disk
    this.namespace = namespace
    this.#writable = writable
    this.#inOrder = inOrder === true
  }

  deviceAt(place: string): string {
    return this.#mounted.find((mount) => mount.place === place)?.device ?? ''
  }

  async mount(partition: Partition, place: string, extra: readonly string[]): Promise<void> {
    throwIfInterrupted(this.#context.signal)
    const type = partition.fs?.type ?? 'auto'
    const { stdout } = await this.namespace.run(
      'sh',
      [
        ...['-c', mountScript, 'mount', String(partition.startBytes), String(partition.sizeBytes)],
        ...[this.#writable ? '' : '--read-only', this.#disk.innerPath],
        ...[type, [...mountOptions(type, this.#writable, this.#inOrder), ...extra].join(','), place],
      ],
      { purpose: `mount partition ${partition.number} (${type}) of a disk`, reporter: this.#context.reporter },
    )
    this.#mounted.push({ place, device: stdout.trim() })
  }

  async unmount(place: string): Promise<void> {
    const device = this.deviceAt(place)
    this.#mounted = this.#mounted.filter((mount) => mount.place !== place)
    const why = await this.#tryUnmount(place)
    await waitUntilFree(device)
    if (why !== undefined && this.#writable) {
      throw new UserError(`what was written to a disk may be incomplete, for it cannot be unmounted: ${why}`, {
        code: 'unmount-failed',
      })
    }
  }

  /** Why it could only be detached from the tree; undefined where it is gone. */
  async #tryUnmount(place: string): Promise<string | undefined> {
    let why = ''
    for (const delay of [0, 100, 400, 1500]) {
      // Something of ours may still be closing its files.
      await sleep(delay)
      const { exitCode, stderr } = await this.namespace.run('umount', [place], { allowFailure: true })
      if (exitCode === 0) return undefined
      why = stderr.trim()
    }
    await this.namespace.run('umount', ['--lazy', place], { allowFailure: true })
    return why
  }

  async unmountAll(): Promise<void> {
    for (const { place } of this.#mounted.toReversed()) await this.unmount(place)
  }
}

/** A file system that is only looked at must not be changed, not even by a replay of its journal. */
export function mountOptions(type: string, writable: boolean, inOrder = false): readonly string[] {
  const common = ['nosuid', 'nodev', ...(type === 'xfs' ? ['nouuid'] : [])]
  if (writable) return ['rw', ...common, ...(inOrder && type === 'ext4' ? ['nodelalloc'] : [])]
  const noReplay: Readonly<Record<string, string>> = {
    ext3: 'noload',
    ext4: 'noload',
    xfs: 'norecovery',
    btrfs: 'rescue=nologreplay',
  }
  return ['ro', ...common, ...(noReplay[type] === undefined ? [] : [noReplay[type]])]
}
