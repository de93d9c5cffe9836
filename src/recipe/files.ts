import { constants } from 'node:fs'
import { access, readdir, readFile, realpath, stat } from 'node:fs/promises'
import { isAbsolute, join, normalize, relative, resolve, sep } from 'node:path'
import { hasCode } from '../errors.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import type { RenderedFile } from './model.ts'

/** Left out of folders: they differ from machine to machine and no step wants them. */
const ignoredNames: ReadonlySet<string> = new Set(['.git', '.DS_Store', '__pycache__'])

/** Bytes; larger things belong into object storage, not into a bundle that every host downloads. */
const maxInputBytes = 256 * 1024 * 1024

/** A finding about a path that the recipe names, as a predicate: "does not exist". */
export interface FileFinding {
  readonly message: string
  readonly hint?: string
}

export type Found<T> = { readonly ok: true; readonly value: T } | ({ readonly ok: false } & FileFinding)

const fail = (message: string, hint?: string): { readonly ok: false } & FileFinding => ({
  ok: false,
  message,
  ...(hint === undefined ? {} : { hint }),
})

/** A file of the recipe folder as UTF-8 text. */
export async function readTextFile(folder: string, path: string): Promise<Found<string>> {
  const found = await resolveInside(folder, path)
  if (!found.ok) return found
  if (found.value.kind === 'folder') return fail(`names a folder, '${path}', where a file is wanted`)
  const bytes = await readFile(found.value.real)
  const text = bytes.toString('utf8')
  if (!Buffer.from(text).equals(bytes)) {
    return fail(`names '${path}', which is no UTF-8 text`, 'put binary files under inputs and call them from a script')
  }
  return { ok: true, value: text }
}

/** A file, or all files of a folder, with paths relative to the recipe folder; sorted. */
export async function readInput(folder: string, path: string): Promise<Found<RenderedFile[]>> {
  const start = await resolveInside(folder, path)
  if (!start.ok) return start
  const top = normalize(path)
    .split(sep)
    .filter((part) => part !== '' && part !== '.')
    .join('/')
  if (top === '') return fail('names the recipe folder itself', 'list the files and folders that the step needs')
  const files: RenderedFile[] = []
  const visited = new Set<string>()
  let total = 0

  const add = async (name: string): Promise<FileFinding | undefined> => {
    const found = await resolveInside(folder, name)
    if (!found.ok) return found
    const { kind, real, mode, size } = found.value
    if (!/^[\x20-\x7e]+$/.test(name) || name.includes('\\') || Buffer.byteLength(name) > 200) {
      return fail(
        `holds a file whose name cannot be packed: ${JSON.stringify(name)}`,
        'use printable ASCII, at most 200 bytes',
      )
    }
    if (kind === 'file') {
      total += size
      if (total > maxInputBytes)
        return fail('is larger than 256 MiB', 'put it into object storage and fetch it in the step')
      files.push({ path: name, executable: (mode & constants.S_IXUSR) !== 0, content: await readFile(real) })
      return undefined
    }
    if (visited.has(real)) return fail(`holds a symbolic link that leads back into itself: '${name}'`)
    visited.add(real)
    for (const entry of (await readdir(real)).toSorted(compareCodeUnits)) {
      const finding = ignoredNames.has(entry) ? undefined : await add(`${name}/${entry}`)
      if (finding !== undefined) return finding
    }
    visited.delete(real)
    return undefined
  }

  const finding = await add(top)
  if (finding !== undefined) return fail(finding.message, finding.hint)
  return { ok: true, value: files.toSorted((a, b) => compareCodeUnits(a.path, b.path)) }
}

interface Resolved {
  readonly kind: 'file' | 'folder'
  readonly real: string
  readonly mode: number
  readonly size: number
}

/** Follows symbolic links, and refuses whatever ends outside of the recipe folder. */
async function resolveInside(folder: string, path: string): Promise<Found<Resolved>> {
  if (path === '' || path.includes('\0')) return fail('must name a file')
  if (isAbsolute(path)) return fail(`must be relative to the recipe folder, but is '${path}'`)
  if (!isInside(folder, resolve(folder, path))) return fail(`leaves the recipe folder: '${path}'`)
  try {
    const root = await realpath(folder)
    const real = await realpath(join(folder, path))
    if (!isInside(root, real)) return fail(`leaves the recipe folder through a symbolic link: '${path}'`)
    await access(real, constants.R_OK)
    const { mode, size, ...stats } = await stat(real).then((value) => ({
      mode: value.mode,
      size: value.size,
      file: value.isFile(),
      folder: value.isDirectory(),
    }))
    if (!stats.file && !stats.folder) return fail(`names '${path}', which is neither a file nor a folder`)
    return { ok: true, value: { kind: stats.file ? 'file' : 'folder', real, mode, size } }
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return fail(`names '${path}', which does not exist`)
    if (hasCode(error, 'ELOOP')) return fail(`names '${path}', a symbolic link that leads back to itself`)
    if (hasCode(error, 'EACCES')) return fail(`names '${path}', which cannot be read: permission denied`)
    throw error
  }
}

/** Whether a path is the folder itself or below it; both absolute. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way))
}
