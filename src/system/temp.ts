import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

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
