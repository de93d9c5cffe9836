import { Command, InvalidArgumentError, Option } from 'commander'
import { bake } from '../bake/bake.ts'
import { engineNames, type EngineName } from '../bake/engine.ts'
import { defaultFailureMode, failureModes, type FailureMode } from '../bake/on-failure.ts'
import { renderBake } from '../bake/render.ts'
import { findBase } from '../base/cache.ts'
import { needBase } from '../base/need.ts'
import { baseFacts } from '../base/facts.ts'
import { renderPlan } from '../plan/render.ts'
import { planRecipe } from '../profile/plan-recipe.ts'
import type { BuildCommand } from './app.ts'
import { addPlanOptions, planOptions, type PlanOptions } from './plan-options.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

interface Options extends PlanOptions, RecipeOptions {
  readonly channel?: string
  readonly force?: boolean
  readonly dryRun?: boolean
  readonly engine?: EngineName | 'auto'
  readonly thin?: boolean
  readonly onFailure?: FailureMode
  readonly cache: boolean
  readonly output?: string
  readonly verify: boolean
  readonly verifyLaunches?: number
}

/** `parbake bake RECIPE`: plan, bake, seal, verify, publish. */
export const build: BuildCommand = (app) =>
  addPlanOptions(
    addRecipeOptions(
      new Command('bake')
        .description('make an image of the steps that the plan picks, verify it and publish it')
        .argument('<recipe>', 'recipe folder'),
    ),
  )
    .option('--channel <name>', 'channel of bundle and image (default: channel of parbake.yaml)')
    .addOption(
      new Option('--engine <name>', 'what bakes (default: bake.engine of parbake.yaml, else auto)').choices([
        'auto',
        ...engineNames,
      ]),
    )
    .option('--thin', 'keep the base as backing file and ship only the difference')
    .addOption(
      new Option(
        '--on-failure <what>',
        'what to do with the system in which a step failed (default: ask at a terminal, else abort)',
      ).choices(failureModes),
    )
    .option('--no-cache', 'run every step, whatever earlier bakes left')
    .option('-o, --output <file>', 'write the image to this file and publish nothing')
    .option('--no-verify', 'do not launch the image before handing it over; only with --output')
    .option('--verify-launches <n>', 'launch the image so many times and record the median (default: 1)', parseLaunches)
    .option('--force', 'bake even if the current image has the same base and steps')
    .option('--dry-run', 'print the plan and stop')
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const recipe = await readRecipe(context, folder, options)
      const base = await (options.dryRun === true ? findBase : needBase)(context.config.base, context)
      const { plan } = await planRecipe(context, recipe, {
        base: base.digest,
        facts: await baseFacts(base),
        settings: planOptions(context.config.plan, options),
        ...(options.channel === undefined ? {} : { channel: options.channel }),
      })
      if (options.dryRun === true) {
        if (context.json) context.printJson(plan)
        else context.print(renderPlan(plan))
        return
      }
      const interactive = process.stdin.isTTY && process.stderr.isTTY
      const result = await bake(context, {
        recipe,
        plan,
        ...(options.channel === undefined ? {} : { channel: options.channel }),
        force: options.force === true,
        engine: options.engine ?? context.config.bake.engine,
        thin: options.thin === true,
        onFailure: options.onFailure ?? defaultFailureMode({ json: context.json, interactive }),
        useCache: options.cache,
        verify: options.verify,
        ...(options.verifyLaunches === undefined ? {} : { verifyLaunches: options.verifyLaunches }),
        ...(options.output === undefined ? {} : { output: options.output }),
      })
      context.completed()
      if (context.json) context.printJson(result)
      else context.print(renderBake(result))
    })

function parseLaunches(text: string): number {
  const launches = Number(text)
  if (!/^\d{1,2}$/.test(text) || launches < 1 || launches > 20) throw new InvalidArgumentError('Give 1 to 20 launches.')
  return launches
}
