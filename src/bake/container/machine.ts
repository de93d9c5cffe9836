import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import { InterruptedError, UserError } from '../../errors.ts'
import { squeezeShell } from '../../bundle/squeeze-shell.ts'
import { throwIfInterrupted, type MountNamespace } from '../../disk/namespace.ts'
import { needTool } from '../../system/tools.ts'
import { Cleanup } from '../../util/cleanup.ts'
import { cleanLine } from '../../vm/line-log.ts'
import type { BakeJob } from '../engine.ts'
import { bakeUserData, bootstrapScript, writeMedium } from '../guest-files.ts'
import { Driver } from '../vm/driver.ts'
import { makeCgroups } from './cgroup.ts'
import { networkdUnit, type ContainerNetwork } from './network.ts'
import { driverService, isNoise, nspawnArgs, nspawnEnvironment } from './nspawn.ts'
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
  const port = await Port.create(control, (line) => context.reporter.emit({ type: 'console', source: 'bake', line }))
  stack.defer(() => port.close())
  const name = `parbake-${process.pid}-${options.instanceId.slice(-8)}`
  const cgroups = stack.use(
    await makeCgroups(options.instanceId.slice(-8), { memoryBytes: Math.floor(totalmem() / 4) * 3, processes: 16_384 }),
  )
  const child = await startNspawn(options, name, cgroups.procsFiles)
  const exited = watch(child, options, port)
  const interrupt = () => {
    port.end(new InterruptedError())
    child.kill('SIGKILL')
  }
  context.signal.addEventListener('abort', interrupt)
  stack.defer(async () => {
    context.signal.removeEventListener('abort', interrupt)
    child.kill('SIGKILL')
    await exited
  })
  if (context.signal.aborted) interrupt()
  const initPid = await connectNetwork(options, child)
  const driver = new Driver(port)
  await driver.booted()
  const kept = stack.move()
  const poweredOff = () => waitForPowerOff(context, exited)
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

/** Enters the groups, then becomes what follows. */
const enterScript = 'for file in $1; do echo $$ >"$file" || exit; done; shift; exec "$@"'

async function startNspawn(
  options: MachineOptions,
  name: string,
  procsFiles: readonly string[],
): Promise<ChildProcess> {
  const nspawn = await needTool('systemd-nspawn')
  const unshare = ['--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--', nspawn]
  const command = options.namespace.argv(await needTool('unshare'), [
    ...unshare,
    ...nspawnArgs({
      ...{ name, hostname: bakeHostname, root: options.root, control: options.control },
      readOnly: options.readOnly,
    }),
  ])
  // Each becomes the next up to unshare, so that the kernel ends that when this process ends. nspawn is the first process
  // of a PID namespace of its own, with which everything in it ends: a container survives the death of a mere nspawn.
  const child = spawn(
    await needTool('setpriv'),
    ['--pdeathsig', 'KILL', 'sh', '-c', enterScript, 'enter', procsFiles.join(' '), ...command],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, ...nspawnEnvironment } },
  )
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', () => resolve())
    child.once('error', (error) => reject(new UserError(`systemd-nspawn does not start: ${error.message}`)))
  })
  return child
}

interface Exit {
  readonly code: number | null
}

/** Writes down what the container prints, and ends the port when it is gone. */
function watch(child: ChildProcess, { context, consoleLog }: MachineOptions, port: Port): Promise<Exit> {
  const log = createWriteStream(consoleLog, { flags: 'a', mode: 0o600 })
  log.on('error', () => {})
  let partial = ''
  const onChunk = (chunk: Buffer) => {
    log.write(chunk)
    const lines = `${partial}${chunk.toString()}`.split('\n')
    partial = lines.pop() ?? ''
    for (const line of lines.map(cleanLine)) {
      if (!isNoise(line)) context.reporter.emit({ type: 'console', source: 'bake', line })
    }
  }
  child.stdout?.on('data', onChunk)
  child.stderr?.on('data', onChunk)
  return new Promise((resolve) => {
    child.once('close', (code) => {
      // What the driver said last may not have been read yet.
      setTimeout(() => {
        port.end(
          new UserError(`the container ended by itself${code === 0 ? '' : ` (exit code ${code ?? 'none'})`}`, {
            hint: `the whole console is in ${consoleLog}`,
            code: 'bake-failed',
          }),
        )
        log.end()
        void finished(log)
          .catch(() => {})
          .then(() => resolve({ code }))
      }, 20)
    })
  })
}

async function waitForPowerOff({ signal }: Context, exited: Promise<Exit>): Promise<void> {
  const timer = new AbortController()
  const late = sleep(powerOffSeconds * 1000, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const)
  const exit = await Promise.race([exited, late])
  timer.abort()
  if (signal.aborted) throw new InterruptedError()
  if (exit === 'late' || exit.code !== 0) {
    throw new UserError('the system did not power off in order, so what it wrote cannot be trusted', {
      code: 'bake-failed',
    })
  }
}

/** Waits for the container's own network namespace and gives it its interface; resolves with process 1. */
async function connectNetwork({ context, network, consoleLog }: MachineOptions, child: ChildProcess): Promise<number> {
  const own = await readlink(`/proc/${child.pid ?? 0}/ns/net`).catch(() => '')
  const deadline = performance.now() + 60_000
  while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
    throwIfInterrupted(context.signal)
    const nspawn = await childOf(child.pid ?? 0)
    const pid = nspawn === undefined ? undefined : await childOf(nspawn)
    const its = pid === undefined ? own : await readlink(`/proc/${pid}/ns/net`).catch(() => own)
    if (pid !== undefined && its !== own) {
      await network.attach(pid)
      return pid
    }
    await sleep(5)
  }
  throw new UserError('systemd-nspawn did not start the container', {
    hint: `what it said is in ${consoleLog}`,
    code: 'bake-failed',
  })
}

/** The first child of a process. */
async function childOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const first = /^\d+/.exec(text)?.[0]
  return first === undefined ? undefined : Number(first)
}
