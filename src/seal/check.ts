import type { Context } from '../context.ts'
import { exposeRaw, withReadAt, type RawDisk } from '../disk/expose.ts'
import { readLayout, type DiskLayout } from '../disk/layout.ts'
import type { DiskFormat } from '../image/disk-format.ts'
import { Cleanup } from '../util/cleanup.ts'
import { extUnused } from './ext.ts'
import { openFileView } from './file-view.ts'
import { describeOffsets } from './locate.ts'
import { lookAtFiles, type Finding } from './look.ts'
import type { Needle } from './needles.ts'
import { totalLength } from './ranges.ts'
import { dataRanges, scanRaw } from './raw-scan.ts'

export type { Finding } from './look.ts'

export interface SealCheckOptions {
  /** A powered-off system. */
  readonly disk: { readonly path: string; readonly format: DiskFormat }
  /** What must not be anywhere in its bytes. */
  readonly secrets: readonly Needle[]
  /** An existing folder that is gone when the work is over. */
  readonly workFolder: string
}

export interface SealReport {
  /** What must not be in an image; empty where it may be published. */
  readonly findings: readonly Finding[]
  readonly filesLooked: number
  readonly bytesScanned: number
  /** How the files were read. */
  readonly how: 'mounted' | 'debugfs'
  /** What could not be looked at here, in words. */
  readonly notLooked: readonly string[]
}

/**
 * Looks at a finished disk from outside, and trusts nothing that the sealing said of itself: whether a needle is anywhere
 * in its bytes (free space, slack and journal included), whether free space holds anything at all (ext file systems),
 * whether the seal list holds, and whether a file holds a private key or a token by its form. Throws UserError where the
 * disk cannot be read.
 */
export async function sealCheck(context: Context, options: SealCheckOptions): Promise<SealReport> {
  await using stack = new Cleanup()
  const disk = stack.use(await exposeRaw(context, { ...options.disk, writable: false, workFolder: options.workFolder }))
  const layout = await withReadAt(disk, (read) => readLayout(read, disk.sizeBytes))
  const view = stack.use(await openFileView(context, disk, layout, options.workFolder))
  // One after the other: the first has read all that the second reads file by file.
  const raw = await checkBytes(context, options, disk, layout)
  const look = await lookAtFiles(view.root, context.signal)
  return {
    findings: [...look.findings, ...raw.findings],
    filesLooked: look.filesLooked,
    bytesScanned: raw.bytesScanned,
    how: view.how,
    notLooked: view.notLooked,
  }
}

interface RawLook {
  readonly findings: readonly Finding[]
  readonly bytesScanned: number
}

async function checkBytes(
  context: Context,
  { disk, secrets }: SealCheckOptions,
  raw: RawDisk,
  layout: DiskLayout,
): Promise<RawLook> {
  const unused = await extUnused(context, raw.path, layout)
  const { hits, leftovers, bytesScanned } = await scanRaw({
    path: raw.path,
    ranges: await dataRanges(context, disk),
    needles: secrets,
    unused: unused.flatMap(({ free }) => free),
    signal: context.signal,
  })
  const offsets = hits.map(({ offset }) => offset)
  const words = offsets.length === 0 ? new Map() : await describeOffsets(context, raw.path, layout, unused, offsets)
  const needles = hits.map(({ needle, offset }) => ({
    id: 'needle',
    where: `byte ${offset} of the disk, ${words.get(offset) ?? ''}`,
    why: `holds ${needle.name} of the bake`,
  }))
  return { findings: [...needles, ...leftoverFinding(leftovers)], bytesScanned }
}

function leftoverFinding(leftovers: Awaited<ReturnType<typeof scanRaw>>['leftovers']): readonly Finding[] {
  const first = leftovers[0]
  if (first === undefined) return []
  const places = leftovers.length === 1 ? '' : ` and ${leftovers.length - 1} more places`
  return [
    {
      id: 'deleted-data',
      where: `byte ${first.start} of the disk${places}, in free space`,
      why: `${totalLength(leftovers)} bytes of deleted files are still there`,
    },
  ]
}
