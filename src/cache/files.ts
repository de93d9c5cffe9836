import { lstat, readdir, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** What the cache holds without a record of it: a file, or a folder that is used as a whole. */
export interface LooseFile {
  readonly kind: keyof typeof folders
  readonly name: string
  readonly path: string
  /** What it takes up: holes do not count. */
  readonly bytes: number
  /** When it was read or written last, as far as the file system notes it. */
  readonly usedAtMs: number
}

/** Images, logs of guests, unpacked disks of bases, revisions of git repositories, compiled commands, what checks said. */
const folders = { image: 'images', log: 'logs', raw: 'raw', git: 'git', compiled: 'compiled', lint: 'lint' } as const

/** Those that hold folders; what else is a folder is at work. */
const ofFolders: ReadonlySet<LooseFile['kind']> = new Set(['git', 'lint'])

/** The files of one kind, used longest ago first. Links, which thin images have to their bases, do not count. */
export async function looseFiles(cacheDir: string, kind: LooseFile['kind']): Promise<readonly LooseFile[]> {
  const folder = join(cacheDir, folders[kind])
  const names = await readdir(folder).catch(() => [])
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      const use = name === '.lock' ? undefined : await useOf(path, ofFolders.has(kind))
      return use === undefined ? [] : [{ kind, name, path, ...use }]
    }),
  )
  return files.flat().toSorted((a, b) => a.usedAtMs - b.usedAtMs)
}

/** Undefined for links, for folders where they are not wanted, and for what has gone meanwhile. */
async function useOf(path: string, withFolders: boolean): Promise<Pick<LooseFile, 'bytes' | 'usedAtMs'> | undefined> {
  const info = await lstat(path).catch(() => undefined)
  if (info?.isFile() === true) {
    return { bytes: Math.min(info.size, info.blocks * 512), usedAtMs: Math.max(info.mtimeMs, info.atimeMs) }
  }
  if (!withFolders || info?.isDirectory() !== true) return undefined
  const names = await readdir(path).catch(() => [])
  const inside = await Promise.all(names.map((name) => useOf(join(path, name), true)))
  // When a folder itself was read says nothing: this reads it.
  return inside.reduce<Pick<LooseFile, 'bytes' | 'usedAtMs'>>(
    (sum, use) => ({
      bytes: sum.bytes + (use?.bytes ?? 0),
      usedAtMs: Math.max(sum.usedAtMs, use?.usedAtMs ?? 0),
    }),
    { bytes: 0, usedAtMs: info.mtimeMs },
  )
}

/** Removes those that were not used since `before` (milliseconds) and that no process has open. */
export async function pruneLoose(
  files: readonly LooseFile[],
  before: number,
  dryRun: boolean,
): Promise<readonly LooseFile[]> {
  // What is just being fetched has a name for the time.
  const dayAgo = Date.now() - 86_400_000
  const isOld = ({ name, usedAtMs }: LooseFile) =>
    usedAtMs < (name.startsWith('parbake-') ? Math.min(before, dayAgo) : before)
  const old = files.filter(isOld)
  if (old.length === 0) return []
  const open = await openFiles()
  const victims = old.filter(({ path }) => ![...open].some((each) => each === path || each.startsWith(`${path}/`)))
  if (!dryRun) for (const { path } of victims) await rm(path, { recursive: true, force: true })
  return victims
}

/** Paths that processes have open, as far as this user may see them. */
async function openFiles(): Promise<ReadonlySet<string>> {
  const processes = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const paths = await Promise.all(
    processes.map(async (pid) => {
      const folder = `/proc/${pid}/fd`
      const names = await readdir(folder).catch(() => [])
      return Promise.all(names.map((name) => readlink(join(folder, name)).catch(() => '')))
    }),
  )
  return new Set(paths.flat())
}
