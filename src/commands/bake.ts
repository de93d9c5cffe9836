import { Command } from 'commander'
import { bake } from '../bake/bake.ts'
import { renderBake } from '../bake/render.ts'
import { findBase } from '../base/cache.ts'
import { renderPlan } from '../plan/render.ts'
import { planRecipe } from '../profile/plan-recipe.ts'
import { loadRecipe } from '../recipe/load.ts'
import type { BuildCommand } from './app.ts'
import { collectParam } from './recipe-options.ts'

interface Options {
  readonly channel?: string
  readonly force?: boolean
  readonly dryRun?: boolean
  readonly param?: Readonly<Record<string, string>>
}

/** `parbake bake RECIPE`: plan, bake, seal, verify, publish. */
export const build: BuildCommand = (app) =>
  new Command('bake')
    .description('make an image of the steps that the plan picks, verify it and publish it')
    .argument('<recipe>', 'recipe folder')
    .option('--channel <name>', 'channel of bundle and image (default: channel of parbake.yaml)')
    .option('--param <name=value>', 'parameter of the recipe, as it was published; repeat for more', collectParam)
    .option('--force', 'bake even if the current image has the same base and steps')
    .option('--dry-run', 'print the plan and stop')
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const recipe = await loadRecipe(folder, { params: options.param ?? {} })
      const base = await findBase(context.config.base, context)
      const { plan } = await planRecipe(context, recipe, { base: base.digest })
      if (options.dryRun === true) {
        if (context.json) context.printJson(plan)
        else context.print(renderPlan(plan))
        return
      }
      const result = await bake(context, {
        recipe,
        plan,
        ...(options.channel === undefined ? {} : { channel: options.channel }),
        force: options.force === true,
      })
      if (context.json) context.printJson(result)
      else context.print(renderBake(result))
    })
