import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { access, open, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { DiskFormat } from '../image/disk-format.ts'
import { run } from '../system/run.ts'
import { findTool, needTool } from '../system/tools.ts'
import { throwIfInterrupted, type MountNamespace } from './namespace.ts'

/** A disk as a file of its plain bytes. */
export interface RawDisk extends AsyncDisposable {
  /** Open it, but never resolve it (`realpath`): it may lead into another process's mount namespace. */
  readonly path: string
  /** The same file as processes in the mount namespace of `holder` see it. */
  readonly innerPath: string
  readonly sizeBytes: number
  /** The process in whose mount namespace the file is; undefined where it is an ordinary file. */
  readonly holder: number | undefined
}

export interface ExposeOptions {
  readonly path: string
  readonly format: DiskFormat
  readonly writable: boolean
  /** An existing folder that is gone when the work is over. */
  readonly workFolder: string
  /** Shows the file in this namespace instead of one of its own. */
  readonly namespace?: MountNamespace
}

/**
 * Shows a disk as a raw file. A qcow2 is served by qemu-storage-daemon through FUSE, in milliseconds and in a mount
 * namespace of its own, so that nothing stays mounted even if this process is killed; where that is not possible, reading
 * gets a sparse copy. Throws UserError with code `disk-unreadable`; writing then has no other way.
 */
export async function exposeRaw(context: Context, options: ExposeOptions): Promise<RawDisk> {
  throwIfInterrupted(context.signal)
  if (options.format === 'raw') {
    const { size } = await stat(options.path)
    return { ...same(options.path), sizeBytes: size, [Symbol.asyncDispose]: () => Promise.resolve() }
  }
  const obstacle = await fuseObstacle()
  if (obstacle === undefined) return exposeByFuse(context, options)
  if (options.writable) {
    throw new UserError(`${options.path} cannot be opened for writing as a raw file: ${obstacle}`, {
      code: 'disk-unreadable',
    })
  }
  return copyRaw(context, options)
}

function same(path: string): Pick<RawDisk, 'path' | 'innerPath' | 'holder'> {
  return { path, innerPath: path, holder: undefined }
}

/** Why disks cannot be shown through FUSE here; undefined where they can. */
export async function fuseObstacle(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'it needs root'
  const daemon = await findTool('qemu-storage-daemon')
  if (daemon === undefined) return 'qemu-storage-daemon is missing'
  for (const tool of ['unshare', 'setpriv']) if ((await findTool(tool)) === undefined) return `${tool} is missing`
  try {
    await access('/dev/fuse')
  } catch {
    return 'there is no /dev/fuse'
  }
  const { stdout } = await run(daemon, ['--help'], { allowFailure: true })
  return /\bfuse,id=/.test(stdout) ? undefined : 'this qemu-storage-daemon has no FUSE'
}

async function exposeByFuse(context: Context, options: ExposeOptions): Promise<RawDisk> {
  const mountPoint = join(options.workFolder, `exposed-${randomBytes(4).toString('hex')}.raw`)
  await writeFile(mountPoint, '')
  const daemon = await startDaemon(daemonArgs(options, mountPoint), options.namespace)
  const path = `/proc/${daemon.child.pid ?? 0}/root${mountPoint}`
  const end = async () => {
    // It writes out what it holds, and unmounts.
    daemon.child.kill('SIGTERM')
    const late = setTimeout(() => daemon.child.kill('SIGKILL'), 30_000)
    await daemon.closed
    clearTimeout(late)
    await rm(mountPoint, { force: true })
  }
  try {
    const sizeBytes = await waitForExport(context, path, daemon)
    return {
      path,
      innerPath: mountPoint,
      sizeBytes,
      holder: daemon.child.pid,
      [Symbol.asyncDispose]: async () => {
        const failed = daemon.child.exitCode !== null
        await end()
        if (failed) throw new UserError(`qemu-storage-daemon ended early: ${daemon.stderr().trim()}`)
      },
    }
  } catch (error) {
    await end()
    throw error
  }
}

function daemonArgs({ path, format, writable }: ExposeOptions, mountPoint: string): readonly string[] {
  const access = writable ? 'read-only=off' : 'read-only=on'
  const file = `driver=file,node-name=file,filename=${escapeComma(path)},${access},discard=unmap`
  const disk = `driver=${format},node-name=disk,file=file,${access},discard=unmap`
  return [
    // Nobody reads the file of a bake that was cut short, so that a flush has nothing to win.
    ...['--blockdev', writable ? `${file},cache.no-flush=on` : file],
    ...[
      '--blockdev',
      format === 'qcow2' ? `${disk},l2-cache-size=33554432${writable ? ',detect-zeroes=unmap' : ''}` : disk,
    ],
    ...[
      '--export',
      `type=fuse,id=export,node-name=disk,mountpoint=${escapeComma(mountPoint)},writable=${writable ? 'on' : 'off'}`,
    ],
  ]
}

function escapeComma(text: string): string {
  return text.replaceAll(',', ',,')
}

interface Daemon {
  readonly child: ChildProcess
  readonly closed: Promise<void>
  stderr(): string
}

async function startDaemon(args: readonly string[], namespace: MountNamespace | undefined): Promise<Daemon> {
  const daemon = ['--pdeathsig', 'KILL', await needTool('qemu-storage-daemon'), ...args]
  const setpriv = await needTool('setpriv')
  const [command, ...rest] =
    namespace === undefined
      ? [await needTool('unshare'), '--mount', '--propagation', 'private', '--', setpriv, ...daemon]
      : namespace.argv(setpriv, daemon)
  // Every one of these becomes the next, so that the kernel ends the last when this process ends, however it does.
  const child = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr = `${stderr}${chunk.toString()}`.slice(-4096)))
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  return { child, closed, stderr: () => stderr }
}

/** The file is empty until the disk is mounted over it. */
async function waitForExport(context: Context, path: string, daemon: Daemon): Promise<number> {
  const deadline = performance.now() + 20_000
  for (;;) {
    throwIfInterrupted(context.signal)
    if (daemon.child.exitCode !== null || daemon.child.signalCode !== null) break
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    )
    if (size > 0) return size
    if (performance.now() > deadline) break
    await sleep(4)
  }
  throw new UserError(`qemu-storage-daemon does not show the disk: ${daemon.stderr().trim() || 'it gives no reason'}`, {
    code: 'disk-unreadable',
  })
}

async function copyRaw(context: Context, options: ExposeOptions): Promise<RawDisk> {
  const path = join(options.workFolder, `copy-${randomBytes(4).toString('hex')}.raw`)
  const { reporter, signal } = context
  try {
    await run(
      await needTool('qemu-img'),
      ['convert', '-f', options.format, '-O', 'raw', '-m', '16', '-W', options.path, path],
      {
        purpose: 'read a disk image',
        reporter,
        signal,
      },
    )
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
  const { size } = await stat(path)
  return { ...same(path), sizeBytes: size, [Symbol.asyncDispose]: () => rm(path, { force: true }) }
}

/** Runs `work` with a function that reads the disk's bytes. */
export async function withReadAt<T>(
  disk: Pick<RawDisk, 'path'>,
  work: (read: (offset: number, length: number) => Promise<Buffer>) => Promise<T>,
): Promise<T> {
  const file = await open(disk.path, 'r')
  try {
    return await work(async (offset, length) => {
      const buffer = Buffer.alloc(length)
      let done = 0
      while (done < length) {
        const { bytesRead } = await file.read(buffer, done, length - done, offset + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return buffer.subarray(0, done)
    })
  } finally {
    await file.close()
  }
}
