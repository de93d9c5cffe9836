import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { mountOverlay, prepareLayer } from '../../bake/container/overlay.ts'
import type { Context } from '../../context.ts'
import { exposeRaw } from '../../disk/expose.ts'
import { mountSystem } from '../../disk/mount.ts'
import type { MountNamespace } from '../../disk/namespace.ts'
import { detectDiskFormat } from '../../image/disk-format.ts'
import { Cleanup } from '../../util/cleanup.ts'

/** The file tree of a disk, which may be written to while the disk stays as it is. */
export interface WritableRoot extends AsyncDisposable {
  readonly namespace: MountNamespace
  /** Its folder in the namespace. */
  readonly root: string
  /** Other file systems of the disk, to be seen in the tree. */
  readonly others: readonly { readonly source: string; readonly target: string }[]
}

/** Mounts a disk read-only and lays an empty layer over it, all in a mount namespace of its own. Needs root. */
export async function openRoot(context: Context, disk: string, workFolder: string): Promise<WritableRoot> {
  await using stack = new Cleanup()
  const raw = stack.use(
    await exposeRaw(context, { path: disk, format: await detectDiskFormat(disk), writable: false, workFolder }),
  )
  const system = stack.use(await mountSystem(context, raw, join(workFolder, 'lower'), { writable: false }))
  const layer = join(workFolder, 'layer')
  await mkdir(layer)
  await prepareLayer(layer, system.root)
  const { namespace, innerRoot } = system
  const root = join(workFolder, 'root')
  await mountOverlay({ namespace, links: join(workFolder, 'links'), lower: innerRoot }, [layer], root, {
    readOnly: false,
    reporter: context.reporter,
  })
  stack.defer(async () => {
    await namespace.run('umount', ['--lazy', root], { allowFailure: true })
  })
  const kept = stack.move()
  return {
    namespace,
    root,
    others: system.mounts
      .filter(({ target }) => target !== '/')
      .map(({ target }) => ({ source: join(innerRoot, target), target })),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  }
}
