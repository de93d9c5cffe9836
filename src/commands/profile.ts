import { Command } from 'commander'
import { parseDurationOption } from '../profile/duration.ts'
import { loadProfile } from '../profile/load.ts'
import { renderProfile } from '../profile/render.ts'
import { loadRecipe } from '../recipe/load.ts'
import type { BuildCommand } from './app.ts'

interface Options {
  readonly since?: string
}

/** `parbake profile RECIPE`: what the fleet measured. */
export const build: BuildCommand = (app) =>
  new Command('profile')
    .description('show what each step costs and how long launches take, from the reports of real boots')
    .argument('<recipe>', 'recipe folder')
    .option('--since <duration>', 'only converges of this last period, e.g. 7d or 12h')
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const since =
        options.since === undefined
          ? undefined
          : new Date(Date.now() - parseDurationOption('--since', options.since) * 1000)
      const recipe = await loadRecipe(folder)
      const profile = await loadProfile(context, recipe, since === undefined ? {} : { since })
      if (context.json) context.printJson(profile)
      else context.print(renderProfile(profile))
    })
