import { link, mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Context } from '../context.ts'
import { exposeRaw } from '../disk/expose.ts'
import { dataRanges } from '../image/data-ranges.ts'
import { detectDiskFormat } from '../image/disk-format.ts'
import { clustersBeside, readClusterIndex, writeClusterIndex, type ClusterIndex } from '../image/qcow2/cluster-index.ts'
import { clusterBytes } from '../image/qcow2/clusters.ts'
import { readContents, type ClusterContent } from '../image/qcow2/contents.ts'
import type { ClusterReference } from '../image/qcow2/write.ts'
import type { BakeJob } from './engine.ts'

/** Images that a bake's result has clusters in common with: its base, and the last image of the same recipe on it. */
export async function knownClusters(context: Context, job: BakeJob): Promise<readonly ClusterReference[]> {
  const found = await Promise.all(
    [job.base.path, lastImage(context, job)].map(async (path) => {
      const index = await readClusterIndex(clustersBeside(path))
      return index === undefined ? [] : [{ path, index }]
    }),
  )
  return found.flat()
}

/** What the base holds; it is read where nobody wrote that down when it was made. */
export async function baseContents(
  context: Context,
  base: BakeJob['base'],
  workFolder: string,
): Promise<readonly ClusterContent[]> {
  const index = await readClusterIndex(clustersBeside(base.path))
  if (index?.clusterBytes === clusterBytes) return index.clusters
  const disk = { path: base.path, format: await detectDiskFormat(base.path) }
  await using raw = await exposeRaw(context, { ...disk, writable: false, workFolder })
  return await readContents(raw.path, await dataRanges(context, disk), context.signal)
}

/** Remembers a finished image for the next bake. The cache may forget it. */
export async function keepClusters(context: Context, job: BakeJob, disk: string, index: ClusterIndex): Promise<void> {
  const path = lastImage(context, job)
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}`
  try {
    await rm(clustersBeside(path), { force: true })
    await link(disk, temporary)
    await rename(temporary, path)
    await writeClusterIndex(clustersBeside(path), index)
  } catch {
    // It only makes the next bake slower.
    await rm(temporary, { force: true })
  }
}

/** Where the last image of a recipe on this base is kept; what else is known of it lies beside it. */
export function lastImage({ config }: Context, { recipeName, base }: BakeJob): string {
  return join(config.cacheDir, 'images', `last-${recipeName}-${base.digest.slice(0, 16)}.qcow2`)
}
