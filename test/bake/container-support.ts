import { readdirSync, readFileSync } from 'node:fs'
import { findBase } from '../../src/base/cache.ts'
import type { Base } from '../../src/base/model.ts'
import type { Context } from '../../src/context.ts'
import { loadConfig } from '../../src/load-config.ts'

/** The base that is in this machine's cache already, if any. */
export async function builtBase(): Promise<Base | undefined> {
  try {
    return await findBase('debian-12', { config: await loadConfig(import.meta.dirname) })
  } catch {
    return undefined
  }
}

/** A context whose cache is in the given folder. */
export async function bakeContext(cacheDir: string, signal: AbortSignal): Promise<Context> {
  return {
    config: { ...(await loadConfig(import.meta.dirname)), cacheDir },
    reporter: { emit: () => {}, close: () => {} },
    signal,
  }
}

/** A process and all that descend from it, now. */
export function processTree(pid: number): readonly number[] {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const text = readFileSync(`/proc/${entry}/stat`, 'utf8')
      parents.set(Number(entry), Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // It has just ended.
    }
  }
  const tree = [pid]
  for (const member of tree) for (const [child, parent] of parents) if (parent === member) tree.push(child)
  return tree
}

/** True for a process that runs, false for one that has ended, waited for or not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Waits up to half a minute. */
export async function eventually(check: () => boolean): Promise<boolean> {
  for (let left = 600; left > 0; left -= 1) {
    if (check()) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

/**
 * Prints every path of a tree with all that a file system knows about it but access time and inode number; hard links by
 * the first name of their group. For python3.
 */
export const listTree = `
import hashlib, os, stat, sys
root = os.fsencode(sys.argv[1])
groups = {}
paths = [b'']
for folder, names, files in os.walk(root):
    here = os.path.relpath(folder, root)
    for name in names + files:
        paths.append(os.path.normpath(os.path.join(here, name)))
for path in sorted(paths):
    full = os.path.join(root, path)
    info = os.lstat(full)
    kind = stat.S_IFMT(info.st_mode)
    line = [path, oct(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns]
    if kind == stat.S_IFREG:
        with open(full, 'rb') as file:
            line += [info.st_size, hashlib.sha256(file.read()).hexdigest()]
        line.append(info.st_nlink)
        line.append(groups.setdefault(info.st_ino, path))
        line.append('sparse' if info.st_blocks * 512 < info.st_size // 2 else '')
    elif kind == stat.S_IFLNK:
        line.append(os.readlink(full))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        line.append(info.st_rdev)
    for name in sorted(os.listxattr(full, follow_symlinks=False)):
        line += [name, os.getxattr(full, name, follow_symlinks=False)]
    print(line)
`
