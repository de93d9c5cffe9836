import { Command } from 'commander'
import { needBase } from '../base/need.ts'
import { UserError } from '../errors.ts'
import { fetchImage, findImage } from '../image/images.ts'
import { loadTrustedKeys } from '../keys/index.ts'
import { launch, type LaunchDisk } from '../launch/launch.ts'
import { renderLaunch } from '../launch/render.ts'
import { waterfallOf } from '../profile/waterfall.ts'
import { formatSeconds } from '../report/reporters.ts'
import { phase } from '../report/events.ts'
import { openStore } from '../store/open.ts'
import type { PortForward } from '../vm/qemu-args.ts'
import type { BuildCommand, CommandContext } from './app.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

interface Options extends RecipeOptions {
  readonly image?: string
  readonly base?: string
  readonly channel?: string
  readonly forward?: readonly PortForward[]
  readonly keep?: boolean
  readonly timeout?: number
  readonly trace?: boolean
}

/** `parbake launch RECIPE`: a real VM, from power-on to ready. */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('launch')
      .description('boot a VM that provisions itself from the store, and measure it until it is ready')
      .argument('<recipe>', 'recipe folder'),
  )
    .option('--image <id>', "boot a baked image instead of the base: an id, or 'latest'")
    .option('--base <name>', 'boot this base (default: base of parbake.yaml)')
    .option('--channel <name>', 'channel to follow (default: channel of parbake.yaml)')
    .option(
      '--forward <host:guest>',
      'make a TCP port of the guest reachable on loopback; repeat for more',
      collectForward,
    )
    .option('--trace', 'report the slowest commands of every shell step, with their lines')
    .option('--keep', 'keep it running until Ctrl-C')
    .option(
      '--timeout <seconds>',
      'give up after this time; multiplied by ten without KVM (default: 900)',
      parseTimeout,
    )
    .action(async (folder: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const recipe = await readRecipe(context, folder, options)
      const disk = await chooseDisk(context, recipe.name, options)
      const label = `launch ${recipe.name} on ${disk.imageId === '' ? disk.base : disk.imageId}`
      await using launched = await phase(
        context.reporter,
        label,
        () =>
          launch(context, {
            recipe,
            disk,
            ...(options.channel === undefined ? {} : { channel: options.channel }),
            ...(options.forward === undefined ? {} : { forwards: options.forward }),
            ...(options.timeout === undefined ? {} : { timeoutSeconds: options.timeout }),
            ...(options.trace === undefined ? {} : { trace: options.trace }),
          }),
        (result) => ({ detail: `ready after ${formatSeconds(result.launchSeconds)}` }),
      )
      const { report, record, launchSeconds, consoleLog, instanceId } = launched
      if (context.json) {
        const waterfall = waterfallOf(report, record)
        const place = { image: disk.imageId, base: disk.base, consoleLog }
        context.printJson({ launchSeconds, instanceId, ...place, report, waterfall })
      } else {
        context.print(renderLaunch(report, record))
      }
      if (options.keep === true) {
        context.reporter.emit({
          type: 'note',
          text: `${report.hostname} runs until Ctrl-C; its console is in ${consoleLog}`,
        })
        await launched.vm.exited
      }
    })

async function chooseDisk(context: CommandContext, recipe: string, options: Options): Promise<LaunchDisk> {
  const { config, signal } = context
  if (options.image === undefined) {
    const base = await needBase(options.base ?? config.base, context)
    return { path: base.path, imageId: '', base: base.name }
  }
  if (options.base !== undefined) {
    throw new UserError('--image and --base exclude each other', { exitCode: 2, hint: 'an image has its base inside' })
  }
  const store = await openStore(config.store)
  try {
    const place = {
      store,
      recipe,
      channel: options.channel ?? config.channel,
      trustedKeys: loadTrustedKeys(config),
    }
    const manifest = await findImage(place, options.image, signal)
    return { path: await fetchImage(context, place, manifest), imageId: manifest.imageId, base: manifest.base.name }
  } finally {
    store.close()
  }
}

function collectForward(text: string, earlier: readonly PortForward[] = []): readonly PortForward[] {
  const match = /^(\d{1,5}):(\d{1,5})$/.exec(text)
  const [hostPort, guestPort] = [Number(match?.[1]), Number(match?.[2])]
  if (match === null || hostPort < 1 || hostPort > 65_535 || guestPort < 1 || guestPort > 65_535) {
    throw new UserError(`--forward '${text}' has no form HOSTPORT:GUESTPORT`, {
      hint: 'for example: --forward 8080:80',
      exitCode: 2,
    })
  }
  return [...earlier, { hostPort, guestPort }]
}

function parseTimeout(text: string): number {
  const seconds = Number(text)
  if (!Number.isFinite(seconds) || seconds <= 0) {
    throw new UserError(`--timeout '${text}' is no number of seconds above 0`, { exitCode: 2 })
  }
  return seconds
}
