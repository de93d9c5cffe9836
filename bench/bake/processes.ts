import { readdirSync, readFileSync } from 'node:fs'

export interface ProcessFacts {
  readonly parent: number
  /** Ticks after boot: tells a process from a later one with the same number. */
  readonly startTime: string
  readonly state: string
}

/** The text of a file of /proc, or an empty one where its process has gone. */
export function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** All processes, by number. Reads without waiting: hundreds of small reads in other threads cost ten times as much. */
export function processes(): ReadonlyMap<number, ProcessFacts> {
  const found = new Map<number, ProcessFacts>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const stat = readProc(`/proc/${entry}/stat`)
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
  look(): readonly number[] {
    const all = processes()
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
