import { Command } from 'commander'
import { exitCodes, messageOf, UserError } from '../errors.ts'
import type { Plan, PlannedStep } from '../plan/model.ts'
import { renderPlan } from '../plan/render.ts'
import { renderWhy } from '../plan/render-why.ts'
import { planRecipe } from '../profile/plan-recipe.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { suggestion } from '../util/nearest.ts'
import type { BuildCommand } from './app.ts'
import { addPlanOptions, planOptions, type PlanOptions } from './plan-options.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

interface Options extends PlanOptions, RecipeOptions {
  readonly why?: string
  readonly channel?: string
  readonly output?: string
}

/** `parbake plan RECIPE`: which steps a bake would take, and why. Changes nothing. */
export const build: BuildCommand = (app) =>
  addPlanOptions(
    addRecipeOptions(
      new Command('plan')
        .description('decide which steps to bake and which to leave to runtime, with the reason for each')
        .argument('<recipe>', 'recipe folder'),
    ),
  )
    .option('--why <step>', 'show all that decided about this step')
    .option('--channel <name>', 'channel of the image to compare with (default: channel of parbake.yaml)')
    .option('-o, --output <file>', 'write the plan as JSON to this file too')
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const settings = planOptions(context.config.plan, options)
      const recipe = await readRecipe(context, folder, options)
      const { plan } = await planRecipe(context, recipe, {
        settings,
        ...(options.channel === undefined ? {} : { channel: options.channel }),
      })
      if (options.output !== undefined) await writePlan(options.output, plan)
      const step = options.why === undefined ? undefined : findStep(plan, options.why)
      if (context.json) context.printJson(step ?? plan)
      else context.print(step === undefined ? renderPlan(plan) : renderWhy(plan, step))
    })

function findStep(plan: Plan, name: string): PlannedStep {
  const step = plan.steps.find((each) => each.name === name)
  if (step !== undefined) return step
  const hint = suggestion(
    name,
    plan.steps.map((each) => each.name),
  )
  throw new UserError(`${plan.recipe} has no step '${name}'`, {
    ...(hint === undefined ? {} : { hint }),
    exitCode: exitCodes.usage,
  })
}

async function writePlan(file: string, plan: Plan): Promise<void> {
  try {
    await writeFileAtomic(file, `${JSON.stringify(plan, null, 2)}\n`)
  } catch (error) {
    throw new UserError(`cannot write the plan to ${file}: ${messageOf(error)}`, { cause: error })
  }
}
