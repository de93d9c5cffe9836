import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { LoadRecipeOptions } from '../recipe/load.ts'
import type { Recipe } from '../recipe/model.ts'

/** What a command line says about a recipe, whatever the command. */
export interface RecipeOptions {
  readonly param?: Readonly<Record<string, string>>
  readonly params?: string
  readonly env?: string
}

/** Adds the options that `loadOptions` reads. */
export function addRecipeOptions(command: Command): Command {
  return command
    .option('--param <name=value>', 'parameter of the recipe; repeat for more', collectParam)
    .option('--params <file>', 'YAML file of parameters')
    .option('--env <name>', 'environment: takes the parameters of params/<name>.yaml in the recipe folder')
}

/** The same for the loader of recipes. */
export function loadOptions({ config }: Pick<Context, 'config'>, options: RecipeOptions): LoadRecipeOptions {
  return {
    cacheDir: config.cacheDir,
    ...(config.hosts.client === undefined ? {} : { client: config.hosts.client }),
    ...(options.param === undefined ? {} : { params: options.param }),
    ...(options.params === undefined ? {} : { paramsFile: options.params }),
    ...(options.env === undefined ? {} : { environment: options.env }),
  }
}

/** The recipe as the command line wants it. Throws UserError (exit code 2) with all that is wrong. */
export async function readRecipe(
  context: Pick<Context, 'config'>,
  folder: string,
  options: RecipeOptions,
): Promise<Recipe> {
  const { loadRecipe } = await import('../recipe/load.ts')
  return loadRecipe(folder, loadOptions(context, options))
}

/** Collects repeated `--param name=value` options. Throws UserError (exit code 2) for another form. */
function collectParam(text: string, earlier: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at < 1) {
    throw new UserError(`--param '${text}' has no form NAME=VALUE`, {
      hint: 'for example: --param port=8080',
      exitCode: 2,
    })
  }
  return { ...earlier, [text.slice(0, at)]: text.slice(at + 1) }
}
