import { chmod, chown, mkdir, rm, stat, symlink, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { MountNamespace } from '../../disk/namespace.ts'
import type { RunOptions } from '../../system/run.ts'

/** Where overlay file systems are put together. */
export interface OverlayPlace {
  readonly namespace: MountNamespace
  /** A folder for short names of the layers: the options of a mount have but one page. */
  readonly links: string
  /** The base's root, as in the namespace. */
  readonly lower: string
}

/** The part of a layer that holds files. */
export const upperIn = (layer: string): string => join(layer, 'upper')
const workIn = (layer: string): string => join(layer, 'work')

/** Makes the folders of a new layer; the root folder itself looks as the base's. */
export async function prepareLayer(layer: string, baseRoot: string): Promise<void> {
  // Whatever gets its set-user-id bit in there must be out of everybody's reach.
  await chmod(layer, 0o700)
  const upper = upperIn(layer)
  if ((await mkdir(upper, { recursive: true })) !== undefined) {
    const root = await stat(baseRoot)
    await chown(upper, root.uid, root.gid)
    await chmod(upper, root.mode & 0o7777)
    await utimes(upper, root.atime, root.mtime)
  }
  await freshWork(layer)
}

/** A work folder that was used without syncs is refused the second time. */
export async function freshWork(layer: string): Promise<void> {
  await rm(workIn(layer), { recursive: true, force: true })
  await mkdir(workIn(layer))
}

export async function dropWork(layer: string): Promise<void> {
  await rm(workIn(layer), { recursive: true, force: true })
}

/**
 * Mounts the base with these layers over it, the lowest first; the last one takes what is written unless `readOnly`.
 * Without syncs where the kernel can: a layer counts only when it is whole.
 */
export async function mountOverlay(
  place: OverlayPlace,
  layers: readonly string[],
  target: string,
  options: { readonly readOnly: boolean } & Pick<RunOptions, 'reporter'>,
): Promise<void> {
  const { namespace, links, lower } = place
  await rm(links, { recursive: true, force: true })
  await mkdir(links, { recursive: true })
  await mkdir(target, { recursive: true })
  await symlink(lower, join(links, 'b'))
  for (const [index, layer] of layers.entries()) await symlink(layer, join(links, String(index)))
  const upper = options.readOnly ? undefined : layers.length - 1
  const below = layers.map((_, index) => `${index}/upper`).slice(0, upper)
  const lowers = `lowerdir=${[...below.toReversed(), 'b'].join(':')}`
  const words = upper === undefined ? ['ro', lowers] : [lowers, `upperdir=${upper}/upper`, `workdir=${upper}/work`]
  const mount = (extra: readonly string[], runOptions: RunOptions) =>
    namespace.run(
      'sh',
      [
        '-c',
        'cd "$1" && exec mount -t overlay -o "$2" parbake "$3"',
        'mount',
        links,
        [...words, ...extra].join(','),
        target,
      ],
      { purpose: 'lay the steps of a bake over its base', ...runOptions },
    )
  const extra = upper === undefined ? [] : ['volatile']
  const first = await mount(extra, { allowFailure: true, ...reporterOf(options) })
  if (first.exitCode !== 0) await mount([], {})
}

function reporterOf({ reporter }: Pick<RunOptions, 'reporter'>): RunOptions {
  return reporter === undefined ? {} : { reporter }
}
