import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { InterruptedError, UserError } from '../errors.ts'
import { lastLines } from '../system/run.ts'
import { tempDir, type TempDir } from '../system/temp.ts'
import { tcg, type Accelerator } from './accelerator.ts'
import { ownFlash } from './firmware.ts'
import { LineLog, type LineMatch } from './line-log.ts'
import { qemuArgs } from './qemu-args.ts'
import { expectSocket, startQemu, type Exit, type ExpectedSocket, type QemuProcess } from './qemu-process.ts'
import { QmpClient } from './qmp.ts'
import { machineOf, type VmOptions } from './vm-options.ts'

export type { VmOptions } from './vm-options.ts'

/** A running virtual machine. Disposing it always leaves no process and no socket. */
export interface Vm extends AsyncDisposable {
  readonly pid: number
  /** performance.now() when QEMU was started: power-on. */
  readonly startedAtMs: number
  /** What it really runs with, after a fall-back to TCG. */
  readonly accelerator: Accelerator
  readonly qmp: QmpClient
  /** With the option `shell`: the unix socket of the second serial port; it takes one client at a time. */
  readonly shellSocket: string
  /** Resolves when QEMU is gone, for whatever reason. */
  readonly exited: Promise<Exit>
  /**
   * The first line of the serial console that matches, earlier ones included. Throws UserError with the end of the
   * console after `seconds` or when the VM ends, InterruptedError when the signal fired.
   */
  waitForLine(pattern: RegExp, seconds: number): Promise<LineMatch>
  /** The same for lines from the channel; with `from`, a `channelCount`, only for those that came after it. */
  waitForChannelLine(pattern: RegExp, seconds: number, from?: number): Promise<LineMatch>
  /** How many lines have come from the channel. */
  readonly channelCount: number
  /** Writes a line to the guest's side of the channel. */
  sendChannelLine(line: string): void
  /** The last lines of the serial console. */
  screenTail(count: number): readonly string[]
  /** Presses the power button, then ends QEMU in order, then by force. True if the guest powered off by itself. */
  powerOff(seconds?: number): Promise<boolean>
  /** Ends QEMU at once and waits until it is gone. */
  kill(): Promise<void>
}

/** Milliseconds; what is longer fires at once. */
const longestTimer = 2 ** 31 - 1

/** Under KVM a guest that prints nothing for so long hangs, as it does under a KVM that cannot run Linux. */
const silentSeconds = 12

/**
 * An emulated guest whose boot loader has spoken and whose kernel has not after so long hangs: Linux on two emulated
 * processors was seen to, once in some hundred boots, with both of them busy. A kernel takes 3 s to speak, a quiet one 25 s.
 */
const hungSeconds = 90

/** What boot loaders and firmware print; any other line is the kernel's, or of what it runs. */
const loaderLine = /^\s*(?:$|Booting |GRUB|Welcome to GRUB|SeaBIOS|BdsDxe|UEFI )/

/** As `startVm`, for a disk with an operating system: an emulated kernel that hangs before it says anything is started again, once. */
export async function startGuest(options: VmOptions): Promise<Vm> {
  const vm = await start(options)
  if (vm.accelerator.name !== 'tcg' || !(await vm.hangsEarly(options.hungSeconds ?? hungSeconds))) return vm
  await vm.kill()
  options.signal?.throwIfAborted()
  options.reporter?.emit({
    type: 'warning',
    text: 'the emulated machine hung before its kernel said anything; starting it again',
    hint: `the boot loader's output is at the beginning of ${options.consoleLog}`,
  })
  return RunningVm.launch(options, vm.accelerator)
}

/** Starts QEMU. Resolves when its control socket answers (and, under KVM, the guest has printed something). */
export function startVm(options: VmOptions): Promise<Vm> {
  return start(options)
}

async function start(options: VmOptions): Promise<RunningVm> {
  options.signal?.throwIfAborted()
  const vm = await RunningVm.launch(options, options.accelerator)
  if (options.accelerator.name === 'tcg' || options.paused === true || options.incoming === true) return vm
  const obstacle = await vm.silence(silentSeconds)
  if (obstacle === undefined) return vm
  await vm.kill()
  options.signal?.throwIfAborted()
  options.reporter?.emit({
    type: 'warning',
    text: `KVM does not work here (${obstacle}); emulating instead, about ten times slower`,
    hint: "set vm.accelerator to 'tcg' in parbake.yaml to skip the attempt",
  })
  return RunningVm.launch(options, tcg(`${obstacle} under KVM`))
}

interface Parts {
  readonly options: VmOptions
  readonly accelerator: Accelerator
  readonly sockets: TempDir
  readonly process: QemuProcess
  readonly console: LineLog
  readonly channelLog: LineLog
}

class RunningVm implements Vm {
  readonly accelerator: Accelerator
  readonly pid: number
  readonly startedAtMs: number
  readonly exited: Promise<Exit>
  readonly #parts: Parts
  readonly #timer: NodeJS.Timeout
  readonly #onAbort: () => void
  /** Why parbake itself ended the VM. */
  #reason: Error | undefined
  #qmp: QmpClient | undefined
  #channel: Socket | undefined

  private constructor(parts: Parts) {
    const { options, accelerator, process } = parts
    this.#parts = parts
    this.accelerator = accelerator
    this.pid = process.pid
    this.startedAtMs = process.startedAtMs
    const seconds = options.timeoutSeconds * accelerator.timeFactor
    this.#timer = setTimeout(
      () => this.#end(() => this.#failure(`the VM ran longer than ${seconds} s and was ended`, 'vm-timeout')),
      Math.min(seconds * 1000, longestTimer),
    )
    this.#onAbort = () => this.#end(() => new InterruptedError())
    options.signal?.addEventListener('abort', this.#onAbort)
    this.exited = this.#settle()
  }

  static async launch(options: VmOptions, accelerator: Accelerator): Promise<RunningVm> {
    const sockets = await tempDir('vm')
    const expected: ExpectedSocket[] = []
    try {
      const qmpSocket = await expectSocket(join(sockets.path, 'qmp'))
      expected.push(qmpSocket)
      const channelSocket = options.channel === true ? await expectSocket(join(sockets.path, 'channel')) : undefined
      if (channelSocket !== undefined) expected.push(channelSocket)
      const uefi = options.firmware === 'uefi' ? await ownFlash(sockets.path) : undefined
      const console = new LineLog(options.onLine)
      const process = await startQemu({
        args: qemuArgs(
          machineOf(options, accelerator, {
            qmpSocket: qmpSocket.path,
            ...(channelSocket !== undefined && { channelSocket: channelSocket.path }),
            ...(options.shell === true && { shellSocket: join(sockets.path, 'shell') }),
            ...(uefi !== undefined && { uefi }),
          }),
        ),
        consoleLog: options.consoleLog,
        onConsole: (chunk) => console.push(chunk),
      })
      const channelLog = new LineLog(options.onChannelLine)
      const vm = new RunningVm({ options, accelerator, sockets, process, console, channelLog })
      await vm.#connect(qmpSocket, channelSocket)
      return vm
    } catch (error) {
      for (const socket of expected) socket.close()
      await sockets[Symbol.asyncDispose]()
      throw error
    }
  }

  async #connect(qmpSocket: ExpectedSocket, channelSocket: ExpectedSocket | undefined): Promise<void> {
    // The signal may have fired while QEMU was being started.
    if (this.#parts.options.signal?.aborted === true) this.#onAbort()
    const gone = this.exited.then((exit) => {
      throw this.#exitFailure(exit)
    })
    try {
      if (channelSocket !== undefined) {
        this.#channel = await Promise.race([channelSocket.connected, gone])
        this.#channel.on('data', (chunk: Buffer) => this.#parts.channelLog.push(chunk))
        this.#channel.on('error', () => {})
      }
      this.#qmp = await Promise.race([qmpSocket.connected.then((socket) => QmpClient.start(socket)), gone])
    } catch (error) {
      await this.kill()
      // What QEMU said at its end tells more than a closed socket does.
      throw error instanceof UserError && error.code === 'qmp-closed' ? this.#exitFailure(await this.exited) : error
    }
    gone.catch(() => {})
  }

  get qmp(): QmpClient {
    if (this.#qmp === undefined) throw new Error('the VM is not connected yet')
    return this.#qmp
  }

  get shellSocket(): string {
    return join(this.#parts.sockets.path, 'shell')
  }

  waitForLine(pattern: RegExp, seconds: number): Promise<LineMatch> {
    return this.#wait(this.#parts.console, pattern, seconds, 'the console')
  }

  waitForChannelLine(pattern: RegExp, seconds: number, from = 0): Promise<LineMatch> {
    return this.#wait(this.#parts.channelLog, pattern, seconds, 'the channel', from)
  }

  get channelCount(): number {
    return this.#parts.channelLog.count
  }

  #wait(log: LineLog, pattern: RegExp, seconds: number, where: string, from = 0): Promise<LineMatch> {
    const allowed = seconds * this.accelerator.timeFactor
    const late = () =>
      this.#failure(`nothing like ${String(pattern)} came on ${where} within ${allowed} s`, 'vm-timeout')
    return log.waitFor(pattern, allowed * 1000, late, from)
  }

  sendChannelLine(line: string): void {
    this.#channel?.write(`${line}\n`)
  }

  screenTail(count: number): readonly string[] {
    return this.#parts.console.tail(count)
  }

  /** Why the guest seems not to run at all, or undefined as soon as it prints something. */
  async silence(seconds: number): Promise<string | undefined> {
    const seen = await this.#watch(seconds, () => this.#parts.console.started)
    if (seen === 'seen') return undefined
    if (seen === 'late') return `the guest printed nothing for ${seconds} s`
    return `QEMU ended with ${seen.signal ?? seen.code ?? 'no exit code'}`
  }

  /** True where the boot loader, if there is one, printed something and nothing came after it; false as soon as anything does, or QEMU ends. */
  async hangsEarly(seconds: number): Promise<boolean> {
    const { console } = this.#parts
    const seen = await this.#watch(seconds, () =>
      console.tail(console.count + 1).some((line) => !loaderLine.test(line)),
    )
    // A kernel that QEMU starts has no boot loader that could say something before it.
    return seen === 'late' && (console.started || this.#parts.options.directKernel !== undefined)
  }

  /** Looks at the console until there is what is looked for, or QEMU has ended. Throws why parbake itself ended it. */
  async #watch(seconds: number, there: () => boolean): Promise<'seen' | 'late' | Exit> {
    const deadline = performance.now() + seconds * 1000
    let exit: Exit | undefined
    void this.exited.then((value) => (exit = value))
    while (!there()) {
      if (this.#reason !== undefined) throw this.#reason
      if (exit !== undefined) return exit
      if (performance.now() > deadline) return 'late'
      await sleep(50)
    }
    return 'seen'
  }

  async powerOff(seconds = 60): Promise<boolean> {
    try {
      await this.qmp.execute('system_powerdown')
    } catch {
      // It is on its way out already, or will be ended below.
    }
    if (await this.#goneWithin(seconds * this.accelerator.timeFactor)) return true
    await this.qmp.execute('quit').catch(() => {})
    if (!(await this.#goneWithin(10))) await this.kill()
    return false
  }

  async #goneWithin(seconds: number): Promise<boolean> {
    const timer = new AbortController()
    const expired = sleep(seconds * 1000, false, { signal: timer.signal }).catch(() => false)
    const gone = await Promise.race([this.exited.then(() => true), expired])
    timer.abort()
    return gone
  }

  async kill(): Promise<void> {
    this.#parts.process.kill()
    await this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  #end(reason: () => Error): void {
    this.#reason ??= reason()
    this.#parts.process.kill()
  }

  async #settle(): Promise<Exit> {
    const exit = await this.#parts.process.exited
    clearTimeout(this.#timer)
    this.#parts.options.signal?.removeEventListener('abort', this.#onAbort)
    const failure = this.#exitFailure(exit)
    this.#parts.console.end(failure)
    this.#parts.channelLog.end(failure)
    this.#qmp?.close()
    this.#channel?.destroy()
    await this.#parts.sockets[Symbol.asyncDispose]()
    return exit
  }

  #exitFailure(exit: Exit): Error {
    if (this.#reason !== undefined) return this.#reason
    const said = this.#parts.process.stderr()
    const how = exit.signal === null ? `exit code ${exit.code ?? 'unknown'}` : exit.signal
    return this.#failure(`the VM ended (${how})${said === '' ? '' : `; QEMU said:\n${lastLines(said, 5)}`}`, 'vm-ended')
  }

  #failure(message: string, code: string): UserError {
    const tail = this.screenTail(15)
    const shown =
      tail.length === 0 ? 'The console is empty.' : `The console ended with:\n${lastLines(tail.join('\n'), 15)}`
    return new UserError(`${message}\n${shown}`, {
      hint: `the whole console is in ${this.#parts.options.consoleLog}`,
      code,
    })
  }
}
