import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { ImageManifest, VerificationCheck } from '../image/manifest.ts'
import { launch } from '../launch/launch.ts'
import type { PlannedStep } from '../plan/model.ts'
import type { Report } from '../profile/report.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { formatSeconds } from '../report/reporters.ts'
import { verificationChecks } from './checks.ts'
import type { BakeJob } from './engine.ts'

export interface VerifyInput {
  readonly recipe: Recipe
  readonly job: BakeJob
  /** The baked steps of the plan. */
  readonly steps: readonly PlannedStep[]
  /** What the bake reported: whose identity must not come back. */
  readonly bakeReport: Report
  readonly disk: string
}

/** Launches the image as a fleet would and checks what the host reports. Throws UserError where a check fails. */
export async function verifyByLaunch(context: Context, input: VerifyInput): Promise<ImageManifest['verification']> {
  const { job, recipe, disk, steps } = input
  const { launchSeconds, report } = await phase(
    context.reporter,
    'verify by launching the image',
    async () => {
      await using launched = await launch(context, {
        recipe,
        disk: { path: disk, imageId: job.imageId, base: job.base.name },
        channel: job.channelName,
        purpose: 'verify',
      })
      return { launchSeconds: launched.launchSeconds, report: launched.report }
    },
    (result) => ({ detail: `ready after ${formatSeconds(result.launchSeconds)}` }),
  )
  const checks = verificationChecks({
    imageId: job.imageId,
    bakedDigests: new Set(steps.map((step) => step.digest)),
    bake: input.bakeReport,
    launch: report,
  })
  refuseFailed(checks)
  return { readyUptime: report.readyUptime, launchSeconds, checks: [...checks] }
}

function refuseFailed(checks: readonly VerificationCheck[]): void {
  const failed = checks.filter((check) => !check.ok)
  if (failed.length === 0) return
  const list = failed.map((check) => `  ${check.name}: ${check.detail ?? 'failed'}`).join('\n')
  throw new UserError(`the image did not pass its verification, so it was not published:\n${list}`, {
    hint: 'the image before stays the current one',
    code: 'verification-failed',
  })
}
