import { existsSync } from 'node:fs'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Gives a fresh cache one base of the user's: by link, so that it stays the same one whatever is built meanwhile. */
export async function linkBase(cacheDir: string, basePath: string): Promise<void> {
  const folder = dirname(basePath)
  const digest = basename(folder)
  const { name } = JSON.parse(await readFile(join(folder, 'base.json'), 'utf8')) as { name: string }
  await mkdir(join(cacheDir, 'bases', 'names'), { recursive: true })
  await symlink(folder, join(cacheDir, 'bases', digest))
  await writeFile(join(cacheDir, 'bases', 'names', name), `${digest}\n`)
  // As `parbake base build` leaves it.
  const raw = join(dirname(dirname(folder)), 'raw', `${digest}.raw`)
  if (existsSync(raw)) {
    await mkdir(join(cacheDir, 'raw'), { recursive: true })
    await symlink(raw, join(cacheDir, 'raw', `${digest}.raw`))
  }
}
