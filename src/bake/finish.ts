import { symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Context } from '../context.ts'
import type { KeyAtHand } from '../bundle/channel.ts'
import { exposeRaw, type RawDisk } from '../disk/expose.ts'
import { UserError } from '../errors.ts'
import { backingName } from '../image/images.ts'
import { dataRanges } from '../image/data-ranges.ts'
import { checkImage } from '../image/qemu-img.ts'
import { readContents, type ClusterContent } from '../image/qcow2/contents.ts'
import { writeQcow2, type WrittenQcow2 } from '../image/qcow2/write.ts'
import { phase } from '../report/events.ts'
import { formatBytes } from '../report/reporters.ts'
import { sealCheck, type SealReport } from '../seal/check.ts'
import type { Needle } from '../seal/needles.ts'
import { scrubDisk } from '../seal/scrub.ts'
import type { BakeJob, SealedDisk } from './engine.ts'
import { sha256File, type Sha256 } from '../util/sha256.ts'
import { baseContents, keepClusters, knownClusters } from './known-clusters.ts'
import { keepLook, lastLook } from './last-look.ts'

export interface FinishInput {
  readonly job: BakeJob
  readonly sealed: SealedDisk
  readonly thin: boolean
  /** Absolute path of the image to write. */
  readonly target: string
  /** What must not be anywhere on the disk. */
  readonly needles: readonly Needle[]
  /** Its private part hides the needles in the cache. */
  readonly signingKey: KeyAtHand
  readonly work: string
}

export interface FinishedImage {
  readonly look: SealReport
  /** Digest of the image file. */
  readonly sha256: Sha256
}

/**
 * Writes the image file, and looks meanwhile at the sealed disk from outside. Throws UserError where the look finds
 * anything; then there is no image.
 */
export async function finishDisk(context: Context, input: FinishInput): Promise<FinishedImage> {
  const { reporter } = context
  await dropDeleted(context, input)
  const { job, sealed, work, needles, signingKey } = input
  await using disk = await exposeRaw(context, { ...sealed, writable: false, workFolder: work })
  const contents = await readContents(disk.path, await dataRanges(context, sealed), context.signal)
  const seen = await lastLook(context, job, signingKey, contents)
  const look = phase(
    reporter,
    'check the seal from outside',
    () => sealCheck(context, { disk: sealed, secrets: needles, seen, workFolder: work }),
    (report) => ({ detail: lookText(report) }),
  )
  // Both have ended before anything is cleaned up, whichever fails.
  const [written, looked] = await Promise.allSettled([compress(context, input, { disk, contents }), look])
  if (looked.status === 'rejected') throw looked.reason
  const report = looked.value
  refuseFindings(report)
  if (written.status === 'rejected') throw written.reason
  await keepClusters(context, job, input.target, written.value.index)
  await keepLook(context, job, signingKey, { contents, needles, report })
  return { look: report, sha256: written.value.sha256 }
}

function lookText({ filesLooked, bytesLooked, bytesSeen }: SealReport): string {
  const seen = bytesSeen === 0 ? '' : `, ${formatBytes(bytesSeen)} of it seen before`
  return `${filesLooked} files, ${formatBytes(bytesLooked)}${seen}`
}

/**
 * A trimmed qcow2 file still holds what shares a cluster with something in use. A raw one does not, but a trim of a mounted
 * file system misses blocks that are only just becoming free: the kernel takes them back a moment after they were written out.
 */
async function dropDeleted(context: Context, { sealed, work }: FinishInput): Promise<void> {
  await phase(
    context.reporter,
    'drop deleted data',
    () => scrubDisk(context, { disk: sealed, workFolder: work }),
    ({ bytes }) => ({ detail: formatBytes(bytes) }),
  )
}

interface OpenDisk {
  readonly disk: RawDisk
  readonly contents: readonly ClusterContent[]
}

async function compress(
  context: Context,
  input: FinishInput,
  { disk, contents }: OpenDisk,
): Promise<WrittenQcow2 & { readonly sha256: Sha256 }> {
  const { job, thin, target, work } = input
  const { reporter, signal } = context
  const label = thin ? 'compress what differs from the base' : 'flatten and compress'
  return phase(
    reporter,
    label,
    async () => {
      const written = await writeQcow2({
        ...{ source: disk.path, sizeBytes: disk.sizeBytes, target, workFolder: work, signal },
        contents,
        references: await knownClusters(context, job),
        // By name, not by path: the image is to be used elsewhere.
        ...(thin
          ? { backing: { name: backingName(job.base.digest), contents: await baseContents(context, job.base, work) } }
          : {}),
        onProgress: (share) =>
          reporter.emit({ type: 'phase-progress', phase: label, detail: `${Math.round(share * 100)} %` }),
      })
      // Whoever opens the image looks for its base beside it.
      if (thin) await symlink(job.base.path, join(dirname(target), backingName(job.base.digest)))
      await checkImage(target, { reporter, signal })
      return { ...written, sha256: await sha256File(target, signal) }
    },
    ({ sizeBytes, copied, compressed }) => ({
      detail: `${formatBytes(sizeBytes)}, ${compressed} of ${compressed + copied} clusters anew`,
    }),
  )
}

function refuseFindings({ findings }: SealReport): void {
  if (findings.length === 0) return
  const shown = findings.slice(0, 20).map((finding) => `  ${finding.id}: ${finding.where}: ${finding.why}`)
  const more = findings.length > shown.length ? [`  and ${findings.length - shown.length} more`] : []
  throw new UserError(`the sealed disk still holds what must not be in an image:\n${[...shown, ...more].join('\n')}`, {
    hint: 'find out which step wrote it; nothing was published',
    code: 'seal-leaks',
  })
}
