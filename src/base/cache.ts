import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Context } from '../context.ts'
import { hasCode, UserError } from '../errors.ts'
import { syncFolder, writeFileAtomic } from '../system/atomic-file.ts'
import { tempDir, type TempDir } from '../system/temp.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import { isSha256, type Sha256 } from '../util/sha256.ts'
import { baseRecordSchema, type Base, type BaseRecord } from './model.ts'
import { readyFolder } from './ready.ts'
import { packageListSchema, type InstalledPackage } from './packages.ts'

/*
 * <cacheDir>/bases/
 *   <digest>/disk.qcow2              immutable; packages.json too, where the packages are known
 *   <digest>/base.json               what is known of it
 *   <digest>/ready/                  what a bake of it need not make by itself
 *   names/<name>                     digest of the newest base of that name
 *   definitions/<digest>             digest of the base built from that definition
 *   pending/<digest>.json            what the last look at the archive found
 *   parbake-*                        builds under way; left over only after a SIGKILL
 *   .lock                            held while one of the above changes
 */

/** Folder of all bases. */
export function basesDir(context: Pick<Context, 'config'>): string {
  return join(context.config.cacheDir, 'bases')
}

/** A folder to work in, in the cache, for the rename at the end must not cross file systems. Needs the lock. */
export async function workFolder(root: string, purpose: string): Promise<TempDir> {
  await sweepWork(root)
  return tempDir(purpose, root)
}

/** The base with this digest, or undefined where it is missing or not whole. A cache may forget. */
export async function readBase(root: string, digest: Sha256): Promise<Base | undefined> {
  const folder = join(root, digest)
  const path = join(folder, 'disk.qcow2')
  try {
    const record = baseRecordSchema.parse(JSON.parse(await readFile(join(folder, 'base.json'), 'utf8')))
    const { size } = await stat(path)
    return record.digest === digest && record.sizeBytes === size ? { ...record, path } : undefined
  } catch {
    return undefined
  }
}

/** The digest that a pointer file holds, or undefined. */
export async function readPointer(
  root: string,
  kind: 'names' | 'definitions',
  key: string,
): Promise<Sha256 | undefined> {
  try {
    const text = (await readFile(join(root, kind, key), 'utf8')).trim()
    return isSha256(text) ? text : undefined
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined
    throw error
  }
}

/**
 * Moves a finished disk into the cache and points to it. `folder` holds disk.qcow2 and is on the same file system; the
 * rename is the moment when the base exists.
 */
export async function storeBase(root: string, folder: string, record: BaseRecord): Promise<Base> {
  const target = join(root, record.digest)
  const text = `${JSON.stringify(record, null, 2)}\n`
  if ((await readBase(root, record.digest)) === undefined) {
    await writeFileAtomic(join(folder, 'base.json'), text)
    await rm(target, { recursive: true, force: true })
    await rename(folder, target)
    await syncFolder(root)
  } else {
    // The same disk made anew is as young as if it were another one.
    await writeFileAtomic(join(target, 'base.json'), text)
    await renewReady(folder, target)
  }
  await writeFileAtomic(join(root, 'names', record.name), `${record.digest}\n`)
  if (record.definitionDigest !== undefined) {
    await writeFileAtomic(join(root, 'definitions', record.definitionDigest), `${record.digest}\n`)
  }
  return { ...record, path: join(target, 'disk.qcow2') }
}

/** Puts what was made ready with a disk in the place of what was before, if anything was. */
async function renewReady(from: string, to: string): Promise<void> {
  const [made, place] = [join(from, readyFolder), join(to, readyFolder)]
  if ((await stat(made).catch(() => undefined)) === undefined) return
  await rm(place, { recursive: true, force: true })
  await rename(made, place)
}

/** Puts the list of packages beside a disk that `storeBase` is going to move into the cache. */
export async function writePackages(folder: string, packages: readonly InstalledPackage[]): Promise<void> {
  await writeFileAtomic(join(folder, 'packages.json'), `${JSON.stringify({ v: 1, packages }, null, 1)}\n`)
}

/** The packages of a base as they were when it was built, or undefined where nobody wrote them down. */
export async function readPackages(base: Pick<Base, 'path'>): Promise<readonly InstalledPackage[] | undefined> {
  try {
    const text = await readFile(join(dirname(base.path), 'packages.json'), 'utf8')
    return packageListSchema.parse(JSON.parse(text)).packages
  } catch {
    return undefined
  }
}

/** Every base that is there, by name and then digest. */
export async function listBases(context: Pick<Context, 'config'>): Promise<readonly Base[]> {
  const root = basesDir(context)
  const entries = await readdir(root).catch(() => [])
  const bases = await Promise.all(entries.flatMap((entry) => (isSha256(entry) ? [readBase(root, entry)] : [])))
  return bases
    .filter((base) => base !== undefined)
    .toSorted((a, b) => compareCodeUnits(a.name, b.name) || compareCodeUnits(a.digest, b.digest))
}

/**
 * The newest base of a name, or the one with a digest (whole, or at least its first 8 digits). Throws UserError with
 * code `base-missing` that says how to get it.
 */
export async function findBase(nameOrDigest: string, context: Pick<Context, 'config'>): Promise<Base> {
  const root = basesDir(context)
  if (isBaseName(nameOrDigest)) {
    const digest = await readPointer(root, 'names', nameOrDigest)
    const base = digest === undefined ? undefined : await readBase(root, digest)
    if (base !== undefined) return base
  }
  const bases = await listBases(context)
  const byDigest = /^[0-9a-f]{8,64}$/.test(nameOrDigest)
    ? bases.filter((base) => base.digest.startsWith(nameOrDigest))
    : []
  const [only, second] = byDigest
  if (only !== undefined && second === undefined) return only
  const { definitionNames } = await import('./definitions.ts')
  const buildable = (await definitionNames()).includes(nameOrDigest)
  const known = [...new Set(bases.map((base) => base.name))]
  throw new UserError(
    second === undefined
      ? `there is no base '${nameOrDigest}' in ${root}${known.length === 0 ? '' : ` (there: ${known.join(', ')})`}`
      : `'${nameOrDigest}' stands for ${byDigest.length} bases`,
    {
      hint: buildable
        ? `run 'parbake base build ${nameOrDigest}'`
        : "run 'parbake base build debian-12', or take an image in with 'parbake base import'",
      code: 'base-missing',
    },
  )
}

/** Names that can be file names everywhere and cannot be taken for a digest. */
export function isBaseName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,62}$/.test(name) && !/^[0-9a-f]{8,}$/.test(name)
}

/** Sweeps what a killed build left: whoever has the lock is alone. */
async function sweepWork(root: string): Promise<void> {
  await mkdir(root, { recursive: true })
  for (const entry of await readdir(root)) {
    if (entry.startsWith('parbake-')) await rm(join(root, entry), { recursive: true, force: true })
  }
}
