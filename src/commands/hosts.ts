import { Command } from 'commander'
import { UserError } from '../errors.ts'
import type { HostFilter } from '../hosts/model.ts'
import { parseDurationOption } from '../profile/duration.ts'
import { defaultSchedule, readRecipeHeader } from '../user-data/recipe-header.ts'
import type { BuildCommand } from './app.ts'

interface Flags {
  readonly channel?: string
  readonly days: number
  readonly every?: string
  readonly limit: number
  readonly failed?: boolean
  readonly late?: boolean
  readonly silent?: boolean
  readonly behind?: boolean
}

/** `parbake hosts [RECIPE]`. */
export const build: BuildCommand = (app) =>
  new Command('hosts')
    .description('Show the hosts of a fleet as their reports tell: seen when, which bundle, failures, drift')
    .argument('[recipe]', 'recipe folder, or the name of a published recipe (default: all in the store)')
    .option('--failed', 'those whose last converge failed')
    .option('--late', 'those that should have been heard of, since less than a day')
    .option('--silent', 'those that should have been heard of for longer: ended, or cut off')
    .option('--behind', 'those that do not have what their channel gives them')
    .option('--channel <name>', 'channel (default: channel of parbake.yaml)')
    .option('--days <number>', 'how far back reports are looked at', countOption, 7)
    .option('--every <duration>', "interval of hosts that do not say theirs (default: the recipe folder's, else 15m)")
    .option('--limit <number>', 'lines per recipe at most', countOption, 100)
    .action(async (recipe: string | undefined, flags: Flags, command: Command) => {
      const context = await app.open(command)
      const header = recipe === undefined ? undefined : await readRecipeHeader(recipe)
      const [{ listHosts }, { renderHosts }] = await Promise.all([
        import('../hosts/list.ts'),
        import('../hosts/render.ts'),
      ])
      const filters = (['failed', 'late', 'silent', 'behind'] satisfies HostFilter[]).filter(
        (name) => flags[name] === true,
      )
      const schedule =
        flags.every === undefined
          ? (header?.schedule ?? defaultSchedule)
          : { ...defaultSchedule, everyMinutes: parseDurationOption('--every', flags.every) / 60 }
      const lists = await listHosts(context, {
        ...(header === undefined ? {} : { recipe: header.name }),
        ...(flags.channel === undefined ? {} : { channel: flags.channel }),
        days: flags.days,
        schedule,
        filters,
      })
      if (context.json) return context.printJson(recipe === undefined ? lists : lists[0])
      if (lists.length === 0) {
        return context.reporter.emit({ type: 'note', text: `nothing was published to ${context.config.store} yet` })
      }
      return context.print(lists.map((list) => renderHosts(list, flags.limit)).join('\n'))
    })

function countOption(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text)
  throw new UserError(`'${text}' is no count`, { hint: 'use a whole number from 1 on', exitCode: 2 })
}
