import { UserError } from '../../errors.ts'
import { reportSchema, type Report } from '../../profile/report.ts'
import type { Vm } from '../../vm/vm.ts'

/** Bounds of what the driver in the guest may take, in seconds under KVM. A step has its own bound besides, in the guest. */
const limits = { boot: 300, step: 7200, tune: 900, seal: 300, small: 30 } as const

/** The part of a machine that the driver is spoken to through. */
type Line = Pick<Vm, 'channelCount' | 'sendChannelLine' | 'waitForChannelLine'>

/** The host's side of bootstrap/bake.sh: one question at a time, each bounded in time. */
export class Driver {
  readonly #line: Line

  constructor(line: Line) {
    this.#line = line
  }

  /** Waits for the end of cloud-init in a system that boots. */
  async booted(): Promise<void> {
    const { match } = await this.#line.waitForChannelLine(/^(?:booted|failed (.*))$/, limits.boot)
    if (match[1] !== undefined) throw bakeFailed(match[1])
  }

  /** Sets the guest's clock. */
  async clock(epochMs: number): Promise<void> {
    await this.#ask(`clock ${(epochMs / 1000).toFixed(3)}`, 'clock', limits.small)
  }

  /** Tells the package manager where the download cache is; undefined takes that back. */
  async proxy(url: string | undefined): Promise<void> {
    await this.#ask(`proxy ${url ?? '-'}`, 'proxy', limits.small)
  }

  /** Runs one step, or none with `-`, and resolves with the agent's report, also when the step failed. */
  async run(step: string): Promise<Report> {
    const from = this.#line.channelCount
    this.#line.sendChannelLine(`run ${step}`)
    const end = await this.#line.waitForChannelLine(/^(?:done|failed (.*))$/, limits.step, from)
    // It came before the end, so this does not wait.
    const report = await this.#line.waitForChannelLine(/^report (\{.*)$/, 0.01, from).catch(() => undefined)
    if (report === undefined) throw bakeFailed(end.match[1] ?? `step ${step} ended without a report`)
    return parseReport(report.match[1] ?? '')
  }

  /** Begins to apply boot tunings; the guest takes other questions meanwhile. */
  async tune(names: readonly string[]): Promise<void> {
    await this.#ask(`tune ${names.join(',')}`, 'tuning', limits.small)
  }

  /** Waits until they are applied. */
  async tuned(): Promise<void> {
    await this.#ask('tuned', 'tuned', limits.tune)
  }

  /** Writes out everything, so that the machine can be stopped and saved. */
  async settle(): Promise<void> {
    await this.#ask('settle', 'settled', limits.small)
  }

  /** Seals the system; it powers off by itself after that. */
  async seal(imageId: string): Promise<void> {
    await this.#ask(`seal ${imageId}`, 'sealed', limits.seal)
  }

  /** Opens a shell on a terminal of the guest. The promise that comes with it resolves when the shell was left. */
  shell(terminal: string): Promise<void> {
    const from = this.#line.channelCount
    this.#line.sendChannelLine(`shell ${terminal}`)
    // As long as the user likes: the machine's own bound ends it.
    return this.#line.waitForChannelLine(/^shell-end$/, longest, from).then(() => {})
  }

  async #ask(question: string, answer: string, seconds: number): Promise<void> {
    const from = this.#line.channelCount
    this.#line.sendChannelLine(question)
    const { match } = await this.#line.waitForChannelLine(new RegExp(`^(?:${answer}|failed (.*))$`), seconds, from)
    if (match[1] !== undefined) throw bakeFailed(match[1])
  }
}

/** Seconds under KVM, two days without it. */
const longest = 2 * 24 * 360

function bakeFailed(why: string): UserError {
  return new UserError(`the bake failed: ${why}`, { code: 'bake-failed' })
}

function parseReport(text: string): Report {
  try {
    return reportSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new UserError('the bake failed: the agent sent a malformed report', { code: 'bake-failed', cause: error })
  }
}
