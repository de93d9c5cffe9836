import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { ImageManifest, VerificationCheck } from '../image/manifest.ts'
import { launch } from '../launch/launch.ts'
import { middle } from '../plan/evidence.ts'
import type { PlannedStep } from '../plan/model.ts'
import type { Report } from '../profile/report.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { formatSeconds } from '../report/reporters.ts'
import { checksOfLaunches } from './checks.ts'
import type { BakeJob } from './engine.ts'

export interface VerifyInput {
  readonly recipe: Recipe
  readonly job: BakeJob
  /** The baked steps of the plan. */
  readonly steps: readonly PlannedStep[]
  /** What the bake reported: whose identity must not come back. */
  readonly bakeReport: Report
  readonly disk: string
  /** At least one: single launches spread, so what is recorded is the median. */
  readonly launches: number
}

interface VerifyingLaunch {
  readonly launchSeconds: number
  readonly report: Report
}

/** Launches the image as a fleet would and checks what the hosts report. Throws UserError where a check fails. */
export async function verifyByLaunch(context: Context, input: VerifyInput): Promise<ImageManifest['verification']> {
  const bakedDigests = new Set(input.steps.map((step) => step.digest))
  const done: VerifyingLaunch[] = []
  let checks: readonly VerificationCheck[] = []
  while (done.length < input.launches) {
    done.push(await launchOnce(context, input, done.length + 1))
    checks = checksOfLaunches({
      ...{ imageId: input.job.imageId, bakedDigests, bake: input.bakeReport },
      launches: done.map(({ report }) => report),
    })
    refuseFailed(checks)
  }
  const launches = done.map(({ launchSeconds, report }) => ({ readyUptime: report.readyUptime, launchSeconds }))
  return {
    readyUptime: middle(launches.map((each) => each.readyUptime)),
    launchSeconds: middle(launches.map((each) => each.launchSeconds)),
    ...(launches.length > 1 ? { launches } : {}),
    checks: [...checks],
  }
}

function launchOnce(context: Context, input: VerifyInput, number: number): Promise<VerifyingLaunch> {
  const { job, recipe, disk, launches } = input
  return phase(
    context.reporter,
    `verify by launching the image${launches === 1 ? '' : `, ${number} of ${launches}`}`,
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
