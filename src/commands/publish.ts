import { Command } from 'commander'
import { publishRecipe } from '../bundle/publish.ts'
import type { BuildCommand } from './app.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

interface Options extends RecipeOptions {
  readonly channel?: string
  readonly key?: string
  readonly dryRun?: boolean
}

/** `parbake publish RECIPE`. */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('publish')
      .description('Upload a recipe and move its channel to it; hosts follow at their next converge')
      .argument('<recipe>', 'recipe folder'),
  )
    .option('--channel <name>', 'channel to move (default: channel of parbake.yaml)')
    .option('--key <name>', 'signing key, where there are several')
    .option('--dry-run', 'pack and check, but write nothing')
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const recipe = await readRecipe(context, folder, options)
      const result = await publishRecipe(recipe, context, {
        ...(options.channel === undefined ? {} : { channel: options.channel }),
        ...(options.key === undefined ? {} : { keyName: options.key }),
        dryRun: options.dryRun === true,
      })
      if (context.json) {
        context.printJson({ ...result, dryRun: options.dryRun === true })
        return
      }
      const verb = options.dryRun === true ? 'would be' : 'is'
      const what = result.unchanged ? 'nothing new' : result.uploaded ? 'new bundle' : 'bundle was in the store already'
      context.print(
        `${result.recipe} ${result.channel} ${verb} at serial ${result.serial} (${what})\n` +
          `bundle ${result.bundle} (${result.bundleBytes} bytes)`,
      )
    })
