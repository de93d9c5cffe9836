import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../context.ts'
import { UserError } from '../../errors.ts'
import { imageInfo } from '../../image/qemu-img.ts'
import { findTool } from '../../system/tools.ts'
import { Cleanup } from '../../util/cleanup.ts'
import { probeAccelerator, tcg, type Accelerator } from '../../vm/accelerator.ts'
import { loadState } from '../../vm/live-state.ts'
import { startGuest, startVm, type Vm } from '../../vm/vm.ts'
import { hostFromGuest } from '../../vm/user-network.ts'
import type { BakeEngine, BakeJob, OpenOptions } from '../engine.ts'
import { bakeUserData } from '../guest-files.ts'
import { createLayerDisk, diskIn, memoryIn, writePaddedMedium, writePaddedSeed } from './disks.ts'
import { Driver } from './driver.ts'
import { bakeMachine, directKernel, driverPort, mediumDisk, vmFingerprint } from './fingerprint.ts'
import { parseNote, type StateNote } from './note.ts'
import { VmSession } from './session.ts'
import { terminalCommand } from './terminal.ts'

/** Seconds that a whole session may take, on whatever accelerator; every question to the guest has its own, shorter bound. */
const sessionSeconds = 7 * 24 * 3600

/** Bakes in a QEMU virtual machine, between whose steps it takes live snapshots; needs no root. */
export const vmEngine: BakeEngine = {
  name: 'vm',
  keepsBoot: true,
  async obstacle(_job, { config }) {
    for (const tool of ['qemu-system-x86_64', 'qemu-img', 'xorriso', 'zstd']) {
      if ((await findTool(tool)) === undefined) return `there is no ${tool}`
    }
    try {
      await probeAccelerator(config.vm.accelerator)
      return undefined
    } catch (error) {
      if (error instanceof UserError) return error.message
      throw error
    }
  },
  fingerprint: vmFingerprint,
  async open(job, options, context) {
    await using stack = new Cleanup()
    const note = options.from === undefined ? undefined : parseNote(options.from.note)
    const virtualSizeBytes = note?.virtualSizeBytes ?? (await imageInfo(job.base.path, context)).virtualSizeBytes
    const consoleLog = join(context.config.cacheDir, 'logs', `bake-${job.imageId}.log`)
    const vm = stack.use(await start(job, options, { context, note, virtualSizeBytes, consoleLog }))
    const driver = new Driver(vm)
    if (options.from === undefined) {
      await driver.booted()
    } else {
      await loadState(vm.qmp, memoryIn(options.from.folder), vm.accelerator.timeFactor)
      await vm.qmp.execute('cont')
      await driver.clock(Date.now())
    }
    const { packageCache } = options
    await driver.proxy(packageCache && `http://${hostFromGuest}:${packageCache.port}`)
    const session = new VmSession({
      ...{ vm, driver, job, consoleLog, context, layer: options.layer, work: options.work },
      note: { accelerator: vm.accelerator.name, virtualSizeBytes },
      onBase: options.from === undefined,
      enterCommand: await terminalCommand(vm.shellSocket),
    })
    stack.move()
    return session
  },
}

interface StartInput {
  readonly context: Context
  /** Undefined for a cold boot. */
  readonly note: StateNote | undefined
  readonly virtualSizeBytes: number
  readonly consoleLog: string
}

/** Writes the machine's files and starts it: a cold boot, or one that waits for its saved state. */
async function start(job: BakeJob, options: OpenOptions, input: StartInput): Promise<Vm> {
  const { context, note, virtualSizeBytes, consoleLog } = input
  const { config, reporter, signal } = context
  const seed = join(options.work, 'seed.iso')
  const medium = join(options.work, 'medium.iso')
  const backing = options.from === undefined ? job.base.path : diskIn(options.from.folder)
  await mkdir(join(config.cacheDir, 'logs'), { recursive: true })
  const metaData = `instance-id: iid-bake-${randomUUID()}\nlocal-hostname: parbake-bake\n`
  const [disk, accelerator] = await Promise.all([
    createLayerDisk(options.layer, backing, virtualSizeBytes, context),
    acceleratorFor(note, config.vm.accelerator),
    writePaddedMedium(medium, job, context),
    writePaddedSeed(seed, { userData: bakeUserData(driverPort), metaData }, context),
  ])
  // A saved system has long said what it says.
  const begin = options.from === undefined ? startGuest : startVm
  return begin({
    ...bakeMachine,
    ...{ disk, seed, consoleLog, accelerator, reporter, signal },
    extraDisks: [mediumDisk(medium)],
    ...{ memoryMiB: config.vm.memoryMiB, cpus: config.vm.cpus },
    incoming: options.from !== undefined,
    ...(job.base.ready !== undefined && { directKernel: directKernel(job.base.ready, accelerator.name) }),
    timeoutSeconds: sessionSeconds / accelerator.timeFactor,
    onLine: (line) => reporter.emit({ type: 'console', source: 'bake', line }),
  })
}

/** A saved state goes on under what it was saved under. */
async function acceleratorFor(
  note: StateNote | undefined,
  requested: Context['config']['vm']['accelerator'],
): Promise<Accelerator> {
  return note?.accelerator === 'tcg' ? tcg('the saved state is of an emulated machine') : probeAccelerator(requested)
}
