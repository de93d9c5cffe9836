import { Command, Option } from 'commander'
import { publishRecipe, type Published } from '../bundle/publish.ts'
import { UserError } from '../errors.ts'
import type { BuildCommand, CommandContext } from './app.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

interface Options extends RecipeOptions {
  readonly channel?: string
  readonly key?: string
  readonly dryRun?: boolean
  readonly prepare?: string
  readonly signed?: string
}

/** `parbake publish RECIPE`. */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('publish')
      .description('Upload a recipe and move its channel to it; hosts follow at their next converge')
      .argument('[recipe]', 'recipe folder; none with --signed'),
  )
    .option('--channel <name>', 'channel to move (default: channel of parbake.yaml)')
    .option('--key <name>', 'signing key, where there are several')
    .option('--dry-run', 'pack and check, but write nothing')
    .addOption(
      new Option(
        '--prepare <dir>',
        "write what is to be signed elsewhere, with 'parbake sign', into an empty folder",
      ).conflicts(['dryRun', 'signed']),
    )
    .option('--signed <dir>', 'publish what was prepared and signed there')
    .action(async (folder: string | undefined, options: Options, command: Command) => {
      if ((folder === undefined) !== (options.signed !== undefined)) {
        throw new UserError(
          folder === undefined ? "missing required argument 'recipe'" : '--signed takes no recipe: it is in the folder',
          {
            hint: `'parbake publish FOLDER', or 'parbake publish --signed DIR'`,
            exitCode: 2,
          },
        )
      }
      const context = await app.open(command)
      const dryRun = options.dryRun === true
      if (folder === undefined || options.signed !== undefined) {
        const { publishSigned } = await import('../bundle/offline.ts')
        return show(context, await publishSigned(context, options.signed ?? '', dryRun), dryRun)
      }
      const recipe = await readRecipe(context, folder, options)
      const choice = {
        ...(options.channel === undefined ? {} : { channel: options.channel }),
        ...(options.key === undefined ? {} : { keyName: options.key }),
      }
      if (options.prepare === undefined) {
        return show(context, await publishRecipe(recipe, context, { ...choice, dryRun }), dryRun)
      }
      const [{ preparePublish }, { preparedText }] = await Promise.all([
        import('../bundle/offline.ts'),
        import('./sign.ts'),
      ])
      const prepared = await preparePublish(recipe, context, options.prepare, choice)
      if (context.json) return context.printJson(prepared)
      return context.print(`${preparedText(prepared)}\nnext, where the key is: parbake sign ${options.prepare}`)
    })

function show(context: CommandContext, result: Published, dryRun: boolean): void {
  if (context.json) return context.printJson({ ...result, dryRun })
  const verb = dryRun ? 'would be' : 'is'
  const what = result.unchanged ? 'nothing new' : result.uploaded ? 'new bundle' : 'bundle was in the store already'
  return context.print(
    `${result.recipe} ${result.channel} ${verb} at serial ${result.serial} (${what})\n` +
      `bundle ${result.bundle} (${result.bundleBytes} bytes)`,
  )
}
