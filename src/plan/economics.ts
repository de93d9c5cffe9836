import type { Candidate } from './costs.ts'
import type { PlanImage } from './evidence.ts'
import type { CostModel, Difference, Economics, PlannedStep, PlanSettings } from './model.ts'

const secondsPerDay = 86_400
const daysPerMonth = 30
const GiB = 1024 ** 3

/** What baking these steps brings and costs against baking nothing; `savedPerLaunch` where it is no sum over the steps. */
export function economicsOf(
  baked: readonly Candidate[],
  model: CostModel,
  settings: PlanSettings,
  savedPerLaunch = total(baked, ({ costs }) => costs.savedSeconds),
): Economics {
  const imageBytes = total(baked, ({ costs }) => costs.imageBytes ?? 0)
  const delay = (model.secondsPerGiB.value * imageBytes) / GiB
  const byStep = total(baked, ({ costs }) => costs.savedSeconds)
  const fresh = total(baked, ({ costs }) => costs.freshShare * costs.savedSeconds)
  const freshShare = byStep > 0 ? fresh / byStep : 1
  const bakesPerDay = total(baked, ({ ownChangesPerDay }) => ownChangesPerDay)
  const reruns = total(baked, ({ costs, wallSeconds }) => costs.changesPerDay.value * (wallSeconds ?? 0))
  const bakeSecondsPerDay = bakesPerDay * model.bakeOverheadSeconds.value + reruns
  const savedPerDay = model.launchesPerDay.value * (freshShare * savedPerLaunch - delay)
  return {
    savedPerLaunch: savedPerLaunch - delay,
    savedPerDay,
    imageBytes,
    bakesPerDay,
    bakeSecondsPerDay,
    staleShare: 1 - Math.exp(-bakesPerDay * (model.rebakeSeconds.value / secondsPerDay)),
    ...money(settings, savedPerDay, bakeSecondsPerDay, imageBytes),
  }
}

function money(
  { prices }: PlanSettings,
  savedPerDay: number,
  bakeSecondsPerDay: number,
  imageBytes: number,
): Pick<Economics, 'money'> {
  if (prices === undefined) return {}
  return {
    money: {
      currency: prices.currency,
      savedPerMonth: (savedPerDay * daysPerMonth * prices.launchHour) / 3600,
      bakesPerMonth: (bakeSecondsPerDay * daysPerMonth * prices.bakeHour) / 3600,
      storagePerMonth: (imageBytes / GiB) * prices.storageGiBMonth,
    },
  }
}

/** What an image baked from the plan would have otherwise than the one in force. */
export function differenceOf(steps: readonly PlannedStep[], inForce: PlanImage, kept: boolean): Difference {
  const before = new Map(inForce.steps.map((step) => [step.name, step.digest]))
  const baked = new Map<string, string>(
    steps.flatMap((step) => (step.decision === 'bake' ? [[step.name, step.digest]] : [])),
  )
  return {
    imageId: inForce.imageId,
    added: [...baked.keys()].filter((name) => !before.has(name)),
    removed: [...before.keys()].filter((name) => !baked.has(name)),
    changed: [...baked].flatMap(([name, digest]) => (before.has(name) && before.get(name) !== digest ? [name] : [])),
    kept,
  }
}

function total(candidates: readonly Candidate[], pick: (candidate: Candidate) => number): number {
  return candidates.reduce((sum, candidate) => sum + pick(candidate), 0)
}
