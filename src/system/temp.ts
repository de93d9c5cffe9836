import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAlive } from './process.ts'

export interface TempDir extends AsyncDisposable {
  readonly path: string
}

/** A private folder (mode 0700), removed with all it holds when disposed: `await using dir = await tempDir('bake')`. */
export async function tempDir(purpose: string, parent = tmpdir()): Promise<TempDir> {
  const path = await mkdtemp(join(parent, `parbake-${purpose}-`))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  }
}

/** The same with the number of this process in its name; what killed processes left of theirs there is removed first. */
export async function sweptTempDir(purpose: string, parent = tmpdir()): Promise<TempDir> {
  const prefix = `parbake-${purpose}-`
  for (const entry of await readdir(parent)) {
    const pid = entry.startsWith(prefix) ? /^(\d+)-/.exec(entry.slice(prefix.length))?.[1] : undefined
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(parent, entry), { recursive: true, force: true })
  }
  return tempDir(`${purpose}-${process.pid}`, parent)
}
