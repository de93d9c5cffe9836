import { Command } from 'commander'
import { messageOf, UserError } from '../errors.ts'
import type { Plan } from '../plan/model.ts'
import { renderPlan } from '../plan/render.ts'
import { parseDurationOption } from '../profile/duration.ts'
import { planRecipe } from '../profile/plan-recipe.ts'
import { loadRecipe } from '../recipe/load.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import type { BuildCommand } from './app.ts'

interface Options {
  readonly minSaving?: string
  readonly output?: string
}

/** `parbake plan RECIPE`: which steps a bake would take, and why. Changes nothing. */
export const build: BuildCommand = (app) =>
  new Command('plan')
    .description('decide which steps to bake and which to leave to runtime, with the reason for each')
    .argument('<recipe>', 'recipe folder')
    .option('--min-saving <duration>', 'bake steps from this median wall time on, e.g. 1s')
    .option('-o, --output <file>', 'write the plan as JSON to this file too')
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const minSaving =
        options.minSaving === undefined
          ? {}
          : { minSavingSeconds: parseDurationOption('--min-saving', options.minSaving) }
      const { plan } = await planRecipe(context, await loadRecipe(folder), minSaving)
      if (options.output !== undefined) await writePlan(options.output, plan)
      if (context.json) context.printJson(plan)
      else context.print(renderPlan(plan))
    })

async function writePlan(file: string, plan: Plan): Promise<void> {
  try {
    await writeFileAtomic(file, `${JSON.stringify(plan, null, 2)}\n`)
  } catch (error) {
    throw new UserError(`cannot write the plan to ${file}: ${messageOf(error)}`, { cause: error })
  }
}
