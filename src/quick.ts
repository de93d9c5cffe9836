import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'
import { recall, repeat, Watch } from './remembered.ts'
import { keepOwn, readOwn, stateOf } from './util/own-files.ts'

/** Verbs that have a bundle; .ci/bundle-quick.mjs has the same list. */
const verbs: ReadonlySet<string | undefined> = new Set(['check', 'user-data'])

type RunCli = (argv: readonly string[]) => Promise<number>

type BundleFunction = (
  module: { exports: { runCli?: RunCli } },
  require: (name: string) => unknown,
  importOutside: (path: string) => Promise<unknown>,
  folder: string,
) => void

/** A program that was compiled, and what is left to do after it has run. */
export interface QuickProgram {
  readonly runCli: RunCli
  /** Keeps what the engine compiled for the next process, where it is not kept yet; never throws. */
  finish(): void
}

/**
 * The program as one file with compiled code of an earlier process, which starts in half the time of single modules; or
 * what it said, where it would say the same again. Undefined for other verbs, and where there is no bundle or one that is
 * older than the modules.
 */
export function quickProgram(argv: readonly string[]): QuickProgram | undefined {
  const [, , verb] = argv
  if (verb === undefined || !verbs.has(verb) || process.env['NODE_DISABLE_COMPILE_CACHE'] === '1') return undefined
  const cache = cacheFolder()
  const onlyLooks = verb === 'check'
  const answer = onlyLooks ? recall(cache, argv) : undefined
  if (answer !== undefined) return { runCli: async () => repeat(answer), finish: () => {} }
  const folder = fileURLToPath(new URL('./quick/', import.meta.url))
  const file = join(folder, `${verb}.cjs`)
  const state = stateOf(file)
  const modules = stateOf(fileURLToPath(new URL('./commands/main.js', import.meta.url)))
  if (state === undefined || modules === undefined || state.mtimeMs < modules.mtimeMs) return undefined
  optimizeLater()
  const watch = onlyLooks ? new Watch(cache, argv, file) : undefined
  const compiled = compile(file, {
    folder: join(cache, 'compiled'),
    prefix: `${verb}-`,
    name: `${verb}-${process.version}-${process.arch}-${state.size}-${Math.trunc(state.mtimeMs)}`,
  })
  const runCli = load(compiled.program, file, watch)
  if (runCli === undefined) return undefined
  if (watch === undefined) return { runCli, finish: compiled.keep }
  return {
    runCli: (given) => watch.during(() => runCli(given)),
    finish: () => {
      compiled.keep()
      watch.keep()
    },
  }
}

/** To optimize code that runs for a second costs more than it brings: a third of all CPU time. Twenty times the default. */
function optimizeLater(): void {
  // An engine that does not know the flag says so on stderr.
  if (Number.parseInt(process.versions.v8, 10) < 14) setFlagsFromString('--interrupt-budget=1320000')
}

/** Where compiled code is kept; what starts with the prefix and has another name is of no use any more. */
interface Place {
  readonly folder: string
  readonly prefix: string
  readonly name: string
}

function compile(
  file: string,
  { folder, prefix, name }: Place,
): { readonly program: BundleFunction; readonly keep: () => void } {
  // The engine trusts it.
  const cached = readOwn(folder, name)
  // All of it is ASCII; what the engine finds compiled it need not read.
  const source = `(function (module, require, importOutside, __dirname) {${readFileSync(file, 'latin1')}\n})`
  const script = new Script(source, { filename: file, ...(cached === undefined ? {} : { cachedData: cached }) })
  return {
    program: script.runInThisContext() as BundleFunction,
    keep: () => {
      if (cached !== undefined && script.cachedDataRejected !== true) return
      keepOwn(folder, name, script.createCachedData(), { isOld: (entry) => entry.startsWith(prefix), others: 0 })
    },
  }
}

function load(program: BundleFunction, file: string, watch: Watch | undefined): RunCli | undefined {
  const module: { exports: { runCli?: RunCli } } = { exports: {} }
  const require = createRequire(file)
  const watched = (name: string, found: unknown): unknown => watch?.watched(name, found) ?? found
  program(
    module,
    (name) => watched(name, require(name)),
    async (path) => watched(path, await import(pathToFileURL(require.resolve(path)).href)),
    dirname(file),
  )
  return module.exports.runCli
}

/** As the configuration resolves it where no file says otherwise; that file is read later. */
function cacheFolder(): string {
  const { PARBAKE_CACHE: own, XDG_CACHE_HOME: xdg, HOME: home } = process.env
  if (own !== undefined && own !== '') return own
  return join(xdg?.startsWith('/') === true ? xdg : join(home ?? homedir(), '.cache'), 'parbake')
}
