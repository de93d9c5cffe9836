import { Command, Option } from 'commander'
import { sinceOption } from '../profile/duration.ts'
import { loadFleet } from '../profile/load.ts'
import { historyStep, renderHistory, type HistoryStep } from '../profile/render-history.ts'
import type { BuildCommand } from './app.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

interface Options extends RecipeOptions {
  readonly since?: string
  readonly by?: HistoryStep
}

/** `parbake history RECIPE`: launch-to-ready over time. */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('history')
      .description('show launch-to-ready over days or weeks, and when recipe and image changed')
      .argument('<recipe>', 'recipe folder'),
  )
    .option('--since <duration>', 'only this last period, e.g. 30d')
    .addOption(
      new Option('--by <step>', 'one line per day or week; by default weeks where there are many days').choices([
        'day',
        'week',
      ]),
    )
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const { fleet } = await loadFleet(context, await readRecipe(context, folder, options), sinceOption(options.since))
      const by = options.by ?? historyStep(fleet)
      const { v, recipe, quantiles, from, to, launches, history, weeks } = fleet
      if (context.json) {
        context.printJson({ v, recipe, quantiles, from, to, launches, by, history: by === 'week' ? weeks : history })
      } else {
        context.print(renderHistory(fleet, by))
      }
    })
