import { mkdir, truncate, stat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../context.ts'
import { run } from '../../system/run.ts'
import { tempDir } from '../../system/temp.ts'
import { needTool } from '../../system/tools.ts'
import { writeDataIso, writeSeedIso } from '../../vm/seed.ts'
import type { BakeJob } from '../engine.ts'
import { mediumLabel, writeMedium } from '../guest-files.ts'

type ToolContext = Pick<Context, 'reporter' | 'signal'>

const mib = 1024 * 1024

/** A virtio drive of another size than the one that a saved state knows would be another machine. */
export const seedBytes = mib

/** What a medium holds besides bundle and channel: agent, scripts, folders, a RAM disk; generously. */
const mediumOverheadBytes = 2 * mib
const readyBytes = 24 * mib

/** The size that the medium is padded to: 16 MiB or as often four times that as needed. Pure. */
export function mediumBytes(job: Pick<BakeJob, 'bundle' | 'channelText' | 'base'>): number {
  const extra = job.base.ready === undefined ? 0 : readyBytes
  const needed = job.bundle.bytes.length + job.channelText.length + mediumOverheadBytes + extra
  let bucket = 16 * mib
  while (bucket < needed) bucket *= 4
  return bucket
}

/** Writes the bake's medium, padded to `mediumBytes`. */
export async function writePaddedMedium(path: string, job: BakeJob, context: ToolContext): Promise<void> {
  await using folder = await tempDir('medium')
  await writeMedium(folder.path, job)
  await writeDataIso(path, folder.path, mediumLabel, context)
  await pad(path, mediumBytes(job))
}

/** Writes the seed, padded to `seedBytes`. */
export async function writePaddedSeed(
  path: string,
  seed: { readonly userData: string; readonly metaData: string },
  context: ToolContext,
): Promise<void> {
  await writeSeedIso(path, seed, context)
  await pad(path, seedBytes)
}

async function pad(path: string, bytes: number): Promise<void> {
  const { size } = await stat(path)
  if (size > bytes) throw new Error(`${path} has ${size} bytes, more than the ${bytes} planned for it`)
  await truncate(path, bytes)
}

/** The disk within a folder of the step cache. */
export const diskIn = (layer: string): string => join(layer, 'disk.qcow2')

/** The saved memory within a folder of the step cache. */
export const memoryIn = (layer: string): string => join(layer, 'memory.zst')

/**
 * Makes the disk of a new layer over another one, which may be in use. Clusters of 4 KiB, the block size of the guest's
 * file system: in larger ones what was deleted stays as long as anything beside it is used.
 */
export async function createLayerDisk(
  layer: string,
  backing: string,
  virtualSizeBytes: number,
  { reporter, signal }: ToolContext,
): Promise<string> {
  const path = diskIn(layer)
  await mkdir(layer, { recursive: true })
  await run(
    await needTool('qemu-img'),
    [
      ...['create', '-q', '-f', 'qcow2', '-u', '-b', backing, '-F', 'qcow2'],
      ...['-o', 'cluster_size=4k', path, String(virtualSizeBytes)],
    ],
    { purpose: 'make a layer of the disk', reporter, signal },
  )
  return path
}

/**
 * Writes what differs between the top of a chain and its base into one new qcow2 file over the base. The layers in between
 * belong to the step cache and are only read.
 */
export async function writeThin(
  input: { readonly top: string; readonly base: string; readonly target: string; readonly virtualSizeBytes: number },
  { reporter, signal }: ToolContext,
): Promise<void> {
  const { top, base, target, virtualSizeBytes } = input
  const qemuImg = await needTool('qemu-img')
  const options = { purpose: 'collect what differs from the base', reporter, signal }
  await rm(target, { force: true })
  await run(
    qemuImg,
    [
      ...['create', '-q', '-f', 'qcow2', '-u', '-b', top, '-F', 'qcow2'],
      ...['-o', 'cluster_size=4k', target, String(virtualSizeBytes)],
    ],
    options,
  )
  await run(qemuImg, ['rebase', '-f', 'qcow2', '-t', 'unsafe', '-b', base, '-F', 'qcow2', target], options)
}
