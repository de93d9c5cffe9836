import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync, type Stats } from 'node:fs'
import { join } from 'node:path'

/** A file that nobody but this user can have written or put there; undefined where it is not such a one. */
export function readOwn(folder: string, name: string): Buffer | undefined {
  const path = join(folder, name)
  if (![folder, path].every(isOwn)) return undefined
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

/**
 * Writes a file that only this user can read, at once as a whole; of others in the folder that `isOld` names, all but the
 * newest `others` go. Best effort: false where nothing was written, as in a home that cannot be.
 */
export function keepOwn(
  folder: string,
  name: string,
  data: string | Uint8Array,
  { isOld, others }: { readonly isOld: (name: string) => boolean; readonly others: number },
): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (!isOwn(folder)) return false
    const temporary = join(folder, `.${name}.${process.pid}`)
    writeFileSync(temporary, data, { mode: 0o600, flag: 'wx' })
    renameSync(temporary, join(folder, name))
    const old = readdirSync(folder).filter((entry) => entry !== name && isOld(entry))
    if (old.length <= others) return true
    const age = (entry: string) => stateOf(join(folder, entry))?.mtimeMs ?? 0
    const victims = old.toSorted((a, b) => age(a) - age(b)).slice(0, old.length - others)
    for (const entry of victims) rmSync(join(folder, entry), { force: true })
    return true
  } catch {
    return false
  }
}

function isOwn(path: string): boolean {
  const state = stateOf(path)
  return state !== undefined && state.uid === process.geteuid?.() && (state.mode & 0o022) === 0
}

/** Undefined where there is nothing, or nothing that may be looked at. */
export function stateOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}
