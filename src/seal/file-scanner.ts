import { closeSync, constants, openSync, readSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { findFileSecrets, findSecrets, reach, type SecretMatch } from './secret-rules.ts'

/** A secret in a file of a disk. */
export interface FileMatch extends SecretMatch {
  /** Line, counted from 1; undefined in binary files and far behind. */
  readonly line: number | undefined
  /** The first bytes of the match, as Latin-1 text. */
  readonly text: string
}

const pieceBytes = 1 << 20

/** Most files are smaller, and a call that waits is much faster than one that does not; for others nobody should wait. */
const smallBytes = 128 << 10

/** The end of a secret may lie in the next piece. */
const overlap = 2 * reach.after

/** Looks for secrets in files, one at a time. */
export class FileScanner {
  readonly #buffer = Buffer.allocUnsafe(pieceBytes)

  /** `path` is absolute below `root`, and no part of it a link. */
  async scan(root: string, path: string, stats: Stats): Promise<readonly FileMatch[]> {
    if (stats.size <= smallBytes) return this.#scanSmall(root, path)
    // Nothing but a hole.
    if (stats.blocks === 0) return []
    const matches = new Map<string, FileMatch>()
    const file = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      for (let offset = 0; offset < stats.size; offset += pieceBytes - overlap) {
        const { bytesRead } = await file.read(this.#buffer, 0, pieceBytes, offset)
        for (const match of this.#matches(path, bytesRead, offset)) matches.set(`${match.id} ${match.index}`, match)
        if (bytesRead < pieceBytes) break
      }
    } finally {
      await file.close()
    }
    return [...matches.values()]
  }

  #scanSmall(root: string, path: string): readonly FileMatch[] {
    const file = openSync(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW)
    try {
      return this.#matches(path, readSync(file, this.#buffer, 0, smallBytes, 0), 0)
    } finally {
      closeSync(file)
    }
  }

  #matches(path: string, length: number, offset: number): readonly FileMatch[] {
    const text = this.#buffer.toString('latin1', 0, length)
    const found = [...findSecrets(text), ...(offset === 0 ? findFileSecrets(path, text) : [])]
    const hasLines = offset === 0 && !text.slice(0, 2048).includes('\0')
    return found.map((match) => ({
      ...match,
      index: match.index + offset,
      line: hasLines ? text.slice(0, match.index).split('\n').length : undefined,
      text: text.slice(match.index, match.index + 200),
    }))
  }
}
