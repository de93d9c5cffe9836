import { Command } from 'commander'
import { exitCodes, UserError } from '../errors.ts'
import type { BuildCommand } from './app.ts'
import { addRecipeOptions, loadOptions, type RecipeOptions } from './recipe-options.ts'

interface Options extends RecipeOptions {
  readonly yaml?: boolean
}

/** `parbake show RECIPE`: the recipe with all that it extends and every parameter settled, and where each value comes from. */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('show')
      .description('show a recipe with all that it extends, its parameters settled, and where each value comes from')
      .argument('<recipe>', 'recipe folder'),
  )
    .option('--yaml', 'print it as one recipe.yaml that needs no other file and gives the same digests')
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      if (options.yaml === true && context.json) {
        throw new UserError('--yaml and --json both want stdout', { exitCode: exitCodes.usage })
      }
      const { inspectRecipe, recipeError } = await import('../recipe/load.ts')
      const found = await inspectRecipe(folder, loadOptions(context, options))
      if (!found.ok) throw recipeError(found)
      const { recipeYaml, showRecipe } = await import('../recipe/show.ts')
      if (options.yaml === true) return context.print(recipeYaml(found))
      const shown = showRecipe(found)
      if (context.json) return context.printJson(shown)
      const { renderShown } = await import('../recipe/show-render.ts')
      context.print(renderShown(shown))
    })
