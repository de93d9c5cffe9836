import { mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Context } from '../context.ts'

/** Folder of the cache with bases' disks as raw files, which the container engine reads. */
export function rawFolder(context: Pick<Context, 'config'>): string {
  return join(context.config.cacheDir, 'raw')
}

/** Where the raw disk of a base lies, if it is there. */
export function rawPath(context: Pick<Context, 'config'>, digest: string): string {
  return join(rawFolder(context), `${digest}.raw`)
}

/**
 * Keeps the raw disk that a base was just made from, so that the first bake need not unpack it. Only root can bake that way;
 * for others it would be room wasted.
 */
export async function keepRaw(context: Pick<Context, 'config'>, digest: string, disk: string): Promise<void> {
  if (process.getuid?.() !== 0) return
  const path = rawPath(context, digest)
  await mkdir(dirname(path), { recursive: true })
  await rename(disk, path)
}
