import { lstatSync, realpathSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'
import { ignoreBrokenPipe } from './util/broken-pipe.ts'
import { keepOwn, readOwn } from './util/own-files.ts'

/**
 * What a command said, for as long as all that it looked at is as it was then. For commands that only look and say: one that
 * does anything else is not remembered.
 */
export interface Answer {
  readonly exitCode: number
  /** What was written where, in order: 1 is stdout, 2 is stderr. */
  readonly said: readonly (readonly [1 | 2, string])[]
}

/** How a path was looked at; a link can change without what it leads to. */
type Way = 'stat' | 'lstat' | 'realpath'

/** How, at which path, and what was there. */
type Look = readonly [Way, string, string]

interface Remembered extends Answer {
  readonly question: string
  readonly env: Readonly<Record<string, string | null>>
  readonly looks: readonly Look[]
}

/** Questions whose answers are kept. */
const kept = 50

/** Exit codes of what was answered; others come from outside: signals, bugs, full disks. */
const answered: readonly number[] = [0, 2]

/** Functions of node:fs that look, by the name without `Sync`. */
const ways: ReadonlyMap<string, Way> = new Map([
  ...['access', 'exists', 'readFile', 'readdir', 'stat'].map((name) => [name, 'stat'] as const),
  ...['lstat', 'readlink'].map((name) => [name, 'lstat'] as const),
  ['realpath', 'realpath'],
])

/** What was said to the same words in the same place, where nothing has changed since. `folder` is the cache's. */
export function recall(folder: string, argv: readonly string[]): Answer | undefined {
  const question = questionOf(argv)
  const text = readOwn(folderOf(folder), nameOf(question))
  if (text === undefined) return undefined
  try {
    const memory = JSON.parse(text.toString()) as Remembered
    const isSame =
      memory.question === question &&
      Object.entries(memory.env).every(([name, value]) => (process.env[name] ?? null) === value) &&
      memory.looks.every(([way, path, state]) => stateBy(way, path) === state)
    return isSame ? memory : undefined
  } catch {
    // A torn one costs a run.
    return undefined
  }
}

/** Writes out an answer. */
export function repeat({ said, exitCode }: Answer): number {
  ignoreBrokenPipe()
  for (const [stream, text] of said) (stream === 1 ? process.stdout : process.stderr).write(text)
  return exitCode
}

/** Notes what a command looks at and says while it runs. */
export class Watch {
  private readonly folder: string
  private readonly question: string
  private readonly started = BigInt(Date.now()) * 1_000_000n
  private readonly env: Record<string, string | null> = {}
  private readonly looks = new Map<string, Look>()
  private readonly said: (readonly [1 | 2, string])[] = []
  private onlyLooks = true
  private exitCode: number | undefined

  /** `program` is the file whose code runs. */
  constructor(folder: string, argv: readonly string[], program: string) {
    this.folder = folder
    this.question = questionOf(argv)
    this.look('stat', program)
  }

  /** The same module, noting what is looked at; of modules that know nothing of files, the module itself. */
  watched<T>(name: string, module: T): T {
    if (name === 'node:fs' || name === 'node:fs/promises') return this.wrap(module, (key) => ways.get(key))
    return name === 'node:child_process' || name.endsWith('/system/run.js')
      ? this.wrap(module, () => undefined)
      : module
  }

  /** Runs the command. */
  async during(run: () => Promise<number>): Promise<number> {
    const { env } = process
    const restore = [this.listen(1, process.stdout), this.listen(2, process.stderr)]
    process.env = this.watchedEnv(env)
    try {
      this.exitCode = await run()
      return this.exitCode
    } finally {
      process.env = env
      for (const each of restore) each()
    }
  }

  /** Keeps the answer, where there is one and nothing has changed meanwhile. */
  keep(): void {
    const { exitCode, question, env, said } = this
    const looks = [...this.looks.values()]
    if (!this.onlyLooks || exitCode === undefined || !answered.includes(exitCode)) return
    if (looks.some((look) => stateBy(look[0], look[1]) !== look[2] || this.isRecent(look))) return
    const memory: Remembered = { question, exitCode, env, looks, said }
    keepOwn(folderOf(this.folder), nameOf(question), JSON.stringify(memory), { isOld: () => true, others: kept - 1 })
  }

  /** What changes within the same tick of the clock again has the same state. Whole seconds are those of coarse clocks. */
  private isRecent([way, , state]: Look): boolean {
    const times = way === 'realpath' ? [] : state.split(' ').slice(3).map(BigInt)
    return times.some((time) => time >= this.started - (time % 1_000_000_000n === 0n ? 2_000_000_000n : 50_000_000n))
  }

  private look(way: Way, given: unknown): void {
    if (typeof given !== 'string' && !(given instanceof URL)) {
      this.onlyLooks = false
      return
    }
    const path = resolve(given instanceof URL ? fileURLToPath(given) : given)
    // This program's own notes decide nothing.
    if (path.startsWith(join(this.folder, 'lint/'))) return
    const key = `${way} ${path}`
    if (!this.looks.has(key)) this.looks.set(key, [way, path, stateBy(way, path)])
  }

  private wrap<T>(module: T, wayOf: (name: string) => Way | undefined): T {
    const entries = Object.entries(module as Record<string, unknown>).map(([name, value]): [string, unknown] => {
      if (name === 'promises') return [name, this.watched('node:fs/promises', value)]
      if (typeof value !== 'function' || !/^[a-z]/.test(name)) return [name, value]
      const way = wayOf(name.replace(/Sync$/, ''))
      const watched = (...given: readonly unknown[]): unknown => {
        if (way === undefined) this.onlyLooks = false
        else this.look(way, given[0])
        return Reflect.apply(value, module, given)
      }
      return [name, watched]
    })
    return Object.fromEntries(entries) as T
  }

  private watchedEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    const note = (name: string | symbol) => {
      if (typeof name === 'string') this.env[name] = env[name] ?? null
    }
    return new Proxy(env, {
      get: (target, name) => {
        note(name)
        return Reflect.get(target, name) as unknown
      },
      has: (target, name) => {
        note(name)
        return Reflect.has(target, name)
      },
      ownKeys: (target) => {
        this.onlyLooks = false
        return Reflect.ownKeys(target)
      },
    })
  }

  private listen(stream: 1 | 2, out: NodeJS.WriteStream): () => void {
    const write = out.write.bind(out)
    out.write = ((...given: Parameters<typeof write>): boolean => {
      const [text] = given
      if (typeof text === 'string') this.said.push([stream, text])
      else this.onlyLooks = false
      return write(...given)
    }) as typeof write
    return () => void (out.write = write)
  }
}

function folderOf(cache: string): string {
  return join(cache, 'lint', 'answers')
}

/** All that was asked, by whom and where; a terminal is told other things than a pipe. */
function questionOf(argv: readonly string[]): string {
  const terminals = [isatty(1), isatty(2)]
  const columns = terminals[0] === true ? process.stdout.columns : undefined
  return JSON.stringify([process.version, process.cwd(), argv.slice(2), terminals, columns, process.geteuid?.()])
}

/** Short, and different for different questions nearly always: FNV-1a, for a digest costs more than all the rest. */
function nameOf(question: string): string {
  let hash = 0x811c9dc5
  for (let index = 0; index < question.length; index += 1) {
    hash = Math.imul(hash ^ question.charCodeAt(index), 0x01000193)
  }
  return `${(hash >>> 0).toString(16)}.json`
}

/** Changes whenever what is there changes; size and times in nanoseconds come last. */
function stateBy(way: Way, path: string): string {
  try {
    if (way === 'realpath') return realpathSync.native(path)
    const { dev, ino, size, mtimeNs, ctimeNs } = (way === 'stat' ? statSync : lstatSync)(path, { bigint: true })
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}
