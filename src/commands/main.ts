import { Command, CommanderError } from 'commander'
import { exitCodes, formatUserError, InterruptedError, messageOf, UserError } from '../errors.ts'
import type { Reporter } from '../report/events.ts'
import { jsonReporter, plainReporter } from '../report/reporters.ts'
import { ignoreBrokenPipe } from '../util/broken-pipe.ts'
import { packageVersion } from '../util/package-version.ts'
import type { App, BuildCommand, CommandContext, GlobalOptions } from './app.ts'

/** Loaded one by one, so that a command pays only for the libraries it uses. In the order of the loop. */
const verbs: Readonly<Record<string, () => Promise<{ build: BuildCommand }>>> = {
  demo: () => import('./demo.ts'),
  doctor: () => import('./doctor.ts'),
  import: () => import('./import.ts'),
  init: () => import('./init.ts'),
  check: () => import('./check.ts'),
  show: () => import('./show.ts'),
  keys: () => import('./keys.ts'),
  base: () => import('./base.ts'),
  store: () => import('./store.ts'),
  publish: () => import('./publish.ts'),
  sign: () => import('./sign.ts'),
  rollout: () => import('./rollout.ts'),
  rollback: () => import('./rollback.ts'),
  hosts: () => import('./hosts.ts'),
  'user-data': () => import('./user-data.ts'),
  launch: () => import('./launch.ts'),
  profile: () => import('./profile.ts'),
  history: () => import('./history.ts'),
  plan: () => import('./plan.ts'),
  report: () => import('./report.ts'),
  bake: () => import('./bake.ts'),
  verify: () => import('./verify.ts'),
  cache: () => import('./cache.ts'),
}

/** Runs one command line and returns its exit code. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const controller = new AbortController()
  const reporters: Reporter[] = []
  let isCompleted = false
  ignoreBrokenPipe()
  const stop = () => {
    // A second signal does not wait for the clean-up.
    if (controller.signal.aborted) process.exit(exitCodes.interrupted)
    controller.abort(new InterruptedError())
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  try {
    const app: App = {
      open: async (command) => {
        const context = await openContext(command.optsWithGlobals<GlobalOptions>(), controller.signal)
        reporters.push(context.reporter)
        return { ...context, completed: () => void (isCompleted = true) }
      },
    }
    const program = await buildProgram(app, argv[2])
    await program.parseAsync(argv)
    return controller.signal.aborted && !isCompleted ? exitCodes.interrupted : exitCodes.ok
  } catch (error) {
    for (const reporter of reporters) reporter.close()
    return reportFailure(error, controller.signal)
  } finally {
    for (const reporter of reporters) reporter.close()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

async function buildProgram(app: App, verb: string | undefined): Promise<Command> {
  // The version is told without any of them.
  const isVersion = verb === '--version' || verb === '-V'
  const chosen = isVersion ? [] : verb !== undefined && Object.hasOwn(verbs, verb) ? [verb] : Object.keys(verbs)
  const program = new Command('parbake')
    .description('Provision VMs at boot from object storage, measure what is slow, bake exactly that.')
    .version(packageVersion(), '-V, --version')
    .configureHelp({ sortSubcommands: false })
    .showHelpAfterError(chosen.length === 1 ? '(add --help for what this command takes)' : true)
    .exitOverride()
  for (const name of chosen) {
    const module = await verbs[name]?.()
    if (module !== undefined) addWithGlobals(program, module.build(app))
  }
  return program
}

function addWithGlobals(parent: Command, command: Command): void {
  // exitOverride and the global options are not inherited by commands built elsewhere.
  command.copyInheritedSettings(parent)
  if (command.commands.length > 0) {
    for (const child of command.commands) addGlobals(child).copyInheritedSettings(command)
  } else {
    addGlobals(command)
  }
  parent.addCommand(command)
}

function addGlobals(command: Command): Command {
  const taken = new Set(command.options.map((option) => option.long))
  const add = (long: string, flags: string, text: string) => {
    if (!taken.has(long)) command.option(flags, text)
  }
  add('--json', '--json', 'print the result as JSON')
  add('--quiet', '-q, --quiet', 'say nothing but warnings and errors')
  add('--verbose', '-v, --verbose', 'show outside commands and guest consoles')
  add('--config', '--config <file>', 'use this parbake.yaml')
  return command
}

async function openContext(options: GlobalOptions, signal: AbortSignal): Promise<Omit<CommandContext, 'completed'>> {
  const { loadConfig } = await import('../load-config.ts')
  const config = await loadConfig(process.cwd(), options.config)
  const reporter = await chooseReporter(options)
  return {
    config,
    reporter,
    signal,
    json: options.json === true,
    print: (text) => process.stdout.write(text.endsWith('\n') ? text : `${text}\n`),
    printJson: (value) => process.stdout.write(`${JSON.stringify(value, null, 2)}\n`),
  }
}

async function chooseReporter(options: GlobalOptions): Promise<Reporter> {
  const shared = { stream: process.stderr, verbose: options.verbose === true, quiet: options.quiet === true }
  if (options.json === true) return jsonReporter(shared)
  if (!process.stderr.isTTY || process.env['CI'] !== undefined || shared.verbose || shared.quiet) {
    return plainReporter(shared)
  }
  const { ttyReporter } = await import('../report/tty.ts')
  return ttyReporter(shared)
}

function reportFailure(error: unknown, signal: AbortSignal): number {
  if (signal.aborted || error instanceof InterruptedError) {
    process.stderr.write('parbake: interrupted\n')
    return exitCodes.interrupted
  }
  if (error instanceof CommanderError) {
    // Commander has printed its own message; help and version are no errors.
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  }
  if (error instanceof UserError) {
    process.stderr.write(`parbake: ${formatUserError(error)}\n`)
    return error.exitCode
  }
  process.stderr.write(`parbake: this is a bug in parbake: ${messageOf(error)}\n`)
  if (error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`)
  return exitCodes.bug
}
