import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat, utimes, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { missingBytes, spaceAt } from '../step-cache/limits.ts'
import { sha256 } from '../util/sha256.ts'

/** What is written before the content of a kept file, as one line of JSON. */
export interface FileHead {
  readonly url: string
  readonly bytes: number
  /** Headers that are given back. */
  readonly headers: Readonly<Record<string, string>>
  readonly sha256?: string
}

/** A file open for reading. Close the handle. */
export interface OpenFile {
  readonly path: string
  readonly head: FileHead
  readonly handle: FileHandle
  /** Where the content begins. */
  readonly offset: number
}

const maxHeadBytes = 8192
/** A partial file that nobody has written to for so long has lost its process. */
const abandonedMs = 3_600_000

/** The folder of kept packages: one file per URL, named by the URL's digest, used last at its mtime. */
export class PackageFiles {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Where the file of a URL is, if it is there. */
  pathOf(url: string): string {
    return join(this.#folder, sha256(url))
  }

  /** Opens the kept file of a URL; one that is not whole is removed and counts as none. */
  async open(url: string): Promise<OpenFile | undefined> {
    const path = this.pathOf(url)
    const handle = await open(path, 'r').catch(() => undefined)
    if (handle === undefined) return undefined
    const file = await readHead(handle)
    if (file === undefined || file.head.url !== url) {
      await handle.close()
      await rm(path, { force: true })
      return undefined
    }
    const now = new Date()
    await utimes(path, now, now).catch(() => {})
    return { path, handle, ...file }
  }

  /** Begins a file that is seen by nobody until `commit`. Throws where the folder cannot be written to. */
  async begin(head: FileHead): Promise<OpenFile> {
    await mkdir(this.#folder, { recursive: true })
    const path = join(this.#folder, `${sha256(head.url)}.${randomBytes(4).toString('hex')}.part`)
    const line = Buffer.from(`${JSON.stringify(head)}\n`)
    if (line.length > maxHeadBytes) throw new Error('too many headers')
    const handle = await open(path, 'wx+', 0o644)
    try {
      await handle.write(line, 0, line.length, 0)
      return { path, head, handle, offset: line.length }
    } catch (error) {
      await handle.close()
      await rm(path, { force: true })
      throw error
    }
  }

  /** Makes a finished file the one of its URL. */
  async commit(file: OpenFile): Promise<void> {
    await rename(file.path, this.pathOf(file.head.url))
  }

  /** Is there room for a file, and is it not itself larger than all that may be kept? */
  async hasRoom(bytes: number, maxBytes: number): Promise<boolean> {
    await mkdir(this.#folder, { recursive: true })
    const space = await spaceAt(this.#folder)
    return bytes <= maxBytes && missingBytes({ ...space, freeBytes: space.freeBytes - bytes }) === 0
  }

  /** What is kept, used longest ago first. */
  async list(): Promise<readonly KeptFile[]> {
    const names = await readdir(this.#folder).catch(() => [])
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#folder, name)
        const info = await stat(path).catch(() => undefined)
        return info?.isFile() === true ? [{ path, name, bytes: info.size, usedAtMs: info.mtimeMs }] : []
      }),
    )
    return files.flat().toSorted((a, b) => a.usedAtMs - b.usedAtMs)
  }

  /**
   * Removes files until the rest has at most `maxBytes`, those used longest ago first, and all that were not used since
   * `before` (milliseconds). Resolves with what was (or would be) removed.
   */
  async prune(options: {
    readonly maxBytes: number
    readonly before?: number
    readonly dryRun?: boolean
  }): Promise<readonly KeptFile[]> {
    const all = await this.list()
    const partial = all.filter(({ name }) => name.endsWith('.part'))
    const kept = all.filter(({ name }) => /^[0-9a-f]{64}$/.test(name))
    const now = Date.now()
    const victims = partial.filter(({ usedAtMs }) => now - usedAtMs > abandonedMs)
    let total = kept.reduce((sum, { bytes }) => sum + bytes, 0)
    for (const file of kept) {
      const expired = file.usedAtMs < (options.before ?? Number.NEGATIVE_INFINITY)
      if (total <= options.maxBytes && !expired) continue
      victims.push(file)
      total -= file.bytes
    }
    if (options.dryRun !== true) for (const { path } of victims) await rm(path, { force: true })
    return victims
  }
}

export interface KeptFile {
  readonly path: string
  readonly name: string
  readonly bytes: number
  readonly usedAtMs: number
}

/** The folder of a cache. */
export function packageFiles(config: { readonly cacheDir: string }): PackageFiles {
  return new PackageFiles(join(config.cacheDir, 'packages'))
}

async function readHead(handle: FileHandle): Promise<Omit<OpenFile, 'path' | 'handle'> | undefined> {
  const buffer = Buffer.alloc(maxHeadBytes)
  const { bytesRead } = await handle.read(buffer, 0, maxHeadBytes, 0)
  const end = buffer.subarray(0, bytesRead).indexOf(10)
  try {
    const head = JSON.parse(buffer.subarray(0, Math.max(0, end)).toString('utf8')) as FileHead
    // Shorter than it says: its machine went down while it was written.
    return (await handle.stat()).size === end + 1 + head.bytes ? { head, offset: end + 1 } : undefined
  } catch {
    return undefined
  }
}
