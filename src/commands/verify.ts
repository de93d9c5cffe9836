import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { UserError } from '../errors.ts'
import { fetchImage, findImage } from '../image/images.ts'
import { loadTrustedKeys } from '../keys/index.ts'
import type { LaunchDisk } from '../launch/launch.ts'
import { openStore } from '../store/open.ts'
import { chooseRunner, runnerNames, type RunnerName } from '../verify/choose-runner.ts'
import type { BaseDisk } from '../verify/host.ts'
import { renderVerification, verdict } from '../verify/render.ts'
import { findBaseDisk, verify } from '../verify/verify.ts'
import type { BuildCommand, CommandContext } from './app.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

interface Options extends RecipeOptions {
  readonly image?: string
  readonly disk?: string
  readonly base?: string
  readonly channel?: string
  readonly engine?: RunnerName | 'auto'
  readonly timeout?: number
}

/** `parbake verify RECIPE`: proves that baked equals provisioned. Exit code 1 where it does not. */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('verify')
      .description('launch hosts from the base and from the image, and show that they end up the same')
      .argument('<recipe>', 'recipe folder; its verify.yaml may allow differences'),
  )
    .option('--image <id>', 'which image (default: latest)')
    .option('--disk <file>', 'verify this disk image instead, as bake --output writes it')
    .option(
      '--base <name>',
      "what to hold it against (default: the image's own base; with --disk, base of parbake.yaml)",
    )
    .option('--channel <name>', 'channel to follow (default: channel of parbake.yaml)')
    .addOption(new Option('--engine <name>', 'what runs the hosts (default: auto)').choices(['auto', ...runnerNames]))
    .option(
      '--timeout <seconds>',
      'give each host this time; multiplied by ten without KVM (default: 900)',
      parseSeconds,
    )
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      if (options.image !== undefined && options.disk !== undefined) {
        throw new UserError('--image and --disk exclude each other', { exitCode: 2 })
      }
      const recipe = await readRecipe(context, folder, options)
      const channel = options.channel ?? context.config.channel
      const { image, base } = await chooseDisks(context, recipe.name, channel, options)
      const runner = await chooseRunner(context, options.engine ?? 'auto', base)
      const result = await verify(context, {
        ...{ recipe, channel, base, image, runner },
        ...(options.timeout === undefined ? {} : { timeoutSeconds: options.timeout }),
      })
      if (context.json) context.printJson(result)
      else context.print(renderVerification(result))
      const failure = verdict(result)
      if (failure !== undefined) {
        throw new UserError(failure, {
          hint: 'let the steps that differ need what they read, or allow the difference with a reason in verify.yaml',
          code: 'not-equivalent',
        })
      }
    })

async function chooseDisks(
  context: CommandContext,
  recipe: string,
  channel: string,
  options: Options,
): Promise<{ readonly image: LaunchDisk; readonly base: BaseDisk }> {
  const { config, signal } = context
  if (options.disk !== undefined) {
    const base = await findBaseDisk(context, options.base ?? config.base)
    return { image: { path: resolve(options.disk), imageId: '', base: base.base }, base }
  }
  const store = await openStore(config.store)
  try {
    const place = { store, recipe, channel, trustedKeys: loadTrustedKeys(config) }
    const manifest = await findImage(place, options.image ?? 'latest', signal)
    const base = await findBaseDisk(context, options.base ?? manifest.base.digest)
    const path = await fetchImage(context, place, manifest)
    return { image: { path, imageId: manifest.imageId, base: manifest.base.name }, base }
  } finally {
    store.close()
  }
}

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (!Number.isFinite(seconds) || seconds <= 0) {
    throw new UserError(`--timeout '${text}' is no number of seconds above 0`, { exitCode: 2 })
  }
  return seconds
}
