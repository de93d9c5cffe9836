import { mkdir, rm, writeFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import { InterruptedError, UserError } from '../../errors.ts'
import { squeezeShell } from '../../bundle/squeeze-shell.ts'
import type { MountNamespace } from '../../disk/namespace.ts'
import { Cleanup } from '../../util/cleanup.ts'
import type { BakeJob } from '../engine.ts'
import { bakeUserData, bootstrapScript, writeMedium } from '../guest-files.ts'
import { Driver } from '../vm/driver.ts'
import { makeCgroups } from './cgroup.ts'
import { networkdUnit, type ContainerNetwork } from './network.ts'
import { startNspawn, type ContainerEnd } from './nspawn-process.ts'
import { driverService, nspawnArgs } from './nspawn.ts'
import { Port, portFiles } from './port.ts'

export interface MachineOptions {
  readonly context: Context
  readonly job: BakeJob
  readonly namespace: MountNamespace
  readonly network: ContainerNetwork
  /** The root file system, mounted in the namespace. */
  readonly root: string
  /** A folder that does not exist yet. */
  readonly control: string
  readonly instanceId: string
  readonly readOnly: readonly { readonly source: string; readonly target: string }[]
  readonly consoleLog: string
}

/** The host name of every system that is baked. */
export const bakeHostname = 'parbake-bake'

/** Seconds that a system may take to power off in order. */
const powerOffSeconds = 90

/** A booted container. Disposing it ends everything in it at once. */
export interface Machine extends AsyncDisposable {
  readonly driver: Driver
  /** Powers off in order. Throws UserError where that fails. */
  powerOff(): Promise<void>
  /** Resolves when a system that powers off by itself has done so. Throws UserError where it fails to. */
  poweredOff(): Promise<void>
  /** Process 1 of the container, as this machine counts. */
  readonly initPid: number
}

/** Boots the system and resolves when cloud-init has finished in it. */
export async function bootMachine(options: MachineOptions): Promise<Machine> {
  const { context, control } = options
  await using stack = new Cleanup()
  stack.defer(() => rm(control, { recursive: true, force: true }))
  await writeControl(options)
  const onLine = (line: string) => context.reporter.emit({ type: 'console', source: 'bake', line })
  const port = await Port.create(control, onLine)
  stack.defer(() => port.close())
  const name = `parbake-${process.pid}-${options.instanceId.slice(-8)}`
  const cgroups = stack.use(
    await makeCgroups(options.instanceId.slice(-8), { memoryBytes: Math.floor(totalmem() / 4) * 3, processes: 16_384 }),
  )
  const { namespace, root, readOnly, network, consoleLog } = options
  const args = nspawnArgs({ name, hostname: bakeHostname, root, control, readOnly })
  const container = stack.use(
    await startNspawn(namespace, args, { procsFiles: cgroups.procsFiles, consoleLog, onLine }),
  )
  void container.exited.then(async (end) => {
    // What the driver said last may not have been read yet.
    await sleep(20)
    port.end(endedByItself(end, consoleLog))
  })
  const interrupt = () => {
    port.end(new InterruptedError())
    container.kill()
  }
  context.signal.addEventListener('abort', interrupt)
  stack.defer(() => context.signal.removeEventListener('abort', interrupt))
  if (context.signal.aborted) interrupt()
  const initPid = await container.initPid(context.signal)
  await network.attach(initPid)
  const driver = new Driver(port)
  await driver.booted()
  const kept = stack.move()
  const poweredOff = () => waitForPowerOff(context, container.exited)
  return {
    driver,
    poweredOff,
    powerOff: async () => {
      port.sendChannelLine('off')
      await poweredOff()
    },
    initPid,
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  }
}

/** Lays out what the container sees as /run/parbake-bake. */
async function writeControl({ control, job, network, instanceId }: MachineOptions): Promise<void> {
  await mkdir(join(control, 'seed'), { recursive: true })
  await writeMedium(join(control, 'media'), job)
  const files = {
    'bake.sh': squeezeShell(bootstrapScript('bake.sh')),
    'driver.service': driverService(portFiles),
    'eth0.network': networkdUnit(network.net),
    'seed/user-data': bakeUserData(),
    'seed/meta-data': `instance-id: ${instanceId}\nlocal-hostname: ${bakeHostname}\n`,
  }
  for (const [path, content] of Object.entries(files)) await writeFile(join(control, path), content)
}

function endedByItself({ inOrder, how }: ContainerEnd, consoleLog: string): UserError {
  return new UserError(`the container ended by itself${inOrder ? '' : ` (${how})`}`, {
    hint: `the whole console is in ${consoleLog}`,
    code: 'bake-failed',
  })
}

async function waitForPowerOff({ signal }: Context, exited: Promise<ContainerEnd>): Promise<void> {
  const timer = new AbortController()
  const late = sleep(powerOffSeconds * 1000, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const)
  const exit = await Promise.race([exited, late])
  timer.abort()
  if (signal.aborted) throw new InterruptedError()
  if (exit === 'late' || !exit.inOrder) {
    throw new UserError('the system did not power off in order, so what it wrote cannot be trusted', {
      code: 'bake-failed',
    })
  }
}
