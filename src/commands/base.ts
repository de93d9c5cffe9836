import { Command } from 'commander'
import type { Base } from '../base/model.ts'
import { formatBytes } from '../report/reporters.ts'
import type { App, BuildCommand, CommandContext } from './app.ts'

/** `parbake base build | import | list | show`. */
export const build: BuildCommand = (app) =>
  new Command('base')
    .description('Build, import and show the images that bakes and launches start from')
    .addCommand(buildBuild(app))
    .addCommand(buildImport(app))
    .addCommand(buildList(app))
    .addCommand(buildShow(app))

interface BuildOptions {
  readonly mirror?: string
  readonly securityMirror?: string
  readonly force?: boolean
}

function buildBuild(app: App): Command {
  return new Command('build')
    .description('Build a minimal cloud image from distribution packages')
    .argument('<name>', 'which one, e.g. debian-12, or the file of a definition (*.yaml)')
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
    const [{ listBases }, { baseFreshness }] = await Promise.all([
      import('../base/cache.ts'),
      import('../base/freshness.ts'),
    ])
    const bases = await Promise.all(
      (await listBases(context)).map(async (base) => ({
        ...base,
        freshness: await baseFreshness(base, context, { look: 'cached' }),
      })),
    )
    if (context.json) {
      context.printJson(bases)
    } else if (bases.length === 0) {
      context.reporter.emit({ type: 'note', text: "no bases yet: run 'parbake base build debian-12'" })
    } else {
      const { renderBases } = await import('../base/render.ts')
      context.print(renderBases(bases))
    }
  })
}

function buildShow(app: App): Command {
  return new Command('show')
    .description('Show a base: its layout, its age and the updates that are pending for it')
    .argument('[name]', 'name or digest; default: the base of parbake.yaml, else debian-12')
    .option('--refresh', 'look for updates even if that was done within the last 6 hours')
    .option('--offline', 'do not look for updates; say what the last look found')
    .action(async (name: string | undefined, options: { refresh?: true; offline?: true }, command: Command) => {
      const context = await app.open(command)
      const [{ findBase }, { baseFreshness }] = await Promise.all([
        import('../base/cache.ts'),
        import('../base/freshness.ts'),
      ])
      const base = await findBase(name ?? context.config.base, context)
      const look = options.offline === true ? 'cached' : options.refresh === true ? 'now' : 'recent'
      const shown = { ...base, freshness: await baseFreshness(base, context, { look }) }
      if (context.json) {
        context.printJson(shown)
        return
      }
      const { renderBase } = await import('../base/render.ts')
      context.print(renderBase(shown, Date.now()))
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
