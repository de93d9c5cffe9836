import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { rawFolder, rawPath } from '../../base/raw.ts'
import type { Context } from '../../context.ts'
import type { RawDisk } from '../../disk/expose.ts'
import { detectDiskFormat } from '../../image/disk-format.ts'
import { phase } from '../../report/events.ts'
import { lockFile } from '../../system/file-lock.ts'
import { run } from '../../system/run.ts'
import { needTool } from '../../system/tools.ts'
import type { BakeJob } from '../engine.ts'

/*
 * <cacheDir>/raw/
 *   <digest of the base>.raw     its disk, sparse, immutable, kept when it was built; made anew when it is gone
 *   <digest of the base>.json    what base-facts.ts found out about it
 *   parbake-*                    copies under way; left over only after a SIGKILL
 *   .lock                        held while one is made
 */

/** The base's disk as a raw file of the cache, which is made at the first use: a compressed one is slow to read at random. */
export async function baseRaw(context: Context, base: BakeJob['base']): Promise<RawDisk> {
  const folder = rawFolder(context)
  const path = rawPath(context, base.digest)
  const there = await sizeOf(path)
  if (there !== undefined) return rawDisk(path, there)
  const { reporter, signal } = context
  await using _ = await lockFile(join(folder, '.lock'), signal, () =>
    reporter.emit({ type: 'note', text: `waiting for another bake that unpacks a base in ${folder}` }),
  )
  const now = await sizeOf(path)
  if (now !== undefined) return rawDisk(path, now)
  await sweep(context, folder)
  await phase(reporter, 'unpack the base', () => unpack(context, base, folder, path))
  return rawDisk(path, (await stat(path)).size)
}

/** The raw copy, or undefined where there is none yet. */
export async function findBaseRaw(context: Context, base: BakeJob['base']): Promise<RawDisk | undefined> {
  const path = rawPath(context, base.digest)
  const size = await sizeOf(path)
  return size === undefined ? undefined : rawDisk(path, size)
}

function rawDisk(path: string, sizeBytes: number): RawDisk {
  return { path, innerPath: path, sizeBytes, holder: undefined, [Symbol.asyncDispose]: () => Promise.resolve() }
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size
}

async function unpack(
  { reporter, signal }: Context,
  base: BakeJob['base'],
  folder: string,
  path: string,
): Promise<void> {
  const temporary = join(folder, `parbake-${process.pid}.raw`)
  try {
    const format = await detectDiskFormat(base.path)
    await run(
      await needTool('qemu-img'),
      ['convert', '-m', '16', '-W', '-f', format, '-O', 'raw', base.path, temporary],
      {
        purpose: 'unpack a base',
        reporter,
        signal,
      },
    )
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Removes what a killed copy left, and copies of bases that are no longer there. Whoever has the lock is alone. */
async function sweep(context: Context, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const entry of await readdir(folder)) {
    const digest = /^([0-9a-f]{64})\.(?:raw|json)$/.exec(entry)?.[1]
    const gone = digest !== undefined && (await sizeOf(join(context.config.cacheDir, 'bases', digest))) === undefined
    if (entry.startsWith('parbake-') || gone) await rm(join(folder, entry), { force: true })
  }
}
