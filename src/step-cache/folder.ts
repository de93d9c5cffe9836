import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { Context } from '../context.ts'
import { lockFile } from '../system/file-lock.ts'
import { idPattern, isWhole, readEntry, type StateEntry } from './entry.ts'
import { planEviction } from './eviction.ts'
import { candidateOf, onlyOf, readLedger, writeLedger, type Ledger } from './ledger.ts'
import { defaultBound, missingBytes, spaceAt } from './limits.ts'
import { chainOf } from './lookup.ts'
import { emptyTrash, moveToTrash } from './remove.ts'
import { claimsOf, readUsers, type Here } from './users.ts'

/*
 * <cacheDir>/steps/
 *   <id>/entry.json, …   a kept state, immutable; without entry.json: written to by its owner, or left behind by one
 *   users/<name>         what each running bake uses
 *   ledger.json          what was used when
 *   trash/               what is being removed
 *   .lock                held for moments by whoever looks up, keeps or removes
 */

/** Where what is. */
export interface StepFolder {
  readonly root: string
  readonly users: string
  readonly ledger: string
  readonly trash: string
}

/** The step cache of a configuration. */
export function stepFolder(config: Pick<Config, 'cacheDir'>): StepFolder {
  const root = join(config.cacheDir, 'steps')
  return { root, users: join(root, 'users'), ledger: join(root, 'ledger.json'), trash: join(root, 'trash') }
}

/** Makes the folders. */
export async function makeStepFolder({ users, trash }: StepFolder): Promise<void> {
  await mkdir(users, { recursive: true })
  await mkdir(trash, { recursive: true })
}

/** Keeps lookups, keeping and removal of all processes apart. Held for moments only. */
export function lockSteps({ root }: StepFolder, signal: AbortSignal): Promise<AsyncDisposable> {
  return lockFile(join(root, '.lock'), signal, () => {})
}

/** What is there at one moment, read under the lock. */
export interface Survey {
  readonly entries: ReadonlyMap<string, StateEntry>
  /** Folders that are no entries. */
  readonly others: readonly string[]
  readonly claims: ReadonlySet<string>
  readonly ledger: Ledger
}

/** Reads everything; with `sweep: false` nothing is removed, so that no lock is needed. */
export async function survey(folder: StepFolder, here: Here, sweep = true): Promise<Survey> {
  // Folders before users: whoever makes a folder has written down that it is his before.
  const names = await readdir(folder.root).catch(() => [])
  const ids = names.filter((name) => idPattern.test(name))
  const found = await Promise.all(ids.map(async (id) => [id, await readEntry(join(folder.root, id), id)] as const))
  const users = await readUsers(folder.users, here, sweep)
  // Written under the lock only, so whoever began it is gone.
  const torn = sweep ? names.filter((name) => /^ledger\.json\..*\.tmp$/.test(name)) : []
  for (const name of torn) await rm(join(folder.root, name), { force: true })
  return {
    entries: new Map(found.flatMap(([id, entry]) => (entry === undefined ? [] : [[id, entry]]))),
    others: found.flatMap(([id, entry]) => (entry === undefined ? [id] : [])),
    claims: claimsOf(users),
    ledger: await readLedger(folder.ledger),
  }
}

/** What nobody can use any more: folders of processes that are gone, states that are not whole or not to be trusted. */
export async function findLost(folder: StepFolder, here: Here, found: Survey): Promise<readonly string[]> {
  const entries = [...found.entries.values()]
  const whole = await Promise.all(entries.map((entry) => isWhole(join(folder.root, entry.id), entry)))
  const good = new Map(entries.filter((_, index) => whole[index]).map((entry) => [entry.id, entry]))
  const broken = entries.map(({ id }) => id).filter((id) => chainOf(good, id, here.bootId) === undefined)
  return [...found.others, ...broken].filter((id) => !found.claims.has(id))
}

/** Removes states and forgets them. Called under the lock; what cannot be removed is a warning. */
export async function removeStates(
  context: Pick<Context, 'reporter'>,
  folder: StepFolder,
  ids: readonly string[],
): Promise<void> {
  for (const id of ids) await moveToTrash(join(folder.root, id), folder.trash)
  const left = await emptyTrash(folder.trash)
  if (left.length > 0) {
    context.reporter.emit({
      type: 'warning',
      text: `cannot remove ${left.length === 1 ? 'a folder' : `${left.length} folders`} of the step cache: ${left[0]}`,
      hint: 'they belong to another user, or something is mounted in them',
    })
  }
}

/** The bound that a configuration asks for, in bytes. */
export async function boundOf(config: Pick<Config, 'cache'>, folder: StepFolder): Promise<number> {
  return config.cache.maxBytes ?? defaultBound(await spaceAt(folder.root))
}

/** Removes states until the bound holds and the disk has some space left. Called under the lock. */
export async function makeRoom(
  context: Pick<Context, 'config' | 'reporter'>,
  folder: StepFolder,
  found: Survey,
  maxBytes?: number,
): Promise<readonly string[]> {
  const { evict, inflation } = planEviction({
    candidates: [...found.entries.values()].map((entry) => candidateOf(entry, found.ledger)),
    pinned: found.claims,
    maxBytes: maxBytes ?? (await boundOf(context.config, folder)),
    mustFreeBytes: missingBytes(await spaceAt(folder.root)),
    inflation: found.ledger.inflation,
  })
  if (evict.length === 0) return evict
  await removeStates(context, folder, evict)
  const gone = new Set(evict)
  const left = new Set([...found.entries.keys()].filter((id) => !gone.has(id)))
  await writeLedger(folder.ledger, onlyOf({ ...found.ledger, inflation }, left))
  return evict
}
