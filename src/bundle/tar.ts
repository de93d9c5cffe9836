import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { extract as tarExtract, pack as tarPack } from 'tar-stream'
import { exitCodes, UserError } from '../errors.ts'

/** One file or folder of an archive. */
export interface TarEntry {
  /** Relative, with `/`, without a slash at the end. */
  readonly path: string
  /** Undefined for a folder. */
  readonly content?: Buffer
  /** Mode 0755 instead of 0644. */
  readonly executable: boolean
}

/**
 * A ustar archive of the entries in the order given, with fixed times and owners: the same entries give the same bytes.
 * Throws UserError for a path that is too long.
 */
export async function tarball(entries: readonly TarEntry[]): Promise<Buffer> {
  const pack = tarPack()
  const bytes = buffer(pack)
  for (const { path, content, executable } of entries) {
    if (!fitsUstar(path)) {
      throw new UserError(`the path '${path}' is too long for the bundle`, {
        hint: 'shorten its names',
        exitCode: exitCodes.usage,
      })
    }
    const header = { name: path, mode: executable ? 0o755 : 0o644, mtime: new Date(0), uid: 0, gid: 0 }
    if (content === undefined) pack.entry({ ...header, type: 'directory' })
    else pack.entry({ ...header, type: 'file', size: content.length }, content)
  }
  pack.finalize()
  return bytes
}

/** The content of one file of an archive; undefined where it holds none of that path. Throws for what is no archive. */
export async function readFromTar(archive: Buffer, path: string): Promise<Buffer | undefined> {
  let found: Buffer | undefined
  for await (const entry of Readable.from([archive]).pipe(tarExtract())) {
    const content = await buffer(entry)
    if (entry.header.name === path && entry.header.type === 'file') found = content
  }
  return found
}

/** Ustar holds 100 bytes, or 155 and 100 around one slash; beyond that tar needs extensions that not every tar reads. */
function fitsUstar(path: string): boolean {
  if (path.length < 100) return true
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    if (slash <= 155 && path.length - slash - 1 < 100) return true
  }
  return false
}
