import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Context } from '../../context.ts'
import { UserError } from '../../errors.ts'
import type { MountNamespace } from '../../disk/namespace.ts'
import type { Report } from '../../profile/report.ts'
import { run, shellQuote } from '../../system/run.ts'
import { needTool } from '../../system/tools.ts'
import type { Cleanup } from '../../util/cleanup.ts'
import type { BakeJob, BakeSession, SealedDisk, Tuning } from '../engine.ts'
import { bootMachine, type Machine } from './machine.ts'
import type { ContainerNetwork } from './network.ts'
import { dropWork, mountOverlay, prepareLayer, upperIn, type OverlayPlace } from './overlay.ts'
import type { LayerWriter } from './write-back.ts'

/** What a kept state needs besides its files. */
export interface ContainerNote {
  /** Or cloud-init would take the next boot for a new machine. */
  readonly instanceId: string
}

/** What a session is made of; the engine makes it. */
export interface SessionParts {
  readonly context: Context
  readonly job: BakeJob
  readonly namespace: MountNamespace
  readonly network: ContainerNetwork
  readonly place: OverlayPlace
  /** The base's root as this process sees it. */
  readonly baseRoot: string
  readonly readOnly: readonly { readonly source: string; readonly target: string }[]
  /** Layers of the state to go on from, the lowest first. */
  readonly chain: readonly string[]
  readonly layer: string
  readonly work: string
  readonly note: ContainerNote
  readonly proxy: string | undefined
  readonly consoleLog: string
  readonly startWriter: (thin: boolean) => LayerWriter
  /** What `seal` will be asked for, as far as that is known. */
  readonly thin: boolean
  readonly cleanup: Cleanup
}

/** What boot tunings write that is large: not what the step adds that runs beside them. Patterns of du. */
const tunedFiles = ['boot/initrd.img-*', 'var/tmp/parbake-initrd.*'] as const

/** Powering off and booting again. */
const keepSeconds = 1.5

export class ContainerSession implements BakeSession {
  readonly accelerator = 'native'
  readonly keepSeconds = keepSeconds
  readonly consoleLog: string
  readonly #parts: SessionParts
  #layers: readonly string[]
  #machine: Machine | undefined
  /** Puts what is done on the disk while the steps go on. */
  #writer: LayerWriter
  #boots = 0
  /** Boot tunings are being applied. */
  #tuning = false
  /** Process 1, for those who want to get in. */
  #initPid = 0

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.consoleLog = parts.consoleLog
    this.#layers = [...parts.chain, parts.layer]
    this.#writer = parts.startWriter(parts.thin)
    this.#writer.write(parts.chain)
    // Whichever is the last one.
    parts.cleanup.defer(() => this.#writer[Symbol.asyncDispose]())
  }

  /** The running system; boots it where it is not: after `keep` it stays off until it is needed. */
  async boot(): Promise<Machine> {
    if (this.#machine !== undefined) return this.#machine
    const { context, work, place, note, proxy } = this.#parts
    this.#boots += 1
    const root = join(work, 'root')
    await prepareLayer(this.#layers.at(-1) ?? '', this.#parts.baseRoot)
    await mountOverlay(place, this.#layers, root, { readOnly: false, reporter: context.reporter })
    const machine = await bootMachine({
      ...{ context, root, job: this.#parts.job, namespace: this.#parts.namespace, network: this.#parts.network },
      ...{ control: join(work, `control-${this.#boots}`), instanceId: note.instanceId },
      ...{ readOnly: this.#parts.readOnly, consoleLog: this.consoleLog },
    })
    this.#machine = machine
    this.#initPid = machine.initPid
    await machine.driver.proxy(proxy)
    return machine
  }

  async runStep(name: string): Promise<Report> {
    const { driver } = await this.boot()
    const beside = this.#tuning ? tunedFiles : []
    const before = await this.#layerBytes(beside)
    const report = await driver.run(name)
    // The agent sees the file system grow, and this machine writes other things to it.
    const diskBytes = Math.max(0, (await this.#layerBytes(beside)) - before)
    return { ...report, steps: report.steps.map((step) => (step.name === name ? { ...step, diskBytes } : step)) }
  }

  async tune(names: readonly string[]): Promise<Tuning> {
    const { driver } = await this.boot()
    await driver.tune(names)
    this.#tuning = true
    return {
      ended: async () => {
        await driver.tuned()
        this.#tuning = false
      },
    }
  }

  async keep(
    nextLayer: string,
  ): Promise<{ readonly sizeBytes: number; readonly note: { readonly instanceId: string } }> {
    const present = this.#layers.at(-1) ?? ''
    const machine = await this.boot()
    await this.#stop(machine, () => machine.powerOff())
    const upper = upperIn(present)
    const { signal } = this.#parts.context
    // It was written without syncs, and is to be there after a loss of power or not at all.
    await run(await needTool('sync'), ['--file-system', upper], { signal })
    const sizeBytes = await this.#layerBytes()
    this.#writer.write(this.#layers)
    this.#layers = [...this.#layers, nextLayer]
    return { sizeBytes, note: { instanceId: this.#parts.note.instanceId } }
  }

  async #layerBytes(exclude: readonly string[] = []): Promise<number> {
    const { signal } = this.#parts.context
    const upper = upperIn(this.#layers.at(-1) ?? '')
    // Where the system runs, files go away while they are looked at.
    const patterns = exclude.map((pattern) => `--exclude=${pattern}`)
    const { stdout } = await run(await needTool('du'), ['-s', '--block-size=1', ...patterns, upper], {
      allowFailure: true,
      signal,
    })
    return Number(stdout.split('\t')[0])
  }

  /** Ends the system by `end` and takes its root apart. */
  async #stop(machine: Machine, end: () => Promise<void>): Promise<void> {
    await end()
    this.#machine = undefined
    await machine[Symbol.asyncDispose]()
    await this.#parts.namespace.run('umount', [join(this.#parts.work, 'root')])
    await dropWork(this.#layers.at(-1) ?? '')
  }

  async shell(): Promise<void> {
    await this.boot()
    const [command, ...args] = await this.#enterArgv()
    const child = spawn(command, args, { stdio: 'inherit' })
    await new Promise<void>((resolve, reject) => {
      child.once('close', () => resolve())
      child.once('error', (error) => reject(new UserError(`cannot enter the container: ${error.message}`)))
    })
  }

  enterCommand(): string {
    return this.#argvOf('nsenter').map(shellQuote).join(' ')
  }

  async #enterArgv(): Promise<readonly [string, ...string[]]> {
    return this.#argvOf(await needTool('nsenter'))
  }

  #argvOf(nsenter: string): readonly [string, ...string[]] {
    const script = 'cd; exec "$(command -v bash || echo sh)" -l'
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    const environment = ['env', '-i', 'HOME=/root', 'USER=root', `TERM=${process.env['TERM'] ?? 'linux'}`, path]
    return [nsenter, '--target', String(this.#initPid), '--all', '--', ...environment, 'sh', '-c', script]
  }

  async seal({ imageId, thin }: { readonly imageId: string; readonly thin: boolean }): Promise<SealedDisk> {
    const machine = await this.boot()
    await machine.driver.seal(imageId)
    await this.#stop(machine, () => machine.poweredOff())
    if (this.#writer.isThin !== thin) {
      await this.#writer[Symbol.asyncDispose]()
      this.#writer = this.#parts.startWriter(thin)
    }
    return this.#writer.finish(this.#layers)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const machine = this.#machine
    this.#machine = undefined
    try {
      await machine?.[Symbol.asyncDispose]()
    } finally {
      await this.#parts.cleanup[Symbol.asyncDispose]()
    }
  }
}
