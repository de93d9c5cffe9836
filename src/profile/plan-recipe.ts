import type { TuneDefaults } from '../config.ts'
import type { Context } from '../context.ts'
import { makePlan } from '../plan/make-plan.ts'
import type { Plan, PlannedTuning } from '../plan/model.ts'
import type { Recipe } from '../recipe/model.ts'
import { chooseTunings } from '../tune/choose.ts'
import type { GuestFacts } from '../tune/facts.ts'
import { loadProfile } from './load.ts'
import type { Profile } from './model.ts'

export interface PlanRecipeOptions {
  /** Instead of the configured `plan.minSavingSeconds`. */
  readonly minSavingSeconds?: number
  /** Digest of the base the plan is for; goes into the plan digest. */
  readonly base?: string
  /** What is known of the base's system; what is not, the tuning script looks at itself. */
  readonly facts?: GuestFacts
}

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
): Promise<{ readonly plan: Plan; readonly profile: Profile }> {
  const allowEmpty = recipe.steps.some((step) => step.bake === 'always')
  const profile = await loadProfile(context, recipe, { allowEmpty })
  const plan = makePlan({
    recipe,
    profile,
    settings: {
      ...context.config.plan,
      ...(options.minSavingSeconds === undefined ? {} : { minSavingSeconds: options.minSavingSeconds }),
    },
    tunings: planTunings(context.config.tune, options.facts ?? {}),
    ...(options.base === undefined ? {} : { base: options.base }),
  })
  return { plan, profile }
}
