import { StringDecoder } from 'node:string_decoder'

/** A line as it was received. `atMs` is performance.now() of the moment when its end came. */
export interface TimedLine {
  readonly line: string
  readonly atMs: number
}

export interface LineMatch extends TimedLine {
  readonly match: RegExpExecArray
}

interface Waiter {
  readonly pattern: RegExp
  readonly resolve: (match: LineMatch) => void
  readonly reject: (error: Error) => void
}

/** Lines kept for waits that come late and for error messages; the whole output is in the console log. */
const keptLines = 20_000

/** Cuts a stream of bytes into clean lines, keeps them and lets callers wait for one. */
export class LineLog {
  readonly #decoder = new StringDecoder('utf8')
  readonly #lines: TimedLine[] = []
  readonly #waiters = new Set<Waiter>()
  readonly #onLine: (line: string) => void
  #partial = ''
  #failure: Error | undefined
  /** Lines that are no longer kept. */
  #dropped = 0

  constructor(onLine: (line: string) => void = () => {}) {
    this.#onLine = onLine
  }

  /** True once anything at all was received. */
  get started(): boolean {
    return this.#lines.length > 0 || this.#partial !== ''
  }

  /** How many lines have come so far. */
  get count(): number {
    return this.#dropped + this.#lines.length
  }

  push(chunk: Buffer): void {
    this.#partial += this.#decoder.write(chunk)
    const pieces = this.#partial.split('\n')
    this.#partial = pieces.pop() ?? ''
    for (const piece of pieces) this.#add(cleanLine(piece))
  }

  #add(line: string): void {
    const timed = { line, atMs: performance.now() }
    this.#lines.push(timed)
    if (this.#lines.length > keptLines) this.#dropped += this.#lines.splice(0, keptLines / 4).length
    this.#onLine(line)
    for (const waiter of this.#waiters) {
      const match = waiter.pattern.exec(line)
      if (match !== null) {
        this.#waiters.delete(waiter)
        waiter.resolve({ ...timed, match })
      }
    }
  }

  /** The end of what came, with an unfinished line such as a prompt. */
  tail(count: number): readonly string[] {
    const lines = this.#lines.slice(-count).map(({ line }) => line)
    return this.#partial === '' ? lines : [...lines, cleanLine(this.#partial)].slice(-count)
  }

  /**
   * The first line that matches, among those already there too but for the first `from`. Rejects with `timeoutError()` after `milliseconds`, or
   * with the failure when the stream ended.
   */
  async waitFor(pattern: RegExp, milliseconds: number, timeoutError: () => Error, from = 0): Promise<LineMatch> {
    // A sticky or global pattern would carry its position from one line to the next.
    const stateless = new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ''))
    for (const timed of this.#lines.slice(Math.max(0, from - this.#dropped))) {
      const match = stateless.exec(timed.line)
      if (match !== null) return { ...timed, match }
    }
    if (this.#failure !== undefined) throw this.#failure
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        pattern: stateless,
        resolve: (match) => {
          clearTimeout(timer)
          resolve(match)
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      }
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter)
        reject(timeoutError())
      }, milliseconds)
      this.#waiters.add(waiter)
    })
  }

  /** The stream has ended: whoever waits, now or later, gets this error. */
  end(failure: Error): void {
    if (this.#partial !== '') this.#add(cleanLine(this.#partial))
    this.#partial = ''
    this.#failure = failure
    for (const waiter of this.#waiters) waiter.reject(failure)
    this.#waiters.clear()
  }
}

/** Terminal control sequences: CSI, OSC, two-character escapes. */
// oxlint-disable-next-line no-control-regex
const escapes = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_78=>c])/g

/** A console line without carriage returns, escape sequences and other control characters. */
export function cleanLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(escapes, '').replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '')
}
