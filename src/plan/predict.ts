import { quantile } from '../profile/quantile.ts'
import type { Profile } from '../profile/model.ts'
import { ranAll, type Report, type StepReport } from '../profile/report.ts'
import type { Candidate } from './costs.ts'
import { middle, type PlanImage } from './evidence.ts'
import type { EarlierPrediction, Interval, Prediction } from './model.ts'
import { aheadSeconds, hostKeysOf, noWait, rsaSecondsIn, waitForKey, type HostKeys } from './host-keys.ts'
import { soonerInImage } from './image-start.ts'
import { makespan } from './schedule.ts'
import { assumed } from './settings.ts'

/** Share of launches that the interval should hold. */
const coverage = 0.9
/** From this many boots on their own quantiles are better than the assumption of a normal distribution. */
const empiricalFrom = 40

/** 95 % quantile of Student's t by degrees of freedom, from 1. */
const studentT = [
  6.314, 2.92, 2.353, 2.132, 2.015, 1.943, 1.895, 1.86, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.74,
  1.734, 1.729, 1.725, 1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697,
] as const

export interface PredictOptions {
  /** The tunings that the image gets. */
  readonly tunings?: readonly string[]
  /** Where steps run side by side: what the baked ones save of the longest chain. Counts where there are no boots to go by. */
  readonly criticalSaving?: number | undefined
  /** How many steps a host with so many processors runs at a time; one by default. */
  readonly atATime?: (cpus: number) => number
}

/**
 * Launch-to-ready of an image in which `baked` steps are done. Each boot foretells it: what it took, less the steps that
 * it ran and the image has done, plus the medians of those that it found done and the image has not. Undefined where
 * no boot in which all steps ran was measured, for there is nothing then to compare with.
 */
export function predict(
  profile: Profile,
  candidates: readonly Candidate[],
  baked: ReadonlySet<string>,
  boots: readonly Report[] = [],
  more: PredictOptions = {},
): Prediction | undefined {
  const { tunings = [], criticalSaving, atATime = () => 1 } = more
  const { allRan } = profile.ready
  if (allRan === undefined) return undefined
  const residualSeconds = candidates
    .filter(({ step }) => baked.has(step.name))
    .reduce((sum, { costs }) => sum + costs.residualSeconds.value, 0)
  const onImages = newestImage(boots.filter((boot) => boot.image !== '' && boot.steps.some((step) => step.baked)))
  const onBase = boots.filter((boot) => boot.steps.length > 0 && ranAll(boot))
  const chosen = onImages.length > 0 ? onImages : onBase
  const keys = hostKeysOf(chosen)
  const starts = chosen.map((boot) => ({ boot, ...imageStart(boot, keys, tunings) }))
  const remainders =
    starts.length > 0
      ? starts.map(
          ({ boot, soonerSeconds }) =>
            remainder(boot, profile, candidates, { baked, limit: atATime(boot.cpus) }) - soonerSeconds,
        )
      : [allRan.launchToReady.median - (criticalSaving ?? savedOf(candidates, baked))]
  // Savings on the critical path have the residual in them.
  const added = criticalSaving === undefined || starts.length > 0 ? residualSeconds : 0
  const samples = remainders.map((seconds) => Math.max(0, seconds) + added)
  const bakedSeconds = middle(samples)
  const unbakedSeconds = allRan.launchToReady.median
  return {
    unbakedSeconds,
    count: allRan.count,
    bakedSeconds,
    savingSeconds: unbakedSeconds - bakedSeconds,
    residualSeconds,
    current: allRan.current,
    fromPowerOn: allRan.firmwareSeconds !== undefined,
    interval: intervalOf(
      samples,
      bakedSeconds,
      starts.length === 0 ? 0 : middle(starts.map(({ keyDeviation }) => keyDeviation)),
    ),
    basis: chosen.length === 0 ? 'medians' : onImages.length > 0 ? 'images' : 'base',
  }
}

/** Of boots of images, those of the image that was launched last: an older one may start otherwise. */
function newestImage(boots: readonly Report[]): readonly Report[] {
  const latest = boots.reduce<Report | undefined>(
    (a, b) => (a !== undefined && a.startedAt >= b.startedAt ? a : b),
    undefined,
  )
  return boots.filter((boot) => boot.image === latest?.image)
}

function savedOf(candidates: readonly Candidate[], baked: ReadonlySet<string>): number {
  return candidates
    .filter(({ step }) => baked.has(step.name))
    .reduce((sum, { wallSeconds }) => sum + (wallSeconds ?? 0), 0)
}

/**
 * What one boot would have taken from the image, but for the residual: less the time that its steps take by the agent's
 * schedule, plus that of those that are left.
 */
function remainder(
  boot: Report,
  profile: Profile,
  candidates: readonly Candidate[],
  { baked, limit }: { readonly baked: ReadonlySet<string>; readonly limit: number },
): number {
  const byName = new Map(boot.steps.map((step) => [step.name, step]))
  const places = new Map(candidates.map(({ step }, index) => [step.name, index]))
  const jobs = candidates.map(({ step, wallSeconds }) => {
    const ran = ranSeconds(byName.get(step.name))
    byName.delete(step.name)
    return {
      ran,
      left: baked.has(step.name) ? 0 : ran === 0 ? (wallSeconds ?? 0) : ran,
      needs: step.needs.flatMap((need) => places.get(need) ?? []),
      packages: step.packages === true,
    }
  })
  // Steps that the recipe has no more.
  const gone = [...byName.values()].map((step) => ({ ran: ranSeconds(step), left: 0, needs: [], packages: false }))
  const span = (pick: 'ran' | 'left') => {
    const scheduled = [...jobs, ...gone].map((job) => ({ ...job, seconds: job[pick] }))
    return makespan(scheduled, limit)
  }
  return boot.readyUptime + (firmwareOf(boot, profile) ?? 0) - span('ran') + span('left')
}

/** How a host of the image starts, beside one boot. */
interface ImageStart {
  /** Seconds that it is ready sooner. */
  readonly soonerSeconds: number
  /** Standard deviation of what it waits for the RSA host key, seconds. */
  readonly keyDeviation: number
}

/** What a boot of the base took for the RSA host key, which is luck, gives way to what is expected of an image's host. */
function imageStart(boot: Report, keys: HostKeys, tunings: readonly string[]): ImageStart {
  const onBase = boot.image === ''
  const { atNetworkStage, atFirstStep } = soonerInImage(boot, tunings)
  const ahead = onBase && tunings.includes('ssh-rsa-ahead') ? aheadSeconds(boot, atNetworkStage) : 0
  const wait = tunings.includes('ssh-ed25519') ? noWait : waitForKey(keys, ahead)
  const spent = onBase ? rsaSecondsIn(boot, keys) : 0
  return {
    soonerSeconds: atFirstStep + (spent === 0 ? 0 : spent - wait.seconds),
    keyDeviation: wait.deviation,
  }
}

function ranSeconds(step: StepReport | undefined): number {
  return step?.outcome === 'ran' ? step.wall : 0
}

function firmwareOf(boot: Report, { ready }: Profile): number | undefined {
  const same = ready.images.find((each) => each.image === boot.image)?.firmwareSeconds
  return same ?? ready.allRan?.firmwareSeconds
}

/**
 * Where one more launch should be: m ± t(0.95, ν + n - 1) · σ · √(1 + 1/n), the prediction interval for normal samples, with
 * σ² = (ν · ((0.05 m)² + k²) + (n - 1) · s²) / (ν + n - 1): a spread of 5 % and that of making host keys (`keySeconds`, a
 * standard deviation k) are assumed, and count like ν = 4 boots, for two boots by themselves say next to nothing of a spread.
 * From 40 samples on it is their own quantiles.
 */
export function intervalOf(samples: readonly number[], centre: number, keySeconds = 0): Interval {
  const count = samples.length
  if (count >= empiricalFrom) {
    const sorted = samples.toSorted((a, b) => a - b)
    const tail = (1 - coverage) / 2
    return {
      ...{ lowSeconds: quantile(sorted, tail), highSeconds: quantile(sorted, 1 - tail) },
      ...{ coverage, formula: 'empirical', samples: count },
    }
  }
  const half = halfWidth(samples, centre, keySeconds)
  return {
    ...{ lowSeconds: Math.max(0, centre - half), highSeconds: centre + half },
    ...{ coverage, formula: count < 2 ? 'assumed' : 'student-t', samples: count },
  }
}

function halfWidth(samples: readonly number[], centre: number, keySeconds: number): number {
  const count = samples.length
  const mean = samples.reduce((sum, value) => sum + value, 0) / count
  const squares = samples.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  const freedom = assumed.spreadBoots + count - 1
  const expected = (assumed.spread * centre) ** 2 + keySeconds ** 2
  const variance = (assumed.spreadBoots * expected + squares) / freedom
  const t = studentT[Math.min(freedom, studentT.length) - 1] ?? 1.697
  return t * Math.sqrt(variance * (1 + 1 / count))
}

/** Predictions of earlier images beside what their verifying launches took, oldest first. */
export function earlierPredictions(images: readonly PlanImage[]): readonly EarlierPrediction[] {
  return images.flatMap(({ imageId, predicted, verification }) => {
    if (predicted === undefined || predicted.bakedSeconds <= 0) return []
    // Manifests of before said nothing of it: what was foretold then had the firmware's time where launches were timed.
    const measured = predicted.measuredSeconds ?? verification.launchSeconds
    const error = (measured - predicted.bakedSeconds) / predicted.bakedSeconds
    const launches = verification.launches?.length ?? 1
    return [{ imageId, predictedSeconds: predicted.bakedSeconds, measuredSeconds: measured, launches, error }]
  })
}
