import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Context } from '../../src/context.ts'

/** A context for code that only runs commands. */
export function toolContext(signal: AbortSignal = new AbortController().signal): Context {
  return { config: {} as Context['config'], reporter: { emit: () => {}, close: () => {} }, signal }
}

export const asRoot = process.getuid?.() === 0

/** A file of nothing but a hole. */
export function sparseFile(path: string, bytes: number): void {
  const fd = openSync(path, 'w+')
  ftruncateSync(fd, bytes)
  closeSync(fd)
}

/** Backing files of the loop devices that lead into a folder. */
export function loopsIn(folder: string): readonly string[] {
  return readdirSync('/sys/block').flatMap((name) => {
    try {
      const file = readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trim()
      return file.includes(folder) ? [file] : []
    } catch {
      return []
    }
  })
}

/** Command lines of the running processes that name a folder. */
export function processesOf(folder: string): readonly string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return []
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      return line.includes(folder) ? [`${pid} ${line}`] : []
    } catch {
      return []
    }
  })
}

const mib = 1024 * 1024

/** A partition of a disk that is put together from a tree. */
export interface PartSpec {
  readonly type: 'ext4' | 'vfat' | 'btrfs' | 'xfs'
  readonly sizeMiB: number
  readonly uuid: string
  /** Type GUID; Linux data where left out. */
  readonly guid?: string
  /** Fills the mounted file system. */
  readonly fill?: string
}

/** Makes a GPT disk with file systems, filled by shell lines that are run in each one's root. Needs root. */
export function makeDisk(path: string, parts: readonly PartSpec[]): void {
  sparseFile(path, (parts.reduce((sum, { sizeMiB }) => sum + sizeMiB, 0) + 8) * mib)
  let start = 2048
  const lines = parts.map(({ sizeMiB, guid }) => {
    const line = `start=${start}, size=${sizeMiB * 2048}, type=${guid ?? '0FC63DAF-8483-4772-8E79-3D69D8477DE4'}`
    start += sizeMiB * 2048
    return line
  })
  execFileSync('sfdisk', ['-q', path], { input: `label: gpt\n${lines.join('\n')}\n` })
  let offset = mib
  for (const part of parts) {
    fillPartition(path, offset, part)
    offset += part.sizeMiB * mib
  }
}

function fillPartition(disk: string, offset: number, { type, sizeMiB, uuid, fill }: PartSpec): void {
  const file = `${disk}.part`
  sparseFile(file, sizeMiB * mib)
  const format: Record<PartSpec['type'], readonly string[]> = {
    ext4: ['mkfs.ext4', '-q', '-F', '-U', uuid, file],
    vfat: ['mkfs.vfat', '-i', uuid.replace('-', ''), file],
    btrfs: ['mkfs.btrfs', '-q', '-f', '-U', uuid, file],
    xfs: ['mkfs.xfs', '-q', '-f', '-m', `uuid=${uuid}`, file],
  }
  const [command = '', ...args] = format[type]
  execFileSync(command, args, { stdio: 'ignore' })
  if (fill !== undefined) {
    const script =
      'mkdir "$1.mnt" && mount -o loop,nouuid "$1" "$1.mnt" 2>/dev/null || mount -o loop "$1" "$1.mnt" && cd "$1.mnt" && eval "$2"'
    execFileSync('unshare', ['--mount', 'sh', '-ec', script, 'fill', file, fill])
    execFileSync('rmdir', [`${file}.mnt`])
  }
  execFileSync('dd', [
    `if=${file}`,
    `of=${disk}`,
    'bs=1M',
    `seek=${offset / mib}`,
    'conv=notrunc,sparse',
    'status=none',
  ])
  execFileSync('rm', [join(file)])
}
