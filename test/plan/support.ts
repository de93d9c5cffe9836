import type { PlanDefaults } from '../../src/config.ts'
import type { Evidence, PlanImage } from '../../src/plan/evidence.ts'
import { makePlan } from '../../src/plan/make-plan.ts'
import type { CostModel, Plan, PlannedStep } from '../../src/plan/model.ts'
import type { Profile, Spread, StepProfile } from '../../src/profile/model.ts'
import type { Step } from '../../src/recipe/model.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { recipe } from '../profile/support.ts'

export const day = 86_400
export const MiB = 1024 ** 2

export function spread(median: number, changes: Partial<Spread> = {}): Spread {
  return { count: 30, median, p95: median * 1.1, min: median * 0.9, max: median * 1.2, ...changes }
}

/** What was measured of a step: median seconds, MiB on the file system, samples, spread. */
export interface Measured {
  readonly seconds: number
  readonly mib?: number
  readonly count?: number
  readonly p95?: number
}

export interface World {
  readonly steps: readonly Step[]
  readonly measured: Readonly<Record<string, Measured>>
  /** Days of reports; 10 by default. */
  readonly days?: number
  /** Cold boots in those days; 30 by default. */
  readonly boots?: number
  readonly launchToReady?: number
  /** Digests that steps had before, by name, all measured like the step now. */
  readonly earlier?: Readonly<Record<string, number>>
  readonly settings?: PlanDefaults
  readonly evidence?: Partial<Evidence>
  readonly execution?: CostModel['execution']
  readonly base?: string
}

/** The plan of a fleet that was measured as told. */
export function planWorld(world: World): Plan {
  const { steps, evidence, settings, execution, base } = world
  return makePlan({
    recipe: recipe(steps),
    profile: profileOfWorld(world),
    // Thresholds have tests of their own.
    settings: { minShare: 0, ...settings },
    evidence: { boots: [], images: [], ...evidence },
    ...(execution === undefined ? {} : { execution }),
    ...(base === undefined ? {} : { base }),
  })
}

export function profileOfWorld({
  steps,
  measured,
  days = 10,
  boots = 30,
  launchToReady = 200,
  earlier = {},
}: World): Profile {
  const profiles = steps.flatMap((step) => {
    const of = measured[step.name]
    return of === undefined ? [] : [stepProfile(step, of, step.digest, true)]
  })
  const old = Object.entries(earlier).flatMap(([name, count]) => {
    const step = steps.find((each) => each.name === name) as Step
    return Array.from({ length: count }, (_, index) =>
      stepProfile(step, measured[name] ?? { seconds: 1 }, sha256(`${name} before ${index}`), false),
    )
  })
  const ready = {
    ...{ image: undefined, count: boots, few: false, firmwareSeconds: 4, current: true },
    ...{ launchToReady: spread(launchToReady), readyUptime: spread(launchToReady - 4) },
  }
  return {
    v: 1,
    recipe: 'web',
    quantiles: 'type-7',
    reports: { fleet: boots, cold: boots, failed: 0, otherPurpose: 0 },
    ...{ from: 1_700_000_000, to: 1_700_000_000 + days * day, steps: [...profiles, ...old] },
    ready: { allRan: ready, someBaked: undefined, images: [] },
    failedBoots: [],
  }
}

function stepProfile(step: Step, of: Measured, digest: string, current: boolean): StepProfile {
  const { seconds, mib = 0, count = 30 } = of
  const wall = spread(seconds, { count, ...(of.p95 === undefined ? {} : { p95: of.p95 }) })
  return {
    ...{ name: step.name, digest, when: step.when, current, count, few: count < 3, wall, cpu: wall },
    ...{ rxBytes: spread(0), diskBytes: spread(mib * MiB), share: undefined, failures: 0, baked: 0 },
  }
}

/** An image that has these steps, in their versions of now unless `digests` says otherwise. */
export function image(
  steps: readonly Step[],
  names: readonly string[],
  changes: Partial<PlanImage> & { readonly digests?: Readonly<Record<string, string>> } = {},
): PlanImage {
  const { digests = {}, ...others } = changes
  return {
    imageId: 'web-20231115T000000Z-00000000',
    createdAt: '2023-11-15T00:04:00.000Z',
    base: { name: 'debian-12', digest: sha256('base') },
    addedBytes: 0,
    steps: steps
      .filter((step) => names.includes(step.name))
      .map((step) => ({ name: step.name, digest: digests[step.name] ?? step.digest, seconds: 10, diskBytes: 0 })),
    verification: { readyUptime: 40, launchSeconds: 45, checks: [] },
    ...others,
  }
}

export const baked = (plan: Plan) => plan.steps.flatMap((step) => (step.decision === 'bake' ? [step.name] : []))

export function stepOf(plan: Plan, name: string): PlannedStep {
  const step = plan.steps.find((each) => each.name === name)
  if (step === undefined) throw new RangeError(`no step ${name}`)
  return step
}
