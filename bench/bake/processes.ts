import { readdir, readFile } from 'node:fs/promises'

export interface ProcessFacts {
  readonly parent: number
  /** Ticks after boot: tells a process from a later one with the same number. */
  readonly startTime: string
  readonly state: string
}

/** All processes, by number. */
export async function processes(): Promise<ReadonlyMap<number, ProcessFacts>> {
  const found = new Map<number, ProcessFacts>()
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '')
    // The name in parentheses may hold anything.
    const [state, parent, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const startTime = rest[17]
    if (state === undefined || parent === undefined || startTime === undefined) continue
    found.set(Number(entry), { state, parent: Number(parent), startTime })
  }
  return found
}

/** A program and all that ever came from it, as far as somebody looked in time: also what has lost its parent since. */
export class Family {
  readonly #root: number
  /** Start time by number. */
  readonly #members = new Map<number, string>()

  constructor(root: number) {
    this.#root = root
  }

  /** Looks for new members, and hands over those that are there now. */
  async look(): Promise<readonly number[]> {
    const all = await processes()
    const isThere = (pid: number) => {
      const startTime = all.get(pid)?.startTime
      return startTime !== undefined && this.#members.get(pid) === startTime
    }
    const root = all.get(this.#root)
    if (this.#members.size === 0 && root !== undefined) this.#members.set(this.#root, root.startTime)
    for (let grown = true; grown;) {
      grown = false
      for (const [pid, { parent, startTime }] of all) {
        if (isThere(pid) || !isThere(parent)) continue
        this.#members.set(pid, startTime)
        grown = true
      }
    }
    return [...this.#members.keys()].filter(isThere)
  }

  /** Was this process ever seen as a member? */
  has(pid: number, startTime: string): boolean {
    return this.#members.get(pid) === startTime
  }
}
