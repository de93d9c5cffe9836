import { mkdir } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { makeCgroups } from '../../bake/container/cgroup.ts'
import { openNetwork, type ContainerNetwork } from '../../bake/container/network.ts'
import { nspawnArgs } from '../../bake/container/nspawn.ts'
import { startNspawn, type NspawnProcess } from '../../bake/container/nspawn-process.ts'
import { Port } from '../../bake/container/port.ts'
import type { Context } from '../../context.ts'
import { InterruptedError, UserError } from '../../errors.ts'
import { openNamespace } from '../../disk/namespace.ts'
import { sweptTempDir, type TempDir } from '../../system/temp.ts'
import { Cleanup } from '../../util/cleanup.ts'
import { Probe } from '../probe.ts'
import { newHostName, writeControl, type HostName } from './control.ts'
import { openRoot, type WritableRoot } from './root.ts'

/** What of a host outlives its boots: its name, its file tree and the network that it is plugged into. */
export interface HostPlace extends AsyncDisposable {
  readonly host: HostName
  readonly root: WritableRoot
  readonly network: ContainerNetwork
  /** A folder of the host's own. */
  readonly work: string
  /** What the container sees as its control folder, for `writeControl` to fill before a boot. */
  readonly control: string
}

/** Prepares a host whose tree begins as that of a raw disk, which is not changed. Needs root. */
export async function openPlace(context: Context, disk: string, name: string): Promise<HostPlace> {
  await using stack = new Cleanup()
  const work = stack.use(await workFolder(context))
  const root = stack.use(await openRoot(context, disk, work.path))
  const router = stack.use(await openNamespace(context, { network: true }))
  const network = stack.use(await openNetwork(context, router))
  const kept = stack.move()
  return {
    host: newHostName(name),
    root,
    network,
    work: work.path,
    control: join(work.path, 'control'),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  }
}

/** Where a host's console goes. */
export interface ConsoleOptions {
  readonly consoleLog: string
  readonly onLine: (line: string) => void
}

export interface BootedContainer extends AsyncDisposable {
  readonly process: NspawnProcess
  /**
   * Gives the system its network. Resolves with process 1 of the container, as this machine counts; to be called again where
   * the system has rebooted.
   */
  attach(): Promise<number>
}

/** Starts what lies in a place, which may have been started before. Disposing it ends everything in it at once. */
export async function startContainer(
  context: Context,
  place: HostPlace,
  console: ConsoleOptions,
): Promise<BootedContainer> {
  await using stack = new Cleanup()
  const { host, root, control, network } = place
  const limits = { memoryBytes: Math.floor(totalmem() / 4) * 3, processes: 16_384 }
  const cgroups = stack.use(await makeCgroups(host.instanceId.slice(-8), limits))
  const args = nspawnArgs({
    ...{ name: host.hostname, hostname: host.hostname, root: root.root, control, readOnly: root.others },
  })
  const container = stack.use(await startNspawn(root.namespace, args, { procsFiles: cgroups.procsFiles, ...console }))
  const kept = stack.move()
  return {
    process: container,
    attach: async () => {
      const pid = await container.initPid(context.signal)
      await network.attach(pid)
      return pid
    },
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  }
}

/** Boots a host with this user-data for the first time and resolves when the probe runs in it. */
export async function bootProbed(
  context: Context,
  place: HostPlace,
  options: ConsoleOptions & { readonly userData: Uint8Array; readonly role: string },
): Promise<AsyncDisposable & { readonly probe: Probe }> {
  const { userData, role, consoleLog } = options
  await using stack = new Cleanup()
  await writeControl(place.control, { userData, host: place.host, net: place.network.net })
  const probe = new Probe(role)
  const port = await Port.create(place.control, (line) => probe.push(line))
  stack.defer(() => port.close())
  const container = stack.use(await startContainer(context, place, options))
  void container.process.exited.then(({ how }) => port.end(ended(how, role, consoleLog)))
  stack.defer(onInterrupt(context, port))
  await container.attach()
  await probe.attach(port)
  const kept = stack.move()
  return { probe, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() }
}

function ended(how: string, role: string, consoleLog: string): UserError {
  return new UserError(`the host from the ${role} ended by itself (${how})`, {
    hint: `the whole console is in ${consoleLog}`,
    code: 'container-ended',
  })
}

/** Whoever waits for the host need not wait any more; hands back what undoes that. */
function onInterrupt({ signal }: Context, port: Port): () => void {
  const interrupt = () => port.end(new InterruptedError())
  signal.addEventListener('abort', interrupt)
  if (signal.aborted) interrupt()
  return () => signal.removeEventListener('abort', interrupt)
}

/** On the cache's file system, which has room. */
export async function workFolder(context: Context): Promise<TempDir> {
  const parent = join(context.config.cacheDir, 'verify')
  await mkdir(parent, { recursive: true, mode: 0o700 })
  return sweptTempDir('verify', parent)
}
