import { createHash, randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
  stat,
  utimes,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { hasCode, UserError } from '../errors.ts'
import { syncFolder } from '../system/atomic-file.ts'
import { isSafeKey } from './keys.ts'
import { withMachineLock } from './lock.ts'
import type { ObjectInfo, PutCondition } from './object-store.ts'

/** Temporary files and unfinished uploads live here, invisible to every listing. */
export const reservedFolder = '.parbake'

const staleAfterMs = 24 * 3600_000

export interface OpenedObject {
  readonly info: ObjectInfo
  /** Of an immutable file: a put meanwhile makes a new file. The caller closes it. */
  readonly handle: FileHandle
}

export type CommitResult =
  | { readonly outcome: 'stored'; readonly etag: string }
  | { readonly outcome: 'conflict'; readonly missing: boolean }

/**
 * Objects as plain files under one folder, key = relative path. Each put is a new file, written and synced in
 * `.parbake/staging` and moved into place in one rename or link, so that readers see whole objects and acknowledged puts
 * survive kill -9 and power loss. Writers of one key take turns by a machine lock.
 */
export class DirectoryFiles {
  readonly root: string
  readonly staging: string
  #prepared: Promise<void> | undefined

  constructor(root: string) {
    this.root = root
    this.staging = join(root, reservedFolder, 'staging')
  }

  /** True for keys that can be stored here; the reserved folder is not one's own. */
  isKey(key: string): boolean {
    return isSafeKey(key) && key.split('/')[0] !== reservedFolder
  }

  /** A new path for content that `commit` will move into place; the folder exists. */
  async stagingPath(): Promise<string> {
    await this.prepare()
    return join(this.staging, `${process.pid}.${randomBytes(8).toString('hex')}`)
  }

  /** Makes the folders and removes what writers that died left there; once per instance. */
  async prepare(): Promise<void> {
    this.#prepared ??= mkdirDurable(this.staging).then(() => removeStale(this.staging))
    try {
      await this.#prepared
    } catch (error) {
      this.#prepared = undefined
      throw error
    }
  }

  /** Opens the current version, or undefined where there is none. */
  async open(key: string): Promise<OpenedObject | undefined> {
    try {
      // A link could lead out of the directory.
      const handle = await open(this.#path(key), constants.O_RDONLY | constants.O_NOFOLLOW)
      const stats = await handle.stat({ bigint: true })
      if (stats.isFile()) return { info: infoOf(key, stats), handle }
      await handle.close()
      return undefined
    } catch (error) {
      return undefinedIfMissing(error)
    }
  }

  async stat(key: string): Promise<ObjectInfo | undefined> {
    try {
      const stats = await lstat(this.#path(key), { bigint: true })
      return stats.isFile() ? infoOf(key, stats) : undefined
    } catch (error) {
      return undefinedIfMissing(error)
    }
  }

  /** Moves a synced staging file into place if the condition holds; otherwise the caller removes it. */
  async commit(staged: string, key: string, condition?: PutCondition): Promise<CommitResult> {
    const target = this.#path(key)
    return this.#locked(key, async () => {
      const before = await this.stat(key)
      if (condition !== undefined && !holds(condition, before)) {
        return { outcome: 'conflict', missing: before === undefined }
      }
      await keepTimesAscending(staged, before)
      const exclusive = condition !== undefined && 'absent' in condition
      if (!(await moveIntoPlace(staged, target, exclusive))) return { outcome: 'conflict', missing: false }
      const after = await stat(target, { bigint: true })
      return { outcome: 'stored', etag: etagOf(after) }
    })
  }

  async remove(key: string): Promise<void> {
    const target = this.#path(key)
    await this.#locked(key, async () => {
      if ((await this.stat(key)) === undefined) return
      await rm(target, { force: true })
      await this.#removeEmptyFolders(dirname(target))
    })
  }

  async #removeEmptyFolders(folder: string): Promise<void> {
    for (let current = folder; current.length > this.root.length; current = dirname(current)) {
      try {
        await rmdir(current)
      } catch {
        await syncFolder(current).catch(() => undefined)
        return
      }
    }
    await syncFolder(this.root)
  }

  async #locked<T>(key: string, work: () => Promise<T>): Promise<T> {
    await mkdirDurable(this.root)
    return withMachineLock(`${await realpath(this.root)}/${key}`, work)
  }

  #path(key: string): string {
    if (!this.isKey(key)) throw new UserError(`'${key}' cannot be a key in a directory`, { code: 'store-failed' })
    return join(this.root, key)
  }
}

type BigStats = Pick<Awaited<ReturnType<typeof statBig>>, 'ino' | 'size' | 'mtimeNs' | 'mtimeMs'>

function statBig(path: string) {
  return stat(path, { bigint: true })
}

/** The file's identity as an object version. */
export function infoOf(key: string, stats: BigStats): ObjectInfo {
  return { key, sizeBytes: Number(stats.size), etag: etagOf(stats), modifiedMs: Number(stats.mtimeMs) }
}

/**
 * Every put makes a new file with a later time than the one it replaces, so that inode, size and time name one put
 * without reading the content. The `-1` tells clients that it is no MD5, as for multipart uploads.
 */
function etagOf(stats: BigStats): string {
  const text = `${stats.ino}:${stats.size}:${stats.mtimeNs}`
  return `${createHash('sha256').update(text).digest('hex').slice(0, 32)}-1`
}

function holds(condition: PutCondition, current: ObjectInfo | undefined): boolean {
  if ('absent' in condition) return current === undefined
  return current !== undefined && (condition.etag === '*' || condition.etag === current.etag)
}

/** Inode numbers are reused at once, and clocks tick coarsely or step back: the time must tell versions apart. */
async function keepTimesAscending(staged: string, before: ObjectInfo | undefined): Promise<void> {
  if (before === undefined) return
  const { mtimeMs } = await stat(staged)
  const atLeast = before.modifiedMs + 2
  if (mtimeMs < atLeast) await utimes(staged, atLeast / 1000, atLeast / 1000)
}

/** Renames, or links where the target must not exist; false where it did. Folders may vanish while it works. */
async function moveIntoPlace(staged: string, target: string, exclusive: boolean): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    await mkdirDurable(dirname(target))
    try {
      if (exclusive) {
        await link(staged, target)
        await rm(staged, { force: true })
      } else {
        await rename(staged, target)
      }
      await syncFolder(dirname(target))
      return true
    } catch (error) {
      if (exclusive && hasCode(error, 'EEXIST')) return false
      if (!hasCode(error, 'ENOENT') || attempt === 5) throw error
    }
  }
}

/** mkdir -p whose new folders survive power loss. */
async function mkdirDurable(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined) return
  for (let current = folder; current.length >= first.length; current = dirname(current))
    await syncFolder(dirname(current))
}

/** Removes what writers that died left in a folder, files and folders alike. */
export async function removeStale(folder: string, olderThanMs = staleAfterMs): Promise<void> {
  const limit = Date.now() - olderThanMs
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const stats: Stats | undefined = await stat(path).catch(() => undefined)
    if (stats !== undefined && stats.mtimeMs < limit) await rm(path, { recursive: true, force: true })
  }
}

function undefinedIfMissing(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR', 'ELOOP'].some((code) => hasCode(error, code))) return undefined
  throw error
}
