import { Command } from 'commander'
import type { PruneOptions } from '../cache/cache.ts'
import { exitCodes, UserError } from '../errors.ts'
import { parseDuration } from '../util/duration.ts'
import { parseSize } from '../util/size.ts'
import type { App, BuildCommand, CommandContext } from './app.ts'

/** `parbake cache list | prune | clear`. */
export const build: BuildCommand = (app) =>
  new Command('cache')
    .description('Show and bound what is kept: states that bakes go on from, packages, images, logs, git revisions')
    .addCommand(buildList(app))
    .addCommand(buildPrune(app))
    .addCommand(buildClear(app))

interface Flags {
  readonly maxBytes?: number
  readonly olderThan?: number
  readonly images?: boolean
  readonly logs?: boolean
  readonly dryRun?: boolean
}

function buildList(app: App): Command {
  return new Command('list').description('Show what the cache holds').action(async (_flags, command: Command) => {
    const context = await app.open(command)
    const { readCache } = await import('../cache/cache.ts')
    const content = await readCache(context)
    if (context.json) return context.printJson(content)
    const { renderCache } = await import('../cache/render.ts')
    return context.print(renderCache(content, new Date()))
  })
}

function buildPrune(app: App): Command {
  return new Command('prune')
    .description(
      'Remove what is least worth keeping, down to the bounds, and what is quickly had again when old; what is in use stays',
    )
    .option('--max-bytes <size>', 'bound of kept states, and of packages, e.g. 5GiB (default: those configured)', size)
    .option('--older-than <age>', 'also remove what was not used for so long, e.g. 12h or 7d', age)
    .option('--images', 'also old images that nobody has open (default age: 30d); bakes and launches fetch them again')
    .option('--logs', 'also old logs of guests (default age: 30d)')
    .option('--dry-run', 'only say what would be removed')
    .action(async (flags: Flags, command: Command) => {
      const context = await app.open(command)
      await prune(context, {
        ...(flags.maxBytes === undefined ? {} : { maxBytes: flags.maxBytes }),
        ...(flags.olderThan === undefined ? {} : { olderThanMs: flags.olderThan * 1000 }),
        images: flags.images === true,
        logs: flags.logs === true,
        dryRun: flags.dryRun === true,
      })
    })
}

function buildClear(app: App): Command {
  return new Command('clear')
    .description('Remove all that is kept and not in use, but for bases')
    .option('--images', 'also images that nobody has open')
    .option('--logs', 'also logs of guests that nobody has open')
    .option('--dry-run', 'only say what would be removed')
    .action(async (flags: Flags, command: Command) => {
      const context = await app.open(command)
      const options = { images: flags.images === true, logs: flags.logs === true, dryRun: flags.dryRun === true }
      await prune(context, { ...options, maxBytes: 0, olderThanMs: 0 })
    })
}

async function prune(context: CommandContext, options: PruneOptions): Promise<void> {
  const { pruneCache } = await import('../cache/cache.ts')
  const removed = await pruneCache(context, options)
  if (context.json) {
    context.printJson({
      dryRun: options.dryRun,
      freedBytes: removed.reduce((sum, { bytes }) => sum + bytes, 0),
      removed,
    })
    return
  }
  const { renderRemoved } = await import('../cache/render.ts')
  context.print(renderRemoved(removed, options.dryRun))
}

function size(text: string): number {
  const bytes = parseSize(text)
  if (bytes !== undefined) return bytes
  throw new UserError(`'${text}' is no size for --max-bytes`, {
    hint: 'write bytes or a number with a unit: 500MiB, 5GiB',
    exitCode: exitCodes.usage,
  })
}

function age(text: string): number {
  const seconds = parseDuration(text, 's')
  if (seconds !== undefined) return seconds
  throw new UserError(`'${text}' is no duration for --older-than`, {
    hint: 'write a number with a unit: 30m, 12h or 7d',
    exitCode: exitCodes.usage,
  })
}
