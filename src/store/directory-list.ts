import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '../errors.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import { infoOf, reservedFolder } from './directory-files.ts'
import { isSafeKey } from './keys.ts'
import type { ObjectInfo } from './object-store.ts'

export interface WalkOptions {
  readonly prefix?: string
  /** Only keys after this one. */
  readonly after?: string
  /** Keys to leave out; nobody looks at their files. */
  readonly leaveOut?: (key: string) => boolean
}

/**
 * Hands out the objects under a folder in byte order of their keys. Reads one folder at a time, and none that lies
 * wholly outside the prefix or before `after`, so that the first page of a large store is cheap.
 */
export async function* walkDirectory(root: string, options: WalkOptions = {}): AsyncGenerator<ObjectInfo> {
  const { prefix = '', after = '', leaveOut = () => false } = options
  yield* walkFolder(root, '', { prefix, after, leaveOut })
}

async function* walkFolder(
  root: string,
  folderKey: string,
  options: Required<WalkOptions>,
): AsyncGenerator<ObjectInfo> {
  const { prefix, after, leaveOut } = options
  for (const name of await sortedNames(join(root, folderKey), folderKey === '')) {
    const key = folderKey + name
    if (key.endsWith('/')) {
      const within = key.startsWith(prefix) || prefix.startsWith(key)
      const passed = key < after && !after.startsWith(key)
      if (within && !passed) yield* walkFolder(root, key, options)
    } else if (key > after && key.startsWith(prefix)) {
      const info = leaveOut(key) ? undefined : await statObject(root, key)
      if (info !== undefined) yield info
    } else if (key > prefix && !key.startsWith(prefix)) {
      return
    }
  }
}

/** Names of files, and of folders with `/` appended: as keys sort. */
async function sortedNames(folder: string, isRoot: boolean): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries
      .filter((entry) => isSafeKey(entry.name) && !(isRoot && entry.name === reservedFolder))
      .flatMap((entry) => (entry.isDirectory() ? [`${entry.name}/`] : entry.isFile() ? [entry.name] : []))
      .toSorted(compareCodeUnits)
  } catch (error) {
    // A folder may vanish between the listing of its parent and its own.
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return []
    throw error
  }
}

async function statObject(root: string, key: string): Promise<ObjectInfo | undefined> {
  try {
    return infoOf(key, await stat(join(root, key), { bigint: true }))
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined
    throw error
  }
}
