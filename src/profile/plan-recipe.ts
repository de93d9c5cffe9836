import type { Context } from '../context.ts'
import { makePlan } from '../plan/make-plan.ts'
import type { Plan } from '../plan/model.ts'
import type { Recipe } from '../recipe/model.ts'
import { loadProfile } from './load.ts'
import type { Profile } from './model.ts'

export interface PlanRecipeOptions {
  /** Instead of the configured `plan.minSavingSeconds`. */
  readonly minSavingSeconds?: number
  /** Digest of the base the plan is for; goes into the plan digest. */
  readonly base?: string
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
    ...(options.base === undefined ? {} : { base: options.base }),
  })
  return { plan, profile }
}
