import { constants, closeSync, openSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { run } from '../../system/run.ts'
import { needTool } from '../../system/tools.ts'
import { LineLog, type LineMatch } from '../../vm/line-log.ts'
import { UserError } from '../../errors.ts'

/** Names of the FIFOs in the control folder, from the system's point of view. */
export const portFiles = { in: 'in', out: 'out' } as const

/** The host's side of the two FIFOs that the driver is spoken to through. */
export class Port {
  readonly #log: LineLog
  readonly #in: number
  readonly #out: Socket
  #open = true

  /** Makes the FIFOs in a folder and opens them, before anybody in the container can put something else there. */
  static async create(folder: string, onLine: (line: string) => void): Promise<Port> {
    const paths = [join(folder, portFiles.in), join(folder, portFiles.out)]
    await run(await needTool('mkfifo'), ['-m', '600', ...paths])
    return new Port(paths[0] ?? '', paths[1] ?? '', onLine)
  }

  private constructor(inPath: string, outPath: string, onLine: (line: string) => void) {
    this.#log = new LineLog(onLine)
    // Both ends of both: so opening waits for nobody, and the end of the output is told by the end of the container.
    // The driver sees the end of its input when this process ends.
    const flags = constants.O_RDWR | constants.O_NONBLOCK
    this.#in = openSync(inPath, flags)
    this.#out = new Socket({ fd: openSync(outPath, flags), readable: true, writable: false })
    this.#out.on('data', (chunk: Buffer) => this.#log.push(chunk))
    this.#out.on('error', () => {})
  }

  get channelCount(): number {
    return this.#log.count
  }

  sendChannelLine(line: string): void {
    if (this.#open) writeSync(this.#in, `${line}\n`)
  }

  /** The first line that matches, `seconds` at the longest. Throws UserError, or what `end` was given. */
  waitForChannelLine(pattern: RegExp, seconds: number, from = 0): Promise<LineMatch> {
    const late = () =>
      new UserError(`nothing like ${String(pattern)} came from the container within ${seconds} s`, {
        code: 'container-timeout',
      })
    return this.#log.waitFor(pattern, Math.min(seconds * 1000, 2 ** 31 - 1), late, from)
  }

  /** Whoever waits, now or later, gets this error. */
  end(failure: Error): void {
    this.#log.end(failure)
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#out.destroy()
    closeSync(this.#in)
  }
}
