import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '../../errors.ts'
import { compareCodeUnits } from '../../util/canonical-json.ts'
import { type CommitResult, type DirectoryFiles, removeStale, reservedFolder } from '../directory-files.ts'
import type { PutCondition } from '../object-store.ts'
import { writeSynced } from '../write-synced.ts'
import { S3Problem } from './s3-problem.ts'

const minPartBytes = 5 * 1024 * 1024
const staleAfterMs = 7 * 24 * 3600_000

export interface Upload {
  readonly uploadId: string
  readonly key: string
  readonly startedMs: number
}

export interface Part {
  readonly number: number
  readonly etag: string
  readonly sizeBytes: number
  readonly modifiedMs: number
}

/** Unfinished multipart uploads, one folder each under `.parbake/uploads`, their parts as files `<number>-<md5>`. */
export class Uploads {
  readonly #folder: string
  readonly #files: DirectoryFiles

  constructor(files: DirectoryFiles) {
    this.#files = files
    this.#folder = join(files.root, reservedFolder, 'uploads')
  }

  /** Makes the folder and forgets uploads that nobody touched for a week. */
  async prepare(): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    await removeStale(this.#folder, staleAfterMs)
  }

  async create(key: string): Promise<string> {
    const uploadId = randomBytes(16).toString('hex')
    await mkdir(join(this.#folder, uploadId))
    await writeFile(join(this.#folder, uploadId, 'upload.json'), JSON.stringify({ key, startedMs: Date.now() }))
    return uploadId
  }

  /** The upload, or S3Problem where it is none of this key. */
  async find(uploadId: string, key: string): Promise<Upload> {
    const upload = await this.#read(uploadId)
    if (upload === undefined || upload.key !== key) throw new S3Problem('NoSuchUpload')
    return upload
  }

  async #read(uploadId: string): Promise<Upload | undefined> {
    if (!/^[0-9a-f]{32}$/.test(uploadId)) return undefined
    try {
      const text = await readFile(join(this.#folder, uploadId, 'upload.json'), 'utf8')
      return { ...(JSON.parse(text) as Omit<Upload, 'uploadId'>), uploadId }
    } catch {
      return undefined
    }
  }

  /** Takes a received file over as a part, replacing an earlier one of this number. */
  async addPart(upload: Upload, number: number, staged: string, md5: string): Promise<void> {
    const name = partName(number, md5)
    const folder = join(this.#folder, upload.uploadId)
    try {
      await rename(staged, join(folder, name))
      for (const other of await readdir(folder)) {
        if (other.startsWith(partName(number, '')) && other !== name) await rm(join(folder, other), { force: true })
      }
    } catch (error) {
      if (hasCode(error, 'ENOENT')) throw new S3Problem('NoSuchUpload')
      throw error
    }
  }

  async parts(upload: Upload): Promise<readonly Part[]> {
    const folder = join(this.#folder, upload.uploadId)
    const parts: Part[] = []
    for (const name of (await readdir(folder)).toSorted(compareCodeUnits)) {
      const match = /^(\d{5})-([0-9a-f]{32})$/.exec(name)
      if (match === null) continue
      const { size, mtimeMs } = await stat(join(folder, name))
      parts.push({ number: Number(match[1]), etag: match[2] ?? '', sizeBytes: size, modifiedMs: mtimeMs })
    }
    return parts
  }

  /** Joins the parts that the client names into the object; the upload is gone afterwards unless a condition failed. */
  async complete(
    upload: Upload,
    wanted: readonly Pick<Part, 'number' | 'etag'>[],
    condition: PutCondition | undefined,
  ): Promise<CommitResult> {
    checkParts(wanted, await this.parts(upload))
    const folder = join(this.#folder, upload.uploadId)
    const staged = await this.#files.stagingPath()
    try {
      await writeSynced(staged, joined(wanted.map((part) => join(folder, partName(part.number, part.etag)))))
      const result = await this.#files.commit(staged, upload.key, condition)
      if (result.outcome === 'stored') await this.abort(upload)
      return result
    } finally {
      await rm(staged, { force: true })
    }
  }

  /** Also where a part of it is just arriving: that finds no upload any more. */
  async abort({ uploadId }: Upload): Promise<void> {
    const gone = join(this.#folder, `${uploadId}.gone`)
    try {
      await rename(join(this.#folder, uploadId), gone)
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
    await rm(gone, { recursive: true, force: true })
  }

  async list(prefix: string): Promise<readonly Upload[]> {
    const uploads = await Promise.all((await readdir(this.#folder)).map((uploadId) => this.#read(uploadId)))
    return uploads
      .filter((upload) => upload !== undefined)
      .filter((upload) => upload.key.startsWith(prefix))
      .toSorted((a, b) => compareCodeUnits(a.key, b.key) || a.startedMs - b.startedMs)
  }
}

function partName(number: number, md5: string): string {
  return `${String(number).padStart(5, '0')}-${md5}`
}

function checkParts(wanted: readonly Pick<Part, 'number' | 'etag'>[], present: readonly Part[]): void {
  if (wanted.length === 0) throw new S3Problem('MalformedXML')
  const ordered = wanted.every(({ number }, index) => index === 0 || (wanted[index - 1]?.number ?? 0) < number)
  if (!ordered) throw new S3Problem('InvalidPartOrder')
  wanted.forEach(({ number, etag }, index) => {
    const found = present.find((part) => part.number === number && part.etag === etag)
    if (found === undefined) throw new S3Problem('InvalidPart')
    if (index < wanted.length - 1 && found.sizeBytes < minPartBytes) throw new S3Problem('EntityTooSmall')
  })
}

async function* joined(paths: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of paths) yield* createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Uint8Array>
}
