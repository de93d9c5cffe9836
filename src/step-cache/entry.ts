import { randomBytes } from 'node:crypto'
import { lstat, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Json } from '../util/canonical-json.ts'

/** 12 hex digits: short, because overlay mounts name many of these folders in one page of options. */
export const idPattern = /^[0-9a-f]{12}$/

const stateEntrySchema = z.object({
  v: z.literal(1),
  id: z.string().regex(idPattern),
  /** One of `chainKeys`. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
  /** Id of the state it builds on. */
  parent: z.string().regex(idPattern).nullable(),
  engine: z.string().min(1),
  /** Digest of the base. */
  base: z.string().min(1),
  /** The last step done in it; null for the booted base. */
  stepName: z.string().nullable(),
  stepDigest: z.string().nullable(),
  /** What it would take to redo from its parent. */
  seconds: z.number().nonnegative(),
  sizeBytes: z.number().int().nonnegative(),
  /** ISO 8601, UTC. */
  createdAt: z.iso.datetime(),
  /** The boot of the machine that wrote it, as the kernel names it. */
  bootId: z.string(),
  /** True when its content was synced to the disk. */
  durable: z.boolean(),
  /** What was in its folder, so that a loss is seen. */
  payload: z.array(z.string()),
  /** The engine's own. */
  note: z.json(),
})

/** A kept state: `<cacheDir>/steps/<id>/entry.json`. The rest of that folder is the engine's. */
export type StateEntry = Readonly<Omit<z.infer<typeof stateEntrySchema>, 'payload' | 'note'>> & {
  readonly payload: readonly string[]
  readonly note: Json
}

const fileName = 'entry.json'

/** What a folder's entry says, or undefined where it has none that can be read: then it is no state. */
export async function readEntry(folder: string, id: string): Promise<StateEntry | undefined> {
  let value: unknown
  try {
    value = JSON.parse(await readFile(join(folder, fileName), 'utf8'))
  } catch {
    return undefined
  }
  const result = stateEntrySchema.safeParse(value)
  return result.success && result.data.id === id ? result.data : undefined
}

/**
 * Makes the folder an entry at once. Not synced: what is lost with power is told by `bootId`, and an fsync would wait for
 * all that the bake has written.
 */
export async function writeEntry(folder: string, entry: StateEntry): Promise<void> {
  await writeJson(join(folder, fileName), entry)
}

/** Makes the folder no entry any more. */
export async function removeEntry(folder: string): Promise<void> {
  await rm(join(folder, fileName), { force: true })
}

/** Names of all that an engine has put into a folder. */
export async function payloadOf(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => name !== fileName).toSorted()
}

/** Is everything still there? */
export async function isWhole(folder: string, entry: StateEntry): Promise<boolean> {
  try {
    await Promise.all(entry.payload.map((name) => lstat(join(folder, name))))
    return true
  } catch {
    return false
  }
}

/** Replaces a small file at once, unsynced. Throws where its folder is gone. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await writeFile(temporary, `${JSON.stringify(value)}\n`, { mode: 0o644, flag: 'wx' })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
