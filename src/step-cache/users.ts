import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeJson } from './entry.ts'

const userSchema = z.object({
  v: z.literal(1),
  pid: z.number().int(),
  /** Ticks after boot at which it started: a later process with its number has another. */
  startTime: z.string(),
  bootId: z.string(),
  /** Process numbers mean something in their own namespace only. */
  pidNamespace: z.string(),
  /** States that it builds on or has kept. */
  pins: z.array(z.string()),
  /** Folders that it writes to. */
  reserved: z.array(z.string()),
})

/** A process that uses the cache: `<cacheDir>/steps/users/<name>`. */
export type CacheUser = Readonly<z.infer<typeof userSchema>>

/** The machine and the process as `CacheUser` has them. */
export interface Here {
  readonly bootId: string
  readonly pidNamespace: string
  /** Start time of a process, or undefined where there is none. */
  startTime(pid: number): Promise<string | undefined>
}

/** From which a user in another process namespace, whom nobody can ask, counts as gone. */
const forgottenAfterMs = 7 * 86_400_000

/** Where this process runs. */
export async function whereWeAre(): Promise<Here> {
  const [bootId, pidNamespace] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown'),
    readlink('/proc/self/ns/pid').catch(() => ''),
  ])
  return { bootId: bootId.trim(), pidNamespace, startTime }
}

async function startTime(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // Field 22; the second one, the name in parentheses, may hold blanks and parentheses.
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}

/** Is that process still there? */
export async function isThere(user: CacheUser, here: Here, ageMs: number): Promise<boolean> {
  if (user.bootId !== here.bootId) return false
  if (user.pidNamespace !== here.pidNamespace || user.startTime === '') return ageMs < forgottenAfterMs
  return (await here.startTime(user.pid)) === user.startTime
}

/** Who uses the cache; files of those who are gone are removed unless `sweep` is false. */
export async function readUsers(folder: string, here: Here, sweep = true): Promise<readonly CacheUser[]> {
  const names = await readdir(folder).catch(() => [])
  const users = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      const user = await readUser(path)
      const ageMs = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0)
      if (user !== undefined && (await isThere(user, here, ageMs))) return user
      // A temporary file may be of a moment ago.
      if (sweep && (user !== undefined || ageMs > 60_000)) await rm(path, { force: true })
      return undefined
    }),
  )
  return users.filter((user) => user !== undefined)
}

async function readUser(path: string): Promise<CacheUser | undefined> {
  try {
    const result = userSchema.safeParse(JSON.parse(await readFile(path, 'utf8')))
    return result.success ? result.data : undefined
  } catch {
    return undefined
  }
}

/** Writes down what a process uses. */
export async function writeUser(path: string, user: CacheUser): Promise<void> {
  await writeJson(path, user)
}

/** All that is in use. */
export function claimsOf(users: readonly CacheUser[]): ReadonlySet<string> {
  return new Set(users.flatMap(({ pins, reserved }) => [...pins, ...reserved]))
}
