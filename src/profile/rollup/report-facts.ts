import { sha256 } from '../../util/sha256.ts'
import type { FailedBoot } from '../model.ts'
import { ranAll, type Report } from '../report.ts'
import type { BootKind } from './ready-tally.ts'
import type { GroupValues } from './runs-tally.ts'

/** Of what hosts write, this much is kept. */
const textLength = 200

/** Names a recipe by its step digests, in order. */
export function stepsDigest(digests: readonly string[]): string {
  return sha256(digests.join('\n')).slice(0, 16)
}

/** What the host of a report was; `unknown` where it did not tell. */
export function groupsOf(report: Report): GroupValues {
  return {
    instanceType: named(report.instanceType),
    region: named(report.region),
    image: clipped(report.image),
    distribution: named(report.os.version === '' ? report.os.id : `${report.os.id}-${report.os.version}`),
  }
}

/** What of the recipe the boot still had to do. */
export function bootKind(report: Report): BootKind {
  if (ranAll(report)) return 'all-ran'
  return report.steps.some((step) => step.outcome === 'stamped' && step.baked) ? 'some-baked' : 'other'
}

/** What is kept of a boot that failed. */
export function failedBoot(report: Report): FailedBoot {
  return {
    run: report.run,
    host: report.host,
    image: report.image,
    startedAt: report.startedAt,
    error: clipped(report.error),
    steps: report.steps.filter((step) => step.outcome === 'failed').map((step) => clipped(step.name)),
  }
}

function named(text: string | undefined): string {
  return text === undefined || text === '' ? 'unknown' : clipped(text)
}

/** Text of bounded length. */
export function clipped(text: string): string {
  return text.length <= textLength ? text : `${text.slice(0, textLength - 1)}…`
}
