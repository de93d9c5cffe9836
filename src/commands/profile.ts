import { Command, Option } from 'commander'
import { UserError } from '../errors.ts'
import { loadBoot } from '../profile/boot.ts'
import { sinceOption } from '../profile/duration.ts'
import type { GroupDimension } from '../profile/fleet.ts'
import { loadFleet } from '../profile/load.ts'
import { renderFleet, renderGroups, renderWarm } from '../profile/render-fleet.ts'
import { renderProfile } from '../profile/render.ts'
import { renderBoot } from '../profile/waterfall-render.ts'
import { renderRollUp, rollUpRecipe } from '../profile/roll-up-recipe.ts'
import type { BuildCommand } from './app.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

const dimensions: Readonly<Record<string, GroupDimension>> = {
  'instance-type': 'instanceType',
  region: 'region',
  image: 'image',
  os: 'distribution',
}

interface Options extends RecipeOptions {
  readonly since?: string
  readonly by?: string
  readonly warm?: boolean
  readonly rollup?: boolean
  readonly all?: boolean
  readonly boot?: string
}

/** `parbake profile RECIPE`: what the fleet measured. */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('profile')
      .description('show what each step costs and how long launches take, from the reports of real boots')
      .argument('<recipe>', 'recipe folder'),
  )
    .option('--since <duration>', 'only converges of this last period, e.g. 7d or 12h')
    .addOption(new Option('--by <what>', 'tell hosts apart').choices(Object.keys(dimensions)))
    .option('--warm', 'steps as measured again by cron on live hosts, instead of at first boots')
    .addOption(
      new Option('--rollup', 'count new reports into rollups in the store, so that nobody reads them again').conflicts([
        'since',
        'by',
        'warm',
      ]),
    )
    .option('--all', 'with --rollup: look for late reports in every day, not only where some are likely')
    .addOption(
      new Option('--boot <run>', "one boot from power-on to ready: a run id, or 'last'").conflicts([
        'since',
        'by',
        'warm',
        'rollup',
        'all',
      ]),
    )
    .action(async (folder: string, options: Options, command: Command) => {
      if (options.all === true && options.rollup !== true) {
        throw new UserError('--all needs --rollup', { hint: 'add --rollup, or leave out --all', exitCode: 2 })
      }
      const context = await app.open(command)
      if (options.boot !== undefined) {
        const boot = await loadBoot(context, (await readRecipe(context, folder, options)).name, options.boot)
        if (context.json) context.printJson(boot)
        else context.print(renderBoot(boot))
        return
      }
      if (options.rollup === true) {
        const result = await rollUpRecipe(context, (await readRecipe(context, folder, options)).name, {
          all: options.all === true,
        })
        if (context.json) context.printJson(result)
        else context.print(renderRollUp(result))
        return
      }
      const loaded = await loadFleet(context, await readRecipe(context, folder, options), sinceOption(options.since))
      if (context.json) context.printJson({ ...loaded.profile, fleet: loaded.fleet })
      else context.print(textOf(loaded, options))
    })

function textOf({ profile, fleet }: Awaited<ReturnType<typeof loadFleet>>, { by, warm }: Options): string {
  const dimension = by === undefined ? undefined : dimensions[by]
  if (dimension !== undefined) return renderGroups(fleet, dimension, { warm: warm === true })
  if (warm === true) return renderWarm(fleet)
  const more = renderFleet(fleet)
  return more === '' ? renderProfile(profile) : `${renderProfile(profile)}\n${more}`
}
