import { mkdir } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { baseRaw } from '../../src/bake/container/base-raw.ts'
import { makeCgroups } from '../../src/bake/container/cgroup.ts'
import { openNetwork } from '../../src/bake/container/network.ts'
import { nspawnArgs } from '../../src/bake/container/nspawn.ts'
import { startNspawn } from '../../src/bake/container/nspawn-process.ts'
import { Port } from '../../src/bake/container/port.ts'
import type { Base } from '../../src/base/model.ts'
import type { Context } from '../../src/context.ts'
import { UserError } from '../../src/errors.ts'
import { openNamespace } from '../../src/disk/namespace.ts'
import { Cleanup } from '../../src/util/cleanup.ts'
import { newHostName, writeControl } from '../../src/verify/container/control.ts'
import { openRoot } from '../../src/verify/container/root.ts'
import type { Inventory } from '../../src/verify/inventory.ts'
import { Probe } from '../../src/verify/probe.ts'
import { sweptTempDir } from '../../src/system/temp.ts'

/** Boots the base in a container with this user-data, waits until all is quiet, and looks at what came of it. */
export async function inventoryOf(context: Context, base: Base, userData: string): Promise<Inventory> {
  await using stack = new Cleanup()
  const parent = join(context.config.cacheDir, 'verify')
  await mkdir(parent, { recursive: true, mode: 0o700 })
  const work = stack.use(await sweptTempDir('verify', parent))
  const raw = stack.use(await baseRaw(context, { name: base.name, digest: base.digest, path: base.path }))
  const root = stack.use(await openRoot(context, raw.path, work.path))
  const router = stack.use(await openNamespace(context, { network: true }))
  const network = stack.use(await openNetwork(context, router))
  const host = newHostName('original')
  const control = join(work.path, 'control')
  await writeControl(control, { userData: Buffer.from(userData), host, net: network.net })
  const probe = new Probe('original')
  const port = await Port.create(control, (line) => probe.push(line))
  stack.defer(() => port.close())
  const limits = { memoryBytes: Math.floor(totalmem() / 4) * 3, processes: 16_384 }
  const cgroups = stack.use(await makeCgroups(host.instanceId.slice(-8), limits))
  const args = nspawnArgs({
    ...{ name: host.hostname, hostname: host.hostname, root: root.root, control, readOnly: root.others },
  })
  const consoleLog = join(work.path, 'console.log')
  const container = stack.use(
    await startNspawn(root.namespace, args, { procsFiles: cgroups.procsFiles, consoleLog, onLine: () => {} }),
  )
  void container.exited.then(({ how }) => port.end(new UserError(`the host ended by itself (${how})`)))
  await network.attach(await container.initPid(context.signal))
  await probe.attach(port)
  await probe.settle()
  return await probe.inventory()
}
