import { Command, InvalidArgumentError } from 'commander'
import { messageOf, UserError } from '../errors.ts'
import { formatBytes } from '../report/reporters.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import type { BuildCommand, CommandContext } from './app.ts'
import { addRecipeOptions, readRecipe, type RecipeOptions } from './recipe-options.ts'

interface Options extends RecipeOptions {
  readonly output?: string
  readonly serve?: boolean
  readonly port: number
}

const defaultOutput = 'report.html'
/** Seconds between two looks at the store while serving. */
const everySeconds = 3

/** `parbake report RECIPE`: what was measured, planned and baked, as one HTML page. */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('report')
      .description('write one self-contained HTML page: where the time goes, what is baked and why, images, history')
      .argument('<recipe>', 'recipe folder'),
  )
    .option('-o, --output <file>', `file to write, - for stdout (default: "${defaultOutput}"; with --json: none)`)
    .option('--serve', 'serve the page on 127.0.0.1 and keep it up to date until Ctrl-C')
    .option('--port <number>', 'port to serve on, 0 for any free one', parsePort, 0)
    .action(async (folder: string, options: Options, command: Command) => {
      checkOptions(options, command)
      const context = await app.open(command)
      await (options.serve === true ? serve(context, folder, options) : write(context, folder, options))
    })

function checkOptions(options: Options, command: Command): void {
  const { json } = command.optsWithGlobals<{ json?: boolean }>()
  if (options.serve === true && options.output !== undefined) {
    throw new UserError('--serve writes no file', { exitCode: 2, hint: 'leave out --output, or --serve' })
  }
  if (json === true && options.output === '-') {
    throw new UserError('--json and --output - both want stdout', { exitCode: 2, hint: 'give --output a file' })
  }
  if (options.serve !== true && command.getOptionValueSource('port') === 'cli') {
    throw new UserError('--port is for --serve', { exitCode: 2, hint: 'add --serve, or leave out --port' })
  }
}

async function write(context: CommandContext, folder: string, options: Options): Promise<void> {
  const { output } = options
  const { gatherPage } = await import('../page/gather.ts')
  const data = await gatherPage(context, await readRecipe(context, folder, options))
  if (context.json) context.printJson(data)
  const file = output ?? (context.json ? undefined : defaultOutput)
  if (file === undefined) return
  // The library of the charts takes its time to load; --json alone needs none.
  const { renderPage } = await import('../page/page.ts')
  const page = renderPage(data)
  if (file === '-') return context.print(page)
  try {
    await writeFileAtomic(file, page)
  } catch (error) {
    throw new UserError(`cannot write the report to ${file}: ${messageOf(error)}`, { cause: error })
  }
  if (!context.json) context.print(`${file}  (${formatBytes(Buffer.byteLength(page))}; open it in a browser)`)
}

async function serve(context: CommandContext, folder: string, options: Options): Promise<void> {
  const { gatherPage, lookAtStore } = await import('../page/gather.ts')
  const { servePage } = await import('../page/serve.ts')
  const recipe = await readRecipe(context, folder, options)
  const served = await servePage({
    port: options.port,
    everySeconds,
    look: () => lookAtStore(context, recipe),
    // The recipe may have changed since; the plan must be that of now.
    gather: async () => gatherPage(context, await readRecipe(context, folder, options)),
    reporter: context.reporter,
    signal: context.signal,
  })
  if (context.json) context.printJson({ url: served.url, port: served.port, pid: process.pid })
  else context.print(`${served.url}  (this machine only; follows new reports; Ctrl-C ends it)`)
  await served.done
}

function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('A port is 0 to 65535.')
  return port
}
