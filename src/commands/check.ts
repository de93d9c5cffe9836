import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { exitCodes, UserError, type Problem } from '../errors.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import type { BuildCommand } from './app.ts'
import { addRecipeOptions, loadOptions, type RecipeOptions } from './recipe-options.ts'

/** `parbake check [RECIPE...]` */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('check')
      .description('check recipes and report all that is wrong with them')
      .argument('[recipes...]', 'recipe folders or files; default: this folder, or every recipe in recipes/'),
  ).action(async (given: string[], options: RecipeOptions, command: Command) => {
    const context = await app.open(command)
    const { inspectRecipe } = await import('../recipe/load.ts')
    const results: { readonly recipe: string; readonly steps: number; readonly problems: readonly Problem[] }[] = []
    for (const recipe of given.length > 0 ? given : await findRecipes('.')) {
      const found = await inspectRecipe(recipe, loadOptions(context, options))
      results.push({
        recipe,
        steps: found.ok ? found.recipe.steps.length : 0,
        problems: found.ok ? [] : found.problems,
      })
    }
    if (context.json) {
      context.printJson(results.map((result) => ({ ...result, ok: result.problems.length === 0 })))
    } else {
      for (const { recipe, steps, problems } of results) {
        if (problems.length === 0) context.print(`${recipe}: ok, ${steps} ${steps === 1 ? 'step' : 'steps'}`)
      }
    }
    failIfAny(
      results.flatMap((result) => result.problems),
      context.json,
    )
  })

/** As JSON the problems are already on stdout. */
function failIfAny(problems: readonly Problem[], json: boolean): void {
  if (problems.length === 0) return
  throw new UserError(problems.length === 1 ? 'found 1 problem' : `found ${problems.length} problems`, {
    problems: json ? [] : problems,
    exitCode: exitCodes.usage,
    code: 'recipe-invalid',
  })
}

/** The folder itself if it is a recipe, else every recipe below its `recipes/`. */
async function findRecipes(folder: string): Promise<string[]> {
  if (await exists(join(folder, 'recipe.yaml'))) return [folder]
  const parent = join(folder, 'recipes')
  const names = await readdir(parent).catch(() => [])
  const recipes: string[] = []
  for (const name of names.toSorted(compareCodeUnits)) {
    if (await exists(join(parent, name, 'recipe.yaml'))) recipes.push(join(parent, name))
  }
  if (recipes.length > 0) return recipes
  throw new UserError('there is no recipe here: neither recipe.yaml nor recipes/*/recipe.yaml', {
    hint: 'name the recipe folders to check',
    exitCode: exitCodes.usage,
  })
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
