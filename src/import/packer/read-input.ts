import { readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

/** A file that a template names, as it is on this machine. */
export interface InputFile {
  /** Below what was named, with `/`; its own name where a file was named. */
  readonly path: string
  readonly content: Buffer
  /** Permission bits. */
  readonly mode: number
}

/** The file, or all files of the folder, that a template names; undefined where there is none. */
export async function readInput(folder: string, named: string): Promise<readonly InputFile[] | undefined> {
  for (const path of new Set([resolve(folder, named), resolve(named)])) {
    const found = await stat(path).catch(() => undefined)
    if (found?.isFile() === true) {
      return [{ path: path.slice(path.lastIndexOf('/') + 1), content: await readFile(path), mode: found.mode & 0o777 }]
    }
    if (found?.isDirectory() === true) return readFolder(path)
  }
  return undefined
}

async function readFolder(folder: string): Promise<readonly InputFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(
    files.toSorted().map(async (path) => ({
      path: path.slice(resolve(folder).length + 1),
      content: await readFile(path),
      mode: (await stat(path)).mode & 0o777,
    })),
  )
}
