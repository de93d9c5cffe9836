import { Command } from 'commander'
import { UserError } from '../errors.ts'
import { parseDurationOption } from '../profile/duration.ts'
import { defaultBounds } from '../rollout/model.ts'
import type { ChangeChoice } from '../rollout/place.ts'
import type { RolloutChange } from '../rollout/rollout.ts'
import { readRecipeHeader } from '../user-data/recipe-header.ts'
import type { App, BuildCommand, CommandContext } from './app.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

interface ChannelFlags {
  readonly channel?: string
  readonly key?: string
  readonly dryRun?: boolean
}

interface StartFlags extends ChannelFlags, RecipeOptions {
  readonly percent: number
  readonly tags: readonly string[]
  readonly maxFailureRate: number
  readonly maxSlowdown: number
  readonly minHosts: number
  readonly withAgent?: boolean
}

interface AdvanceFlags extends ChannelFlags {
  readonly percent?: number
  readonly to?: number
  readonly finish?: boolean
  readonly force?: boolean
}

interface WatchFlags extends ChannelFlags {
  readonly interval: string
  readonly once?: boolean
  readonly advance?: readonly number[]
  readonly every: string
}

/** `parbake rollout start | status | advance | halt | undo | watch`. */
export const build: BuildCommand = (app) =>
  new Command('rollout')
    .description('Give a new version to some hosts first, judge it by their reports, go on or back')
    .addCommand(buildStart(app))
    .addCommand(buildStatus(app))
    .addCommand(buildAdvance(app))
    .addCommand(buildHalt(app))
    .addCommand(buildUndo(app))
    .addCommand(buildWatch(app))

function buildStart(app: App): Command {
  return withChangeOptions(
    addRecipeOptions(
      new Command('start')
        .description('Upload a recipe and give it to a share of the hosts; all others stay as they are')
        .argument('<recipe>', 'recipe folder'),
    ),
  )
    .option('--percent <number>', 'share of hosts, 0 to 100', percentOption, 10)
    .option('--tags <list>', 'hosts with one of these tags too, e.g. canary,eu', tagsOption, [])
    .option(
      '--max-failure-rate <share>',
      'halt above this share of failed hosts, e.g. 5%',
      shareOption,
      defaultBounds.maxFailureRate,
    )
    .option(
      '--max-slowdown <factor>',
      'halt where hosts take this many times as long',
      factorOption,
      defaultBounds.maxSlowdown,
    )
    .option('--min-hosts <number>', 'hosts that must report before it goes on', countOption, defaultBounds.minHosts)
    .option('--with-agent', "give this version's agent to all hosts")
    .action(async (folder: string, flags: StartFlags, command: Command) => {
      const context = await app.open(command)
      const { startRollout } = await import('../rollout/rollout.ts')
      const recipe = await readRecipe(context, folder, flags)
      const { percent, tags, maxFailureRate, maxSlowdown, minHosts } = flags
      const bounds = { maxFailureRate, maxSlowdown, minHosts }
      const { recipe: _, ...choice } = choiceOf(recipe.name, flags)
      await show(
        context,
        await startRollout(recipe, context, { ...choice, percent, tags, bounds, withAgent: flags.withAgent === true }),
      )
    })
}

function buildStatus(app: App): Command {
  return new Command('status')
    .description('Judge a rollout by the reports since it began, and say what would come next')
    .argument('<recipe>', 'recipe folder, or the name of a published recipe')
    .option('--channel <name>', 'channel (default: channel of parbake.yaml)')
    .action(async (recipe: string, flags: ChannelFlags, command: Command) => {
      const context = await app.open(command)
      const [{ withPlace }, { rolloutStatus }] = await Promise.all([
        import('../rollout/place.ts'),
        import('../rollout/status.ts'),
      ])
      const status = await withPlace(context, choiceOf(await nameOf(recipe), flags), rolloutStatus)
      if (context.json) return context.printJson(status)
      const { renderRolloutStatus } = await import('../rollout/render.ts')
      return context.print(renderRolloutStatus(status))
    })
}

function buildAdvance(app: App): Command {
  return withChangeOptions(
    new Command('advance')
      .description('Give a rollout to more hosts, where the reports allow it; at 100 it becomes what all hosts have')
      .argument('<recipe>', 'recipe folder, or the name of a published recipe'),
  )
    .option('--percent <number>', 'share of hosts (default: the next of 10, 25, 50, 100)', percentOption)
    .option('--to <number>', 'the same as --percent', percentOption)
    .option('--finish', 'the same as --percent 100')
    .option('--force', 'go on although the reports do not allow it')
    .action(async (recipe: string, flags: AdvanceFlags, command: Command) => {
      const context = await app.open(command)
      const { advanceRollout } = await import('../rollout/rollout.ts')
      const percents = new Set([flags.percent, flags.to, flags.finish === true ? 100 : undefined])
      percents.delete(undefined)
      if (percents.size > 1) throw usage('--percent, --to and --finish say different things', 'give one of them')
      const [percent] = percents
      const change = await advanceRollout(context, {
        ...choiceOf(await nameOf(recipe), flags),
        ...(percent === undefined ? {} : { percent }),
        force: flags.force === true,
      })
      await show(context, change)
    })
}

function buildHalt(app: App): Command {
  return withChangeOptions(
    new Command('halt')
      .description('Take a rollout back from all hosts at their next converge, and leave it to be seen')
      .argument('<recipe>', 'recipe folder, or the name of a published recipe'),
  ).action(async (recipe: string, flags: ChannelFlags, command: Command) => {
    const context = await app.open(command)
    const { haltRollout } = await import('../rollout/rollout.ts')
    await show(context, await haltRollout(context, choiceOf(await nameOf(recipe), flags)))
  })
}

function buildUndo(app: App): Command {
  return withChangeOptions(
    new Command('undo')
      .description('End a rollout: its hosts go back to what all others have')
      .argument('<recipe>', 'recipe folder, or the name of a published recipe'),
  ).action(async (recipe: string, flags: ChannelFlags, command: Command) => {
    const context = await app.open(command)
    const { undoRollout } = await import('../rollout/rollout.ts')
    await show(context, await undoRollout(context, choiceOf(await nameOf(recipe), flags)))
  })
}

function buildWatch(app: App): Command {
  return withChangeOptions(
    new Command('watch')
      .description(
        'Halt a rollout as soon as the reports pass a bound; ends with the rollout, exit code 1 where it is halted',
      )
      .argument('<recipe>', 'recipe folder, or the name of a published recipe'),
  )
    .option('--interval <duration>', 'time between two looks', '60s')
    .option('--once', 'look once, for cron or CI')
    .option(
      '--advance <list>',
      'also go on through these percentages while all is well, e.g. 10,25,50,100',
      stagesOption,
    )
    .option('--every <duration>', 'with --advance: how long each of them lasts at least', '30m')
    .action(async (recipe: string, flags: WatchFlags, command: Command) => {
      const context = await app.open(command)
      const [{ watchRollout }, { renderRolloutStatus, renderRolloutChange }] = await Promise.all([
        import('../rollout/watch.ts'),
        import('../rollout/render.ts'),
      ])
      await watchRollout(context, {
        ...choiceOf(await nameOf(recipe), flags),
        intervalSeconds: Math.max(1, parseDurationOption('--interval', flags.interval)),
        stageSeconds: parseDurationOption('--every', flags.every),
        once: flags.once === true,
        ...(flags.advance === undefined ? {} : { stages: flags.advance }),
        onLook: (status, change) => {
          if (context.json) context.printJson({ status, change: change ?? null })
          else {
            context.print(renderRolloutStatus(status))
            if (change !== undefined) context.print(renderRolloutChange(change))
          }
        },
      })
    })
}

function withChangeOptions(command: Command): Command {
  return command
    .option('--channel <name>', 'channel (default: channel of parbake.yaml)')
    .option('--key <name>', 'signing key, where there are several')
    .option('--dry-run', 'look and say, but write nothing')
}

function choiceOf(recipe: string, flags: ChannelFlags): ChangeChoice {
  return {
    recipe,
    ...(flags.channel === undefined ? {} : { channel: flags.channel }),
    ...(flags.key === undefined ? {} : { keyName: flags.key }),
    dryRun: flags.dryRun === true,
  }
}

async function nameOf(recipe: string): Promise<string> {
  return (await readRecipeHeader(recipe)).name
}

async function show(context: CommandContext, change: RolloutChange): Promise<void> {
  if (context.json) return context.printJson(change)
  const { renderRolloutChange } = await import('../rollout/render.ts')
  return context.print(renderRolloutChange(change))
}

function percentOption(text: string): number {
  const percent = Number(text.replace(/%$/, ''))
  if (text !== '' && Number.isInteger(percent) && percent >= 0 && percent <= 100) return percent
  throw usage(`'${text}' is no percentage`, 'use a whole number from 0 to 100')
}

function shareOption(text: string): number {
  const share = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text)
  if (text !== '' && share >= 0 && share <= 1) return share
  throw usage(`'${text}' is no share`, 'use 5% or 0.05')
}

function factorOption(text: string): number {
  const factor = Number(text.replace(/x$/, ''))
  if (factor >= 1 && factor < 1e6) return factor
  throw usage(`'${text}' is no factor`, 'use a number from 1 on, as in 1.5x')
}

function countOption(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw usage(`'${text}' is no number of hosts`, 'use a whole number from 1 on')
}

function tagsOption(text: string): readonly string[] {
  return text.split(',').filter((tag) => tag !== '')
}

function stagesOption(text: string): readonly number[] {
  const stages = text.split(',').map(percentOption)
  if (stages.every((stage, index) => stage > (stages[index - 1] ?? 0))) return stages
  throw usage(`'${text}' are no stages`, 'use growing percentages, as in 10,25,50,100')
}

function usage(message: string, hint: string): UserError {
  return new UserError(message, { hint, exitCode: 2 })
}
