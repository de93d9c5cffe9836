import { Command } from 'commander'
import { readRecipeHeader } from '../user-data/recipe-header.ts'
import type { BuildCommand, CommandContext } from './app.ts'

interface Flags {
  readonly channel?: string
  readonly to: string
  readonly key?: string
  readonly list?: boolean
  readonly withAgent?: boolean
  readonly dryRun?: boolean
}

/** As many earlier serials as are worth a look. */
const listed = 20

/** `parbake rollback RECIPE`. */
export const build: BuildCommand = (app) =>
  new Command('rollback')
    .description('Move a channel back to an earlier bundle, under a new serial; hosts follow at their next converge')
    .argument('<recipe>', 'recipe folder, or the name of a published recipe')
    .option('--to <version>', "a serial, a bundle's digest (8 digits or more), or previous", 'previous')
    .option('--list', `show what there is to go back to, the last ${listed} serials`)
    .option('--with-agent', 'the agent of that time too')
    .option('--channel <name>', 'channel (default: channel of parbake.yaml)')
    .option('--key <name>', 'signing key, where there are several')
    .option('--dry-run', 'look and say, but write nothing')
    .action(async (folder: string, flags: Flags, command: Command) => {
      const context = await app.open(command)
      const { rollBack } = await import('../rollout/rollback.ts')
      const choice = {
        recipe: (await readRecipeHeader(folder)).name,
        ...(flags.channel === undefined ? {} : { channel: flags.channel }),
      }
      if (flags.list === true) return list(context, choice)
      const result = await rollBack(context, {
        ...choice,
        to: flags.to,
        withAgent: flags.withAgent === true,
        dryRun: flags.dryRun === true,
        ...(flags.key === undefined ? {} : { keyName: flags.key }),
      })
      if (context.json) return context.printJson(result)
      const is = result.dryRun ? 'would be' : 'is'
      return context.print(
        `${result.recipe} ${result.channel} ${is} at serial ${result.serial}, with the bundle of serial ${result.from}\n` +
          `bundle ${result.bundle}\n` +
          `  was  ${result.replaced}`,
      )
    })

async function list(context: CommandContext, choice: { readonly recipe: string; readonly channel?: string }) {
  const [{ listVersions }, { renderTable }] = await Promise.all([
    import('../rollout/rollback.ts'),
    import('../report/table.ts'),
  ])
  const versions = await listVersions(context, choice, listed)
  if (context.json) return context.printJson(versions)
  const rows = versions.map(({ serial, published, bundle, available, problem, current }) => [
    String(serial),
    published ?? '-',
    bundle?.slice(0, 16) ?? '-',
    problem !== undefined
      ? { text: `not to be trusted: ${problem}`, style: 'red' as const }
      : available
        ? current
          ? 'current'
          : ''
        : { text: 'gone from the store', style: 'yellow' as const },
  ])
  const columns = [{ header: 'SERIAL', align: 'right' as const }, { header: 'PUBLISHED' }, { header: 'BUNDLE' }]
  return context.print(renderTable([...columns, { header: '', narrow: 'wrap' }], rows))
}
