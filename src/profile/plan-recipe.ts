import type { PlanDefaults, TuneDefaults } from '../config.ts'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { currentImage } from '../image/images.ts'
import { parseManifest, type ImageManifest } from '../image/manifest.ts'
import { loadTrustedKeys } from '../keys/index.ts'
import type { Evidence } from '../plan/evidence.ts'
import { makePlan } from '../plan/make-plan.ts'
import type { Plan, PlannedTuning } from '../plan/model.ts'
import type { Recipe } from '../recipe/model.ts'
import { keys } from '../store/keys.ts'
import { getBytes, listAll, type ObjectStore } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import { chooseTunings } from '../tune/choose.ts'
import type { GuestFacts } from '../tune/facts.ts'
import type { FleetStatistics } from './fleet.ts'
import { readReports } from './ingest.ts'
import { exactDocuments, loadFleet } from './load.ts'
import type { Profile } from './model.ts'
import type { Report } from './report.ts'

export interface PlanRecipeOptions {
  /** Instead of the configured `plan`. */
  readonly settings?: PlanDefaults
  /** Digest of the base the plan is for; goes into the plan digest. */
  readonly base?: string
  /** What is known of the base's system; what is not, the tuning script looks at itself. */
  readonly facts?: GuestFacts
  /** Channel of the image in force; the configured one by default. */
  readonly channel?: string
}

/** So many of the newest images are learned from. */
const recentImages = 10
/** So many of the newest boots are looked at one by one. */
const recentBoots = 200
/** Of a large fleet, the days before the last report that these are looked for in. */
const recentDays = 2

/** Which boot tunings the settings and the system allow, with reasons. Pure. */
export function planTunings(settings: TuneDefaults, facts: GuestFacts): readonly PlannedTuning[] {
  const { chosen, left } = chooseTunings({
    allow: settings.level === 'default' ? 'same' : settings.level,
    ...(settings.only === undefined ? {} : { include: settings.only }),
    exclude: settings.except,
    facts,
  })
  const why = new Map(left.map(({ tuning, why: reason }) => [tuning.name, reason]))
  return [...chosen, ...left.map(({ tuning }) => tuning)].map((tuning) => ({
    name: tuning.name,
    title: tuning.title,
    apply: !why.has(tuning.name),
    why: why.get(tuning.name) ?? tuning.does,
  }))
}

/**
 * Measures and decides: the profile of the recipe from the store, then its plan. A recipe with a `bake: always` step can
 * be planned before anything was measured; else throws UserError where there is no report yet.
 */
export async function planRecipe(
  context: Context,
  recipe: Recipe,
  options: PlanRecipeOptions = {},
): Promise<{ readonly plan: Plan; readonly profile: Profile; readonly fleet: FleetStatistics }> {
  const allowEmpty = recipe.steps.some((step) => step.bake === 'always')
  const { profile, fleet } = await loadFleet(context, recipe, { allowEmpty })
  const evidence = await gatherEvidence(context, recipe, profile, options.channel ?? context.config.channel)
  const plan = makePlan({
    recipe,
    profile,
    settings: options.settings ?? context.config.plan,
    tunings: planTunings(context.config.tune, options.facts ?? {}),
    evidence: { ...evidence, ...lateRate(fleet) },
    ...(options.base === undefined ? {} : { base: options.base }),
  })
  return { plan, profile, fleet }
}

/** Launches a day over the last week, once there is more than a day of reports. */
function lateRate({ launches }: FleetStatistics): Pick<Evidence, 'launchesPerDay'> {
  const { days, perDayLastWeek } = launches
  return days > 1 && perDayLastWeek !== undefined ? { launchesPerDay: perDayLastWeek } : {}
}

/** What the plan learns from beside the profile: boots one by one, earlier images, and the one in force. */
async function gatherEvidence(context: Context, recipe: Recipe, profile: Profile, channel: string): Promise<Evidence> {
  const store = await openStore(context.config.store)
  try {
    const images = await readImages(context, store, recipe.name)
    const inForce = images.length === 0 ? undefined : await readInForce(context, store, recipe.name, channel)
    const boots = await readBoots(context, store, recipe.name, profile)
    return { boots, images, ...(inForce === undefined ? {} : { inForce }) }
  } finally {
    store.close()
  }
}

/** Manifests of the newest images, oldest first. Ids sort by time. One that cannot be read teaches nothing, and stops nothing. */
async function readImages(context: Context, store: ObjectStore, recipe: string): Promise<readonly ImageManifest[]> {
  const manifests: string[] = []
  for await (const { key } of listAll(store, keys.imagesPrefix(recipe), context.signal)) {
    if (key.endsWith('/manifest.json')) manifests.push(key)
  }
  const images: ImageManifest[] = []
  for (const key of manifests.toSorted().slice(-recentImages)) {
    const bytes = await getBytes(store, key, context.signal)
    if (bytes === undefined) continue
    try {
      images.push(parseManifest(bytes.toString('utf8'), key))
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      context.reporter.emit({ type: 'warning', text: `${error.message}; the plan does not count it` })
    }
  }
  return images
}

/** A channel that is not genuine must not sway a plan; a bake will refuse it. */
async function readInForce(
  context: Context,
  store: ObjectStore,
  recipe: string,
  channel: string,
): Promise<ImageManifest | undefined> {
  try {
    const trustedKeys = loadTrustedKeys(context.config)
    return (await currentImage({ store, recipe, channel, trustedKeys }, context.signal))?.manifest
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    const text = `${error.message}; the plan is made as if there were no image yet`
    context.reporter.emit({ type: 'warning', text, ...(error.hint === undefined ? {} : { hint: error.hint }) })
    return undefined
  }
}

/** The newest cold boots of the fleet that succeeded. */
async function readBoots(
  context: Context,
  store: ObjectStore,
  recipe: string,
  profile: Profile,
): Promise<readonly Report[]> {
  const isLarge = profile.reports.fleet > exactDocuments && profile.to !== undefined
  const since = new Date(((profile.to ?? 0) - recentDays * 86_400) * 1000)
  const boots: Report[] = []
  const options = { signal: context.signal, limit: recentBoots, ...(isLarge ? { since } : {}) }
  for await (const report of readReports(store, recipe, options)) {
    if (report.purpose === 'fleet' && report.cold && report.outcome === 'ok') boots.push(report)
  }
  return boots
}
