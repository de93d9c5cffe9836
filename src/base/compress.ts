import { stat } from 'node:fs/promises'
import type { Context } from '../context.ts'
import { dataRanges } from '../image/data-ranges.ts'
import { clustersBeside, writeClusterIndex } from '../image/qcow2/cluster-index.ts'
import { readContents } from '../image/qcow2/contents.ts'
import { writeQcow2 } from '../image/qcow2/write.ts'

/**
 * Compresses the raw disk of a base, once and well, and puts an index of its clusters beside it: images that are baked on it
 * take theirs from there. Resolves with the size of the file in bytes.
 */
export async function compressDisk(
  context: Context,
  { source, target, workFolder }: { readonly source: string; readonly target: string; readonly workFolder: string },
): Promise<number> {
  const { reporter, signal } = context
  const ranges = await dataRanges(context, { path: source, format: 'raw' })
  const { sizeBytes, index } = await writeQcow2({
    ...{ source, target, workFolder, signal, effort: 'small' },
    sizeBytes: (await stat(source)).size,
    contents: await readContents(source, ranges, signal),
    onProgress: (share) =>
      reporter.emit({ type: 'phase-progress', phase: 'compress the disk', detail: `${Math.round(share * 100)} %` }),
  })
  await writeClusterIndex(clustersBeside(target), index)
  return sizeBytes
}
