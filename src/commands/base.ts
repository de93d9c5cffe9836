import { Command } from 'commander'
import type { Base } from '../base/model.ts'
import { formatBytes } from '../report/reporters.ts'
import type { App, BuildCommand, CommandContext } from './app.ts'

/** `parbake base build | import | list`. */
export const build: BuildCommand = (app) =>
  new Command('base')
    .description('Build, import and list the images that bakes and launches start from')
    .addCommand(buildBuild(app))
    .addCommand(buildImport(app))
    .addCommand(buildList(app))

interface BuildOptions {
  readonly mirror?: string
  readonly securityMirror?: string
  readonly force?: boolean
}

function buildBuild(app: App): Command {
  return new Command('build')
    .description('Build a minimal cloud image from distribution packages')
    .argument('<name>', 'which one, e.g. debian-12')
    .option('--mirror <url>', 'take packages from this archive (or PARBAKE_DEBIAN_MIRROR)')
    .option('--security-mirror <url>', 'take security fixes from there (or PARBAKE_DEBIAN_SECURITY_MIRROR)')
    .option('--force', 'build even if there is one from the same definition, to get newer packages')
    .action(async (name: string, options: BuildOptions, command: Command) => {
      const context = await app.open(command)
      const { buildBase } = await import('../base/build.ts')
      printBase(context, await buildBase(name, context, options))
    })
}

function buildImport(app: App): Command {
  return new Command('import')
    .description('Take a qcow2 or raw cloud image in as a base')
    .argument('<source>', 'path, or http(s) URL')
    .option('--sha256 <digest>', 'what its bytes must be; needed for a URL')
    .requiredOption('--name <name>', 'name of the base')
    .action(async (source: string, options: { sha256?: string; name: string }, command: Command) => {
      const context = await app.open(command)
      const { importBase } = await import('../base/import.ts')
      printBase(context, await importBase({ source, ...options }, context))
    })
}

function buildList(app: App): Command {
  return new Command('list').description('List the bases in the cache').action(async (_options, command: Command) => {
    const context = await app.open(command)
    const { listBases } = await import('../base/cache.ts')
    const bases = await listBases(context)
    if (context.json) {
      context.printJson(bases)
    } else if (bases.length === 0) {
      context.reporter.emit({ type: 'note', text: "no bases yet: run 'parbake base build debian-12'" })
    } else {
      const { renderTable } = await import('../report/table.ts')
      const columns = [
        { header: 'name' },
        { header: 'digest' },
        { header: 'size', align: 'right' as const },
        { header: 'disk', align: 'right' as const },
        { header: 'built' },
        { header: 'distribution' },
      ]
      const rows = bases.map((base) => [
        base.name,
        base.digest.slice(0, 12),
        formatBytes(base.sizeBytes),
        formatBytes(base.virtualSizeBytes),
        base.builtAt.slice(0, 16).replace('T', ' '),
        base.distribution,
      ])
      context.print(renderTable(columns, rows))
    }
  })
}

function printBase(context: CommandContext, base: Base): void {
  if (context.json) {
    context.printJson(base)
    return
  }
  context.print(
    `${base.name}  ${formatBytes(base.sizeBytes)} (a disk of ${formatBytes(base.virtualSizeBytes)})\n` +
      `digest  ${base.digest}\n` +
      `file    ${base.path}`,
  )
}
