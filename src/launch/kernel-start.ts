/**
 * Finds out on the host's clock when a guest's kernel started: lines of the console that bear the guest's uptime, as
 * those of the kernel and of the journal do (`[   12.345678] …`), cannot arrive before that uptime has passed, and the
 * promptest of them arrives just then.
 */
export class KernelStart {
  #earliestMs: number | undefined

  /** Takes a line that arrived at `atMs`. */
  see(line: string, atMs: number): void {
    const match = /(?:^|: )\[ *(\d+\.\d{6})\] /.exec(line)
    if (match === null) return
    const startMs = atMs - Number(match[1]) * 1000
    if (this.#earliestMs === undefined || startMs < this.#earliestMs) this.#earliestMs = startMs
  }

  /** On the clock of `atMs`; undefined where no line told. */
  get earliestMs(): number | undefined {
    return this.#earliestMs
  }
}
