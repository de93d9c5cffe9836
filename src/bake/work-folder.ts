import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { sweepDisks } from '../disk/loop.ts'
import { isThere, whereWeAre, type CacheUser } from '../step-cache/users.ts'
import { tempDir, type TempDir } from '../system/temp.ts'

const ownerFile = 'owner.json'

/** A folder without an owner is one that is being made. */
const orphanAfterMs = 60_000

/** A folder for one bake, removed when disposed. What killed bakes left of theirs is swept first. */
export async function bakeFolder(config: Pick<Config, 'cacheDir'>): Promise<TempDir> {
  const root = join(config.cacheDir, 'bakes')
  await mkdir(root, { recursive: true })
  const here = await whereWeAre()
  for (const name of await readdir(root)) {
    const path = join(root, name)
    if (name.startsWith('parbake-bake-') && !(await isOwned(path, here))) {
      await sweepDisks(path)
      await rm(path, { recursive: true, force: true })
    }
  }
  const folder = await tempDir('bake', root)
  const { bootId, pidNamespace } = here
  const owner: CacheUser = {
    ...{ v: 1, pid: process.pid, bootId, pidNamespace, pins: [], reserved: [] },
    startTime: (await here.startTime(process.pid)) ?? '',
  }
  await writeFile(join(folder.path, ownerFile), JSON.stringify(owner))
  return folder
}

async function isOwned(path: string, here: Awaited<ReturnType<typeof whereWeAre>>): Promise<boolean> {
  const ageMs = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0)
  try {
    return await isThere(JSON.parse(await readFile(join(path, ownerFile), 'utf8')) as CacheUser, here, ageMs)
  } catch {
    return ageMs < orphanAfterMs
  }
}
