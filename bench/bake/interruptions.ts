import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { pointOf, recipeText, type BakeKind, type Point, type StopSignal } from './interrupt-points.ts'
import { linkBase } from './link-base.ts'
import { findLeftovers, isClean, type Leftovers } from './leftovers.ts'
import { Family } from './processes.ts'

export interface InterruptOptions {
  /** A folder of its own, for all that the bakes write; its path must be one that nothing else mentions. */
  readonly folder: string
  /** qcow2 of the base, in the user's cache. */
  readonly basePath: string
  readonly engine: 'container' | 'vm'
  readonly points: number
  /** Every how many points a bake that publishes is interrupted; 0: never. */
  readonly publishEvery: number
  /** After how many points a bake must work, besides the end. */
  readonly checkEvery: number
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

/** One bake that was cut short. */
export interface Interruption {
  readonly kind: BakeKind
  readonly stopSignal: StopSignal
  /** Seconds after the start of the program. */
  readonly at: number
  /** The last thing it had said. */
  readonly during: string
  /** What was wrong afterwards; empty where all was well. */
  readonly wrong: readonly string[]
}

export interface InterruptResult {
  readonly interruptions: readonly Interruption[]
  /** What was wrong with the bakes that were let go on, or was there still after them; empty where all was well. */
  readonly afterwards: readonly string[]
}

/**
 * Interrupts bakes at points spread over all that they do, and looks after each whether anything is left. Throws where a
 * bake that was let go on fails.
 */
export async function interruptBakes(options: InterruptOptions): Promise<InterruptResult> {
  const trial = new Trial(options)
  await trial.prepare()
  const done: Interruption[] = []
  const afterwards = new Set<string>()
  for (let index = 0; index < options.points; index += 1) {
    const interruption = await trial.interrupt(pointOf(index, options))
    done.push(interruption)
    const { kind, stopSignal, at, during, wrong } = interruption
    const verdict = wrong.length === 0 ? 'clean' : `NOT CLEAN: ${wrong.join('; ')}`
    options.say(`${index + 1}/${options.points} ${kind} ${stopSignal} at ${at.toFixed(2)} s (${during}): ${verdict}`)
    if ((index + 1) % options.checkEvery === 0 || index + 1 === options.points) {
      for (const left of await trial.bakeMustWork()) afterwards.add(left)
    }
  }
  return { interruptions: done, afterwards: [...afterwards] }
}

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** What a program did before it ended. */
interface Ended {
  readonly code: number | null
  readonly stderr: string
  readonly seconds: number
}

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  readonly family: Family
  stderr(): string
}

/** One recipe, store and cache that all interrupted bakes share, as a user's would. */
class Trial {
  readonly #options: InterruptOptions
  readonly #recipe: string
  readonly #output: string
  readonly #env: NodeJS.ProcessEnv
  /** Seconds of a whole bake. */
  readonly #whole = new Map<BakeKind, number>()
  #change = 0

  constructor(options: InterruptOptions) {
    const { folder } = options
    this.#options = options
    this.#recipe = join(folder, 'recipe')
    this.#output = join(folder, 'disk.qcow2')
    this.#env = {
      ...process.env,
      TMPDIR: join(folder, 'tmp'),
      PARBAKE_CACHE: join(folder, 'cache'),
      PARBAKE_STATE: join(folder, 'state'),
    }
  }

  /** Bakes each kind once to its end, to know how long it takes. */
  async prepare(): Promise<void> {
    const { folder, basePath, points, publishEvery } = this.#options
    for (const name of ['cache', 'state', 'tmp', 'recipe']) await mkdir(join(folder, name), { recursive: true })
    await linkBase(join(folder, 'cache'), basePath)
    await this.#writeRecipe()
    await this.#mustSucceed(['keys', 'init'])
    const publishing = publishEvery > 0 && points >= publishEvery
    for (const kind of ['cold', 'warm', ...(publishing ? (['publish'] as const) : [])] as const) {
      await this.#nextVersion(kind)
      const { seconds } = await this.#mustSucceed(this.#bakeArgs(kind))
      this.#whole.set(kind, seconds)
      await rm(this.#output, { force: true })
      this.#options.say(`a whole bake (${kind}): ${seconds.toFixed(1)} s`)
    }
  }

  /** Starts a bake and cuts it short. A bake that ends before that is tried again with an earlier point. */
  async interrupt({ kind, stopSignal, share }: Point): Promise<Interruption> {
    for (let tries = 1; ; tries += 1) {
      this.#options.signal.throwIfAborted()
      await this.#nextVersion(kind)
      const before = { published: await this.#published(), folders: await this.#workFolders() }
      const at = (this.#whole.get(kind) ?? 10) * share * 0.93 ** (tries - 1)
      const running = this.#start(this.#bakeArgs(kind))
      const watch = this.#watch(running)
      const early = await Promise.race([sleep(at * 1000), running.ended])
      const during = lastWords(running.stderr())
      if (early === undefined) running.child.kill(stopSignal)
      const ended = await running.ended
      await watch
      const left = await findLeftovers(this.#options.folder, running.child.pid ?? 0, running.family)
      // The signal can also come too late for a bake that is just about to end.
      const finished =
        ended.code === 0 || (await this.#published()) !== before.published || (await this.#wasKilledLate(stopSignal))
      if (finished && isClean(left) && tries < 8) {
        await rm(this.#output, { force: true })
        continue
      }
      const wrong = [
        ...this.#wrongEnd(stopSignal, ended),
        ...describe(left),
        ...(await this.#wrongFiles(stopSignal, before.folders)),
      ]
      if (finished) wrong.push('the bake always ended before it could be interrupted')
      return { kind, stopSignal, at, during, wrong }
    }
  }

  /** The next bake works, and what it wrote is whole. Resolves with what it has not cleared away of killed ones. */
  async bakeMustWork(): Promise<readonly string[]> {
    const { engine, say } = this.#options
    await this.#nextVersion('warm')
    const { seconds } = await this.#mustSucceed(this.#bakeArgs('warm'))
    const { size } = await stat(this.#output)
    await this.#mustBeWhole()
    await rm(this.#output)
    say(`the next bake works: ${seconds.toFixed(1)} s, ${(size / 1e6).toFixed(0)} MB (${engine})`)
    const left = (await this.#workFolders()).map((path) => `a killed bake's ${path}`)
    for (const text of left) say(`NOT CLEAN after it: ${text}`)
    return left
  }

  async #mustBeWhole(): Promise<void> {
    const { checkContents } = await import('./contents.ts')
    const expected = {
      '/srv/interrupted/first': { size: 8_000_000 },
      '/srv/interrupted/second': { size: 8_000_000 },
      '/srv/interrupted/last': { content: `${this.#change}\n` },
      '/srv/interrupted/data': { size: 4_000_000 },
    }
    await checkContents(this.#output, expected, this.#options.signal, [])
  }

  #bakeArgs(kind: BakeKind): readonly string[] {
    const args = ['bake', this.#recipe, '--engine', this.#options.engine]
    if (kind === 'publish') return args
    return [...args, '--no-verify', '--output', this.#output, ...(kind === 'cold' ? ['--no-cache'] : [])]
  }

  async #writeRecipe(): Promise<void> {
    await writeFile(join(this.#recipe, 'recipe.yaml'), recipeText(this.#change))
  }

  async #nextVersion(kind: BakeKind): Promise<void> {
    this.#change += 1
    await this.#writeRecipe()
    if (kind === 'publish') await this.#mustSucceed(['publish', this.#recipe])
  }

  #start(args: readonly string[]): Running {
    const cli = join(repository, 'dist', 'cli.js')
    const start = performance.now()
    // A group of its own, so that a signal from a terminal ends this program first.
    const child = spawn(process.execPath, [cli, ...args], {
      cwd: this.#options.folder,
      env: this.#env,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on('error', reject)
      // Not `close`: what is left behind may hold the pipe open.
      child.on('exit', (code) => resolve({ code, stderr, seconds: (performance.now() - start) / 1000 }))
    })
    return { child, ended, family: new Family(child.pid ?? 0), stderr: () => stderr }
  }

  async #watch({ ended, family }: Running): Promise<void> {
    let over = false
    void ended.then(() => (over = true))
    while (!over) {
      family.look()
      await sleep(50)
    }
  }

  async #mustSucceed(args: readonly string[]): Promise<Ended> {
    this.#options.signal.throwIfAborted()
    const running = this.#start(args)
    const stop = () => running.child.kill('SIGINT')
    this.#options.signal.addEventListener('abort', stop)
    const ended = await running.ended
    this.#options.signal.removeEventListener('abort', stop)
    this.#options.signal.throwIfAborted()
    if (ended.code !== 0) throw new Error(`parbake ${args.join(' ')} ended with ${ended.code}:\n${ended.stderr}`)
    return ended
  }

  #wrongEnd(stopSignal: StopSignal, { code, stderr }: Ended): readonly string[] {
    // Who is killed has no exit code.
    const wanted = stopSignal === 'SIGKILL' ? null : 130
    return code === wanted ? [] : [`exit code ${code}: ${lastWords(stderr)}`]
  }

  /** Who is killed after the image was handed over, which is one rename, has no exit code to say so; the image is whole. */
  async #wasKilledLate(stopSignal: StopSignal): Promise<boolean> {
    if (stopSignal !== 'SIGKILL' || (await stat(this.#output).catch(() => undefined)) === undefined) return false
    await this.#mustBeWhole()
    return true
  }

  /** The image channel as it is: what it points to is published. */
  async #published(): Promise<string> {
    const path = join(this.#options.folder, 'state', 'store', 'images', 'interrupted', 'channels', 'stable')
    return readFile(path, 'utf8').catch(() => '')
  }

  async #wrongFiles(stopSignal: StopSignal, before: readonly string[]): Promise<readonly string[]> {
    const wrong: string[] = []
    if ((await stat(this.#output).catch(() => undefined)) !== undefined) {
      wrong.push('there is an image file')
      await rm(this.#output, { force: true })
    }
    // Who is killed cannot remove his folders; the next bake does.
    if (stopSignal === 'SIGKILL') return wrong
    const left = (await this.#workFolders()).filter((path) => !before.includes(path))
    return [...wrong, ...left.map((path) => `left: ${path}`)]
  }

  /** What bakes work in, relative to the folder of the trial. */
  async #workFolders(): Promise<readonly string[]> {
    const places = [join('cache', 'bakes'), 'tmp']
    const lists = await Promise.all(places.map((place) => entries(join(this.#options.folder, place))))
    return lists.flatMap((names, index) => names.map((name) => join(places[index] ?? '', name)))
  }
}

async function entries(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch((): string[] => [])).filter((name) => !name.startsWith('.'))
}

function describe(left: Leftovers): readonly string[] {
  return Object.entries(left).flatMap(([kind, list]: [string, readonly string[]]) =>
    list.length === 0 ? [] : [`${kind} left: ${list.join(', ')}`],
  )
}

/** The last line that was printed. */
function lastWords(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim().slice(0, 120) || 'nothing said yet'
}
