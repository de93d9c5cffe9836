import type { KeyAtHand } from '../bundle/channel.ts'
import type { Context } from '../context.ts'
import type { ClusterContent } from '../image/qcow2/contents.ts'
import type { SealReport } from '../seal/check.ts'
import { lookBeside, readLook, writeLook } from '../seal/look-record.ts'
import type { Needle } from '../seal/needles.ts'
import type { SeenBytes } from '../seal/seen.ts'
import type { BakeJob } from './engine.ts'
import { lastImage } from './known-clusters.ts'

/**
 * What of a disk the look at the last image of the recipe on this base has seen, or else that at the base when it was built;
 * undefined where there was neither.
 */
export async function lastLook(
  context: Context,
  job: BakeJob,
  signingKey: KeyAtHand,
  contents: readonly ClusterContent[],
): Promise<SeenBytes | undefined> {
  const last = await readLook(lookBeside(lastImage(context, job)), contents, signingKey)
  return last ?? (await readLook(lookBeside(job.base.path), contents, signingKey))
}

/** Remembers a look that found nothing. The cache may forget it. */
export async function keepLook(
  context: Context,
  job: BakeJob,
  signingKey: KeyAtHand,
  look: {
    readonly contents: readonly ClusterContent[]
    readonly needles: readonly Needle[]
    readonly report: SealReport
  },
): Promise<void> {
  await writeLook(lookBeside(lastImage(context, job)), {
    ...{ contents: look.contents, secrets: look.report.secrets },
    needles: { absent: look.needles, signingKey },
  })
}
