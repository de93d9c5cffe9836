import { appendFile, cp, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Bench, Contender, Sample } from './contender.ts'
import { linkBase } from './link-base.ts'
import { measure } from './measure.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** A private recipe, store, key and cache; of the user's own cache it has the bases alone. */
export class ParbakeHome {
  readonly recipe: string
  readonly #bench: Bench
  readonly #folder: string
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #cli: string

  constructor(bench: Bench, folder: string) {
    this.#bench = bench
    this.#folder = folder
    this.#cli = join(repository, 'dist', 'cli.js')
    this.recipe = join(folder, 'recipe')
    this.#env = {
      ...process.env,
      TMPDIR: join(folder, 'tmp'),
      PARBAKE_CACHE: join(folder, 'cache'),
      PARBAKE_STATE: join(folder, 'state'),
    }
  }

  async make(): Promise<void> {
    for (const name of ['cache', 'state', 'tmp']) await mkdir(join(this.#folder, name), { recursive: true })
    await cp(fileURLToPath(new URL('recipe', import.meta.url)), this.recipe, { recursive: true })
    await linkBase(join(this.#folder, 'cache'), this.#bench.basePath)
    await this.cli('keys', 'init')
  }

  /** Runs one command of parbake. */
  cli(...args: readonly string[]) {
    const { log, signal } = this.#bench
    return measure(process.execPath, [this.#cli, ...args], { cwd: this.#folder, env: this.#env, log, signal })
  }

  /** Another version of a step. */
  async changeStep(name: string): Promise<void> {
    const path = join(this.recipe, 'scripts', `${name}.sh`)
    const lines = (await readFile(path, 'utf8')).split('\n').length
    await appendFile(path, `# change ${lines}\n`)
  }

  /** Bakes the recipe as it is now into a file. */
  async bake(disk: string, options: readonly string[]): Promise<Sample> {
    const { seconds, peakMiB } = await this.cli('bake', this.recipe, ...options, '--no-verify', '--output', disk)
    return { seconds, peakMiB, sizeBytes: (await stat(disk)).size }
  }
}

/**
 * One engine of parbake: with all caches empty, then with another last step, then as a difference to the base. With the boot
 * tunings of the default level, which other tools have no answer to.
 */
export function parbake(engine: 'container' | 'vm'): Contender {
  return {
    name: engine,
    needs: [],
    async bake(bench, folder, done) {
      const home = new ParbakeHome(bench, folder)
      await home.make()
      const disk = join(folder, 'disk.qcow2')
      await done(`${engine}, cold`, await home.bake(disk, ['--engine', engine]), disk)
      await rm(disk)
      await home.changeStep('data')
      await done(`${engine}, last step changed`, await home.bake(disk, ['--engine', engine]), disk)
      await rm(disk)
      await home.changeStep('data')
      await done(`${engine}, thin, last step changed`, await home.bake(disk, ['--engine', engine, '--thin']), disk)
    },
  }
}
