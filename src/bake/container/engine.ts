import { randomUUID } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Context } from '../../context.ts'
import { UserError } from '../../errors.ts'
import { sweepDisks } from '../../disk/loop.ts'
import { mountSystem, type MountedSystem } from '../../disk/mount.ts'
import { openNamespace, type MountNamespace } from '../../disk/namespace.ts'
import { toolVersion } from '../../system/tools.ts'
import { Cleanup } from '../../util/cleanup.ts'
import { sha256 } from '../../util/sha256.ts'
import type { BakeEngine, BakeJob, OpenOptions } from '../engine.ts'
import { bakeUserData, bootstrapScript } from '../guest-files.ts'
import { bootFolders } from './base-facts.ts'
import { baseRaw } from './base-raw.ts'
import { openNetwork } from './network.ts'
import { findObstacle } from './obstacle.ts'
import { openRelay } from './relay.ts'
import { ContainerSession } from './session.ts'
import { LayerWriter } from './write-back.ts'

/** Raised when kept states of earlier versions of this engine can no longer be used. */
const engineVersion = 1

const noteSchema = z.object({ instanceId: z.string().regex(/^iid-bake-[0-9a-f-]+$/) })

/**
 * Bakes in a container that boots the base's own root file system, over layers of what the steps have written, and writes
 * those into the disk at the end. Needs root; fast, because nothing is emulated.
 */
export const containerEngine: BakeEngine = {
  name: 'container',
  // Booting takes no longer than keeping would.
  keepsBoot: false,
  obstacle: findObstacle,
  fingerprint: async (_job, { signal }) => ({
    version: engineVersion,
    nspawn: (await toolVersion('systemd-nspawn', signal)) ?? null,
    driver: sha256(bootstrapScript('bake.sh')),
    userData: sha256(bakeUserData()),
    // Not the kernel's release: the kernel here is this machine's, never the image's, and no step may depend on it. One
    // that does says `requires: vm`.
  }),
  open: openSession,
}

async function openSession(job: BakeJob, options: OpenOptions, context: Context): Promise<ContainerSession> {
  const { work, from, layer } = options
  await sweepDisks(work)
  await using stack = new Cleanup()
  const base = await baseRaw(context, job.base)
  const namespace = stack.use(await openNamespace(context, { network: true }))
  // What nspawn writes there is about this machine's other containers too, and would outlive a kill.
  await namespace.run('sh', ['-c', 'mkdir -p /run/systemd/nspawn && mount -t tmpfs tmpfs /run/systemd/nspawn'])
  const lower = join(work, 'base')
  const empty = join(work, 'empty')
  await mkdir(empty, { recursive: true })
  const system = stack.use(await mountSystem(context, base, lower, { writable: false, namespace }))
  // While layers lie on it, its loop device is in use.
  stack.defer(() => detach(namespace, join(work, 'root')))
  refuseOtherMounts(system)
  const network = stack.use(await openNetwork(context, namespace))
  const { packageCache } = options
  const relay = packageCache === undefined ? undefined : stack.use(await openRelay(network, packageCache.port))
  const consoleLog = join(context.config.cacheDir, 'logs', `bake-${job.imageId}.log`)
  await mkdir(join(context.config.cacheDir, 'logs'), { recursive: true })
  const note = from === undefined ? { instanceId: `iid-bake-${randomUUID()}` } : noteSchema.parse(from.note)
  // nspawn makes what it is told to cover, and that would be in the image.
  const isThere = ({ target }: { readonly target: string }) =>
    lstatSync(join(system.root, target), { throwIfNoEntry: false })?.isDirectory() === true
  const session = new ContainerSession({
    ...{ context, job, namespace, network, layer, work, note, consoleLog },
    place: { namespace, lower, links: join(work, 'layers') },
    baseRoot: system.root,
    readOnly: [
      ...system.mounts.slice(1).map(({ target }) => ({ source: join(lower, target), target })),
      // What would be written there would be covered by the real one.
      ...system.missing.filter(isThere).map(({ target }) => ({ source: empty, target })),
    ],
    chain: from?.chain ?? [],
    proxy: relay?.url,
    startWriter: (thin) =>
      new LayerWriter(context, { namespace, lower, base, work, thinOn: thin ? job.base.path : undefined }),
    thin: options.thin === true,
    cleanup: stack.move(),
  })
  try {
    await session.boot()
  } catch (error) {
    await session[Symbol.asyncDispose]()
    throw error
  }
  return session
}

async function detach(namespace: MountNamespace, folder: string): Promise<void> {
  await namespace.run('umount', ['--lazy', folder], { allowFailure: true })
}

/** `obstacle` has looked for that, but nobody must ask it first. */
function refuseOtherMounts(system: MountedSystem): void {
  const others = system.wanted.map(({ target }) => target).filter((target) => !bootFolders.includes(target))
  if (others.length === 0) return
  throw new UserError(
    `the container engine cannot bake a base with file systems of their own for ${others.join(', ')}`,
    {
      hint: 'bake it with --engine vm',
    },
  )
}
