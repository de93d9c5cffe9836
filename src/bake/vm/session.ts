import { rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import { hasCode, UserError } from '../../errors.ts'
import type { Report } from '../../profile/report.ts'
import { saveState, switchDisk } from '../../vm/live-state.ts'
import { diskNode } from '../../vm/qemu-args.ts'
import type { Vm } from '../../vm/vm.ts'
import type { BakeJob, BakeSession, SealedDisk, Tuning } from '../engine.ts'
import { createLayerDisk, diskIn, memoryIn, writeThin } from './disks.ts'
import type { Driver } from './driver.ts'
import type { StateNote } from './note.ts'
import { connectTerminal, joinTerminal, terminalArgument, type UserSide } from './terminal.ts'

/** What a session is made of; the engine makes it. */
export interface SessionParts {
  readonly vm: Vm
  readonly driver: Driver
  readonly job: BakeJob
  readonly note: StateNote
  /** The folder that takes what is written. */
  readonly layer: string
  /** True where the layer's disk lies right on the base. */
  readonly onBase: boolean
  readonly work: string
  readonly consoleLog: string
  readonly enterCommand: string
  readonly context: Pick<Context, 'reporter' | 'signal'>
}

/** Seconds under KVM that a sealed system may take to power off. */
const powerOffSeconds = 60

/** What a first `keep` is expected to take in seconds: writing the memory, wherever the guest runs. */
const firstKeepSeconds = 1.5

export class VmSession implements BakeSession {
  readonly accelerator: string
  readonly consoleLog: string
  readonly #parts: SessionParts
  #layer: string
  #onBase: boolean
  /** The block node that is written to, and how many there were before it. */
  #node: string = diskNode
  #switches = 0
  #keepSeconds = firstKeepSeconds
  /** Resolves when the shell that is open, if any, was left. */
  #openShell: Promise<void> | undefined
  #disposed = false

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.accelerator = parts.vm.accelerator.name
    this.consoleLog = parts.consoleLog
    this.#layer = parts.layer
    this.#onBase = parts.onBase
  }

  get keepSeconds(): number {
    return this.#keepSeconds
  }

  runStep(name: string): Promise<Report> {
    return this.#parts.driver.run(name)
  }

  async tune(names: readonly string[]): Promise<Tuning> {
    const { driver } = this.#parts
    await driver.tune(names)
    return { ended: () => driver.tuned() }
  }

  async keep(nextLayer: string): Promise<{ readonly sizeBytes: number; readonly note: StateNote }> {
    const { vm, driver, note, context } = this.#parts
    const start = performance.now()
    const present = this.#layer
    const [overlay] = await Promise.all([
      createLayerDisk(nextLayer, diskIn(present), note.virtualSizeBytes, context),
      driver.settle(),
    ])
    await vm.qmp.execute('stop')
    // First the disk: a machine whose memory was written gives its disks up until it goes on.
    const next = `${diskNode}-${this.#switches + 1}`
    await switchDisk(vm.qmp, overlay, this.#node, next)
    this.#switches += 1
    this.#node = next
    this.#layer = nextLayer
    this.#onBase = false
    await saveState(vm.qmp, memoryIn(present), vm.accelerator.timeFactor)
    await vm.qmp.execute('cont')
    const sizes = await Promise.all([diskIn(present), memoryIn(present)].map(allocatedBytes))
    this.#keepSeconds = (performance.now() - start) / 1000
    return { sizeBytes: sizes.reduce((sum, size) => sum + size, 0), note }
  }

  async shell(): Promise<void> {
    await this.joinShell({ input: process.stdin, output: process.stdout })
  }

  /** Opens a shell for the given streams, which are this process's own but in tests. */
  async joinShell(user: UserSide): Promise<void> {
    const socket = await connectTerminal(this.#parts.vm.shellSocket)
    const ended = this.#openShell ?? this.#startShell(user.output)
    await joinTerminal(socket, user, ended)
  }

  enterCommand(): string {
    if (this.#openShell === undefined) void this.#serveShells()
    return this.#parts.enterCommand
  }

  async seal({ imageId, thin }: { readonly imageId: string; readonly thin: boolean }): Promise<SealedDisk> {
    const { vm, driver, job, note, work, context } = this.#parts
    await driver.seal(imageId)
    await this.#poweredOff(vm)
    const top = diskIn(this.#layer)
    const path = join(work, 'sealed.qcow2')
    if (!thin || this.#onBase) return { path: await moveTo(top, path), format: 'qcow2' }
    await writeThin({ top, base: job.base.path, target: path, virtualSizeBytes: note.virtualSizeBytes }, context)
    return { path, format: 'qcow2' }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await this.#parts.vm[Symbol.asyncDispose]()
  }

  /** A shell for whoever comes by the socket, and another one after it was left. */
  async #serveShells(): Promise<void> {
    while (!this.#disposed) {
      try {
        await this.#startShell({})
        await sleep(500)
      } catch {
        // The machine has ended.
        return
      }
    }
  }

  #startShell(size: Parameters<typeof terminalArgument>[0]): Promise<void> {
    const ended = this.#parts.driver.shell(terminalArgument(size)).finally(() => (this.#openShell = undefined))
    this.#openShell = ended
    ended.catch(() => {})
    return ended
  }

  /** The disk is whole only if the guest itself powered off after it had sealed. */
  async #poweredOff(vm: Vm): Promise<void> {
    const timer = new AbortController()
    const milliseconds = powerOffSeconds * 1000 * vm.accelerator.timeFactor
    const late = sleep(milliseconds, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const)
    const exit = await Promise.race([vm.exited, late])
    timer.abort()
    this.#parts.context.signal.throwIfAborted()
    if (exit === 'late' || exit.code !== 0) {
      throw new UserError('the sealed system did not power off in order, so its disk cannot be trusted', {
        code: 'bake-failed',
      })
    }
  }
}

async function allocatedBytes(path: string): Promise<number> {
  return (await stat(path)).blocks * 512
}

/** Nothing refers to the top of a chain, so it may move; where it cannot, it stays. */
async function moveTo(from: string, to: string): Promise<string> {
  try {
    await rm(to, { force: true })
    await rename(from, to)
    return to
  } catch (error) {
    if (hasCode(error, 'EXDEV')) return from
    throw error
  }
}
