import { lstat, readdir, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** A file of the cache that nothing keeps a record of: an image, a log of a guest, the unpacked disk of a base. */
export interface LooseFile {
  readonly kind: 'image' | 'log' | 'raw'
  readonly name: string
  readonly path: string
  /** What it takes up: holes do not count. */
  readonly bytes: number
  /** When it was read or written last, as far as the file system notes it. */
  readonly usedAtMs: number
}

const folders = { image: 'images', log: 'logs', raw: 'raw' } as const

/** The files of one kind, used longest ago first. Links, which thin images have to their bases, do not count. */
export async function looseFiles(cacheDir: string, kind: LooseFile['kind']): Promise<readonly LooseFile[]> {
  const folder = join(cacheDir, folders[kind])
  const names = await readdir(folder).catch(() => [])
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      const info = await lstat(path).catch(() => undefined)
      if (info?.isFile() !== true || name === '.lock') return []
      const bytes = Math.min(info.size, info.blocks * 512)
      return [{ kind, name, path, bytes, usedAtMs: Math.max(info.mtimeMs, info.atimeMs) }]
    }),
  )
  return files.flat().toSorted((a, b) => a.usedAtMs - b.usedAtMs)
}

/** Removes those that were not used since `before` (milliseconds) and that no process has open. */
export async function pruneLoose(
  files: readonly LooseFile[],
  before: number,
  dryRun: boolean,
): Promise<readonly LooseFile[]> {
  const old = files.filter(({ usedAtMs }) => usedAtMs < before)
  if (old.length === 0) return []
  const open = await openFiles()
  const victims = old.filter(({ path }) => !open.has(path))
  if (!dryRun) for (const { path } of victims) await rm(path, { force: true })
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
