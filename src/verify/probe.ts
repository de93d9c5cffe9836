import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { UserError } from '../errors.ts'
import { reportSchema, type Report } from '../profile/report.ts'
import type { LineMatch } from '../vm/line-log.ts'
import { parseInventory, type Inventory } from './inventory.ts'

/** The host's side of the line that bootstrap/inventory.sh is spoken to through. */
export interface ProbeLine {
  /** How many lines have come. */
  readonly channelCount: number
  sendChannelLine(line: string): void
  waitForChannelLine(pattern: RegExp, seconds: number, from?: number): Promise<LineMatch>
}

/** KVM seconds. */
const limits = { here: 60, settle: 300, report: 30, converge: 300, print: 120 } as const

/** bootstrap/inventory.sh, as it is. */
export function inventoryScript(): string {
  return readFileSync(new URL('../../bootstrap/inventory.sh', import.meta.url), 'utf8')
}

/** Speaks bootstrap/inventory.sh's protocol. Every line that comes must be given to `push`, in order, from the start. */
export class Probe {
  readonly #role: string
  readonly #receiver = new InventoryReceiver()
  #line: ProbeLine | undefined

  constructor(role: string) {
    this.#role = role
  }

  /** Resolves when the probe runs in the guest at the other end of this line. */
  async attach(line: ProbeLine): Promise<void> {
    this.#line = line
    await line.waitForChannelLine(/^here$/, limits.here)
  }

  push(line: string): void {
    this.#receiver.push(line)
  }

  /** Waits until the boot is over and nothing is at work any more, 300 s at the longest unless told otherwise. */
  async settle(seconds: number = limits.settle): Promise<void> {
    await this.#ask('settle', /^settled$/, seconds)
  }

  /** The report of the last converge; undefined where there is none. */
  async report(): Promise<Report | undefined> {
    return this.#reportOf(await this.#ask('report', /^report ?(.*)$/))
  }

  async converge(): Promise<Report> {
    const report = this.#reportOf(await this.#ask('converge', /^report ?(.*)$/))
    if (report !== undefined) return report
    throw new UserError(`the second converge of the host from the ${this.#role} left no report`, { code: 'no-report' })
  }

  async inventory(): Promise<Inventory> {
    await this.#ask('print', /^print-end$/)
    return parseInventory(this.#receiver.text(this.#role), this.#role)
  }

  #reportOf({ match }: LineMatch): Report | undefined {
    const text = match[1] ?? ''
    return text === '' ? undefined : reportSchema.parse(JSON.parse(text))
  }

  async #ask(command: keyof typeof limits, answer: RegExp, seconds: number = limits[command]): Promise<LineMatch> {
    const line = this.#line
    if (line === undefined) throw new TypeError('the probe has no line yet')
    const from = line.channelCount
    line.sendChannelLine(command)
    const found = await line.waitForChannelLine(new RegExp(`${answer.source}|^(?:print-)?failed .*$`), seconds, from)
    if (answer.test(found.line)) return found
    throw new UserError(`the host from the ${this.#role} could not ${command}: ${found.line}`, { code: 'probe-failed' })
  }
}

/** Puts the inventory together again from the lines that carried it. */
export class InventoryReceiver {
  #pieces: string[] | undefined
  #text: string | undefined

  push(line: string): void {
    if (line === 'print-begin') {
      this.#pieces = []
    } else if (line === 'print-end' && this.#pieces !== undefined) {
      this.#text = this.#pieces.join('')
      this.#pieces = undefined
    } else {
      this.#pieces?.push(line)
    }
  }

  /** Throws UserError where no whole inventory has come. */
  text(role: string): string {
    try {
      return gunzipSync(Buffer.from(this.#text ?? '', 'base64')).toString('utf8')
    } catch (error) {
      throw new UserError(`the inventory of the host from the ${role} did not arrive whole`, {
        cause: error,
        code: 'inventory-damaged',
      })
    }
  }
}
