import { randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Context } from '../context.ts'
import { run } from '../system/run.ts'
import { isWhole, payloadOf, readEntry, removeEntry, writeEntry, type StateEntry } from './entry.ts'
import { findLost, lockSteps, makeRoom, makeStepFolder, removeStates, stepFolder, survey } from './folder.ts'
import type { StepFolder, Survey } from './folder.ts'
import { withUses, writeLedger } from './ledger.ts'
import { chainOf, prefixes } from './lookup.ts'
import { whereWeAre, writeUser, type Here } from './users.ts'

/** A kept state and its folder (absolute). */
export interface StateFolder {
  readonly entry: StateEntry
  readonly folder: string
}

/** A state to go on from. */
export interface CachedState extends StateFolder {
  /** What it builds on, the lowest first, itself last. */
  readonly chain: readonly StateFolder[]
}

/** What a bake says about a state that it keeps. */
export type StateRecord = Pick<
  StateEntry,
  'key' | 'parent' | 'engine' | 'base' | 'stepName' | 'stepDigest' | 'seconds' | 'sizeBytes' | 'note'
>

/** States of bakes that later bakes go on from. Safe for several processes at once. */
export interface StepCache extends AsyncDisposable {
  /**
   * The state with the most of these steps done (keys from `chainKeys`), or undefined where there is none. It and what it
   * builds on stay until this cache is disposed.
   */
  longestPrefix(keys: readonly string[]): Promise<CachedState | undefined>
  /** Absolute path of an empty folder for what comes next; gone when this cache is disposed, unless it was kept. */
  reserve(): Promise<string>
  /** Makes a reserved folder a state. Nothing may write to it any more. It stays until this cache is disposed, at least. */
  keep(folder: string, record: StateRecord): Promise<CachedState>
  /** Gives up a reserved folder, or a state that turned out to be of no use. */
  drop(folder: string): Promise<void>
}

const never = new AbortController().signal

/**
 * Opens the step cache for a bake: registers this process as a user, sweeps what killed ones left behind. Dispose it when
 * nothing uses its folders any more.
 */
export async function openStepCache(context: Context): Promise<StepCache> {
  const folder = stepFolder(context.config)
  await makeStepFolder(folder)
  const cache = new OpenStepCache(context, folder, await whereWeAre())
  try {
    await cache.register()
  } catch (error) {
    await cache[Symbol.asyncDispose]()
    throw error
  }
  return cache
}

class OpenStepCache implements StepCache {
  readonly #context: Context
  readonly #folder: StepFolder
  readonly #here: Here
  readonly #userFile: string
  readonly #pins = new Set<string>()
  readonly #reserved = new Set<string>()
  /** Ids of states whose content is not known to be on the disk. */
  #unsynced: string[] = []
  #syncing: Promise<void> | undefined
  #writing: Promise<void> = Promise.resolve()
  #disposed = false

  constructor(context: Context, folder: StepFolder, here: Here) {
    this.#context = context
    this.#folder = folder
    this.#here = here
    this.#userFile = join(folder.users, `${process.pid}-${randomBytes(4).toString('hex')}`)
  }

  async register(): Promise<void> {
    await using _ = await lockSteps(this.#folder, this.#context.signal)
    await this.#writeUser()
    const found = await this.#survey()
    const lost = await findLost(this.#folder, this.#here, found)
    await removeStates(this.#context, this.#folder, lost)
    const left = lost.length === 0 ? found : await this.#survey()
    await makeRoom(this.#context, this.#folder, left)
    // What a killed bake could not sync any more; those of running ones are theirs.
    this.#syncLater([...left.entries.values()].filter(({ id, durable }) => !durable && !left.claims.has(id)))
  }

  async longestPrefix(keys: readonly string[]): Promise<CachedState | undefined> {
    await using _ = await lockSteps(this.#folder, this.#context.signal)
    const found = await this.#survey()
    for (const chain of prefixes(found.entries, keys, this.#here.bootId)) {
      const whole = await Promise.all(chain.map((entry) => isWhole(this.#path(entry.id), entry)))
      if (whole.includes(false)) continue
      for (const { id } of chain) this.#pins.add(id)
      await this.#writeUser()
      await writeLedger(this.#folder.ledger, withUses(found.ledger, chain, new Date()))
      return this.#stateOf(chain)
    }
    return undefined
  }

  async reserve(): Promise<string> {
    const id = randomBytes(6).toString('hex')
    this.#reserved.add(id)
    // Before the folder is there: a folder that nobody has written down is swept.
    await this.#writeUser()
    const path = this.#path(id)
    await mkdir(path, { mode: 0o755 })
    return path
  }

  async keep(folder: string, record: StateRecord): Promise<CachedState> {
    const id = this.#idOf(folder)
    if (!this.#reserved.has(id)) throw new Error(`${folder} was not reserved`)
    const { key, parent, engine, base, stepName, stepDigest, seconds, note } = record
    const entry: StateEntry = {
      ...{ v: 1, id, key, parent, engine, base, stepName, stepDigest, seconds, note },
      sizeBytes: Math.ceil(record.sizeBytes),
      createdAt: new Date().toISOString(),
      bootId: this.#here.bootId,
      durable: false,
      payload: await payloadOf(folder),
    }
    await using _ = await lockSteps(this.#folder, this.#context.signal)
    await writeEntry(folder, entry)
    this.#pins.add(id)
    this.#reserved.delete(id)
    await this.#writeUser()
    const found = await this.#survey()
    const chain = chainOf(found.entries, id, this.#here.bootId)
    if (chain === undefined) {
      await removeEntry(folder)
      throw new Error(`the state that ${folder} builds on is not there any more`)
    }
    const ledger = withUses(found.ledger, [entry], new Date())
    await writeLedger(this.#folder.ledger, ledger)
    await makeRoom(this.#context, this.#folder, { ...found, ledger })
    this.#syncLater([entry])
    return this.#stateOf(chain)
  }

  async drop(folder: string): Promise<void> {
    const id = this.#idOf(folder)
    await using _ = await lockSteps(this.#folder, never)
    await removeEntry(folder)
    this.#pins.delete(id)
    this.#reserved.delete(id)
    await this.#writeUser()
    const { claims } = await this.#survey()
    // Who else builds on it goes on doing so; it is swept when they are done.
    if (!claims.has(id)) await removeStates(this.#context, this.#folder, [id])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return
    this.#disposed = true
    await this.#syncing
    await using _ = await lockSteps(this.#folder, never)
    await rm(this.#userFile, { force: true })
    const found = await this.#survey()
    const mine = [...this.#reserved].filter((id) => !found.claims.has(id))
    if (mine.length > 0) await removeStates(this.#context, this.#folder, mine)
    await makeRoom(this.#context, this.#folder, found)
  }

  #survey(): Promise<Survey> {
    return survey(this.#folder, this.#here)
  }

  #path(id: string): string {
    return join(this.#folder.root, id)
  }

  #idOf(folder: string): string {
    if (dirname(folder) !== this.#folder.root) throw new Error(`${folder} is not in ${this.#folder.root}`)
    return basename(folder)
  }

  #stateOf(chain: readonly StateEntry[]): CachedState {
    const folders = chain.map((entry) => ({ entry, folder: this.#path(entry.id) }))
    const last = folders.at(-1)
    if (last === undefined) throw new Error('a chain without states')
    return { ...last, chain: folders }
  }

  /** One after the other: an older state must not replace a newer one. */
  #writeUser(): Promise<void> {
    const written = this.#writing.then(() => this.#writeUserNow())
    this.#writing = written.catch(() => {})
    return written
  }

  async #writeUserNow(): Promise<void> {
    const { bootId, pidNamespace } = this.#here
    await writeUser(this.#userFile, {
      ...{ v: 1, pid: process.pid, bootId, pidNamespace },
      startTime: (await this.#here.startTime(process.pid)) ?? '',
      pins: [...this.#pins],
      reserved: [...this.#reserved],
    })
  }

  /** Syncs in the background, one sync at a time for all that waits for it. */
  #syncLater(entries: readonly StateEntry[]): void {
    if (entries.length === 0) return
    this.#unsynced.push(...entries.map(({ id }) => id))
    // What could not be synced now is taken up by the next bake.
    this.#syncing ??= this.#sync()
      .catch(() => {})
      .finally(() => (this.#syncing = undefined))
  }

  async #sync(): Promise<void> {
    while (this.#unsynced.length > 0) {
      const ids = this.#unsynced
      this.#unsynced = []
      const { exitCode } = await run('sync', ['--file-system', this.#folder.root], { allowFailure: true })
      if (exitCode !== 0) return
      for (const id of ids) await this.#markDurable(id)
    }
  }

  async #markDurable(id: string): Promise<void> {
    const folder = this.#path(id)
    const entry = await readEntry(folder, id)
    if (entry === undefined) return
    // Removed at this moment: nothing to mark.
    await writeEntry(folder, { ...entry, durable: true }).catch(() => {})
  }
}
