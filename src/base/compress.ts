import { stat } from 'node:fs/promises'
import type { Context } from '../context.ts'
import { dataRanges } from '../image/data-ranges.ts'
import { clustersBeside, writeClusterIndex } from '../image/qcow2/cluster-index.ts'
import { readContents } from '../image/qcow2/contents.ts'
import { writeQcow2 } from '../image/qcow2/write.ts'
import { lookBeside, writeLook } from '../seal/look-record.ts'
import { allEnded } from '../util/all-ended.ts'
import { scanAside } from '../seal/scan-aside.ts'

/**
 * Compresses the raw disk of a base, once and well, and puts an index of its clusters beside it: images that are baked on it
 * take theirs from there. Also looks for secrets by form, so that no bake has to search the base's bytes for them. Resolves
 * with the size of the file in bytes.
 */
export async function compressDisk(
  context: Context,
  { source, target, workFolder }: { readonly source: string; readonly target: string; readonly workFolder: string },
): Promise<number> {
  const { reporter, signal } = context
  const ranges = await dataRanges(context, { path: source, format: 'raw' })
  const contents = await readContents(source, ranges, signal)
  const write = writeQcow2({
    ...{ source, target, workFolder, signal, effort: 'small' },
    sizeBytes: (await stat(source)).size,
    contents,
    onProgress: (share) =>
      reporter.emit({ type: 'phase-progress', phase: 'compress the disk', detail: `${Math.round(share * 100)} %` }),
  })
  // Both have ended before the disk goes, whichever fails.
  const [{ sizeBytes, index }, scans] = await allEnded([
    write,
    scanAside([{ path: source, ranges, needles: [], forms: true }], signal),
  ])
  await writeClusterIndex(clustersBeside(target), index)
  await writeLook(lookBeside(target), { contents, secrets: scans.flatMap(({ secrets }) => secrets) })
  return sizeBytes
}
