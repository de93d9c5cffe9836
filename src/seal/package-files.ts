import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * Tells whether a file is as a Debian package brought it: then a key in it is published with the distribution (test data
 * within a library, examples in a manual) and no secret of anybody. It is known by the checksums that dpkg keeps on the
 * disk itself, which is enough against accidents, and none against somebody who forges them.
 */
export class PackageFiles {
  readonly #root: string
  #sums: ReadonlyMap<string, string> | undefined

  constructor(root: string) {
    this.#root = root
  }

  /** True where the file belongs to a package and has the package's content. `path` is absolute on the disk. */
  isUnchanged(path: string): boolean {
    this.#sums ??= readSums(this.#root)
    // Packages made before /usr was merged name /lib, /bin and /sbin.
    const wanted = this.#sums.get(path) ?? this.#sums.get(path.replace(/^\/usr(?=\/(?:bin|sbin|lib\w*)\/)/, ''))
    if (wanted === undefined) return false
    return (
      createHash('md5')
        .update(readFileSync(join(this.#root, path)))
        .digest('hex') === wanted
    )
  }

  /**
   * The Python source that a compiled file was made from, as Latin-1 text, where that is an unchanged file of a package;
   * else undefined.
   */
  packagedSourceOf(path: string): string | undefined {
    const match = /^(.*)\/__pycache__\/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc$/.exec(path)
    if (match === null) return undefined
    const source = `${match[1] ?? ''}/${match[2] ?? ''}.py`
    if (!isFile(join(this.#root, source)) || !this.isUnchanged(source)) return undefined
    return readFileSync(join(this.#root, source), 'latin1')
  }
}

function readSums(root: string): ReadonlyMap<string, string> {
  const sums = new Map<string, string>()
  const add = (text: string, pattern: RegExp) => {
    for (const match of text.matchAll(pattern)) {
      const { path = '', sum = '' } = match.groups ?? {}
      sums.set(path.startsWith('/') ? path : `/${path}`, sum)
    }
  }
  const dpkg = join(root, 'var/lib/dpkg')
  const status = join(dpkg, 'status')
  if (!isFile(status) || !lstatSync(dirname(status)).isDirectory()) return sums
  // Configuration files, in the status file alone: ` /etc/x 0123…`.
  add(readFileSync(status, 'latin1'), /^ (?<path>\/\S+) (?<sum>[0-9a-f]{32})$/gm)
  for (const name of readdirSync(join(dpkg, 'info'))) {
    if (!name.endsWith('.md5sums') || !isFile(join(dpkg, 'info', name))) continue
    add(readFileSync(join(dpkg, 'info', name), 'latin1'), /^(?<sum>[0-9a-f]{32}) {2}(?<path>.+)$/gm)
  }
  return sums
}

/** Links could lead out of the disk. */
function isFile(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true
}
