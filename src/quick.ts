import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync, type Stats } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Script } from 'node:vm'

/** Verbs that have a bundle; .ci/bundle-quick.mjs has the same list. */
const verbs: ReadonlySet<string | undefined> = new Set(['check', 'user-data'])

type RunCli = (argv: readonly string[]) => Promise<number>

type BundleFunction = (
  module: { exports: { runCli?: RunCli } },
  require: NodeJS.Require,
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
 * The program as one file with compiled code of an earlier process, which starts in half the time of single modules.
 * Undefined for other verbs, and where there is no bundle or one that is older than the modules.
 */
export function quickProgram(verb: string | undefined): QuickProgram | undefined {
  if (verb === undefined || !verbs.has(verb) || process.env['NODE_DISABLE_COMPILE_CACHE'] === '1') return undefined
  const folder = fileURLToPath(new URL('./quick/', import.meta.url))
  const file = join(folder, `${verb}.cjs`)
  const state = stateOf(file)
  const modules = stateOf(fileURLToPath(new URL('./commands/main.js', import.meta.url)))
  if (state === undefined || modules === undefined || state.mtimeMs < modules.mtimeMs) return undefined
  const cache = join(cacheFolder(), 'compiled')
  const prefix = `${verb}-`
  const name = `${prefix}${process.version}-${process.arch}-${state.size}-${Math.trunc(state.mtimeMs)}`
  const cached = readOwn(cache, name)
  // All of it is ASCII; what the engine finds compiled it need not read.
  const source = `(function (module, require, importOutside, __dirname) {${readFileSync(file, 'latin1')}\n})`
  const script = new Script(source, { filename: file, ...(cached === undefined ? {} : { cachedData: cached }) })
  const run = script.runInThisContext() as BundleFunction
  const module: { exports: { runCli?: RunCli } } = { exports: {} }
  const require = createRequire(file)
  run(module, require, (path) => import(pathToFileURL(require.resolve(path)).href), dirname(file))
  const { runCli } = module.exports
  if (runCli === undefined) return undefined
  return {
    runCli,
    finish: () => {
      if (cached === undefined || script.cachedDataRejected === true) keep(cache, prefix, name, script)
    },
  }
}

/** As the configuration resolves it where no file says otherwise; that file is read later. */
function cacheFolder(): string {
  const { PARBAKE_CACHE: own, XDG_CACHE_HOME: xdg, HOME: home } = process.env
  if (own !== undefined && own !== '') return own
  return join(xdg?.startsWith('/') === true ? xdg : join(home ?? homedir(), '.cache'), 'parbake')
}

/** The engine trusts such a file, so nobody else may have written it. */
function readOwn(folder: string, name: string): Buffer | undefined {
  const path = join(folder, name)
  if (![folder, path].every(isOwn)) return undefined
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}

function isOwn(path: string): boolean {
  const state = stateOf(path)
  return state !== undefined && state.uid === process.geteuid?.() && (state.mode & 0o022) === 0
}

/** Best effort: without it the next process only starts more slowly. */
function keep(folder: string, prefix: string, name: string, script: Script): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (!isOwn(folder)) return
    const temporary = join(folder, `.${name}.${process.pid}`)
    writeFileSync(temporary, script.createCachedData(), { mode: 0o600, flag: 'wx' })
    renameSync(temporary, join(folder, name))
    const older = readdirSync(folder).filter((entry) => entry.startsWith(prefix) && entry !== name)
    for (const entry of older) rmSync(join(folder, entry), { force: true })
  } catch {
    // A read-only home is no reason to fail.
  }
}

function stateOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}
