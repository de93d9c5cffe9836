import type { Context } from '../context.ts'
import type { Partition } from '../disk/layout.ts'
import type { MountedSystem } from '../disk/mount.ts'
import { InterruptedError } from '../errors.ts'
import { needTool } from '../system/tools.ts'
import type { ExtUnused } from './ext.ts'
import type { FileView } from './file-view.ts'

/**
 * Tells whose content a search of the disk's bytes cannot have seen in one piece, so that the files themselves are to be
 * searched: all of a file system other than ext (it may be compressed) or with data in its inodes, and files in pieces.
 * `suspects` are paths that are searched in any case.
 */
export async function filesToSearch(
  context: Context,
  view: FileView,
  unused: readonly ExtUnused[],
  suspects: ReadonlySet<string>,
): Promise<(path: string) => boolean> {
  const { system } = view
  if (system === undefined) return () => true
  const plain = new Set(unused.filter(({ inlineData }) => !inlineData).map(({ partition }) => partition.number))
  const others = system.mounts.filter(({ partition }) => !plain.has(partition.number)).map(({ target }) => target)
  if (others.includes('/')) return () => true
  const whole = await filesInOnePiece(context, system)
  return (path) =>
    suspects.has(path) || !whole.has(path) || others.some((target) => path.startsWith(`${target.replace(/\/$/, '')}/`))
}

/** Path on the system of what a partition's own file system calls `path`. */
export function systemPath(system: MountedSystem, partition: Partition, path: string): string {
  const target = system.mounts.find((mount) => mount.partition.number === partition.number)?.target ?? '/'
  return `${target === '/' ? '' : target}${path}`
}

/**
 * Files that lie in one piece, as the kernel says (FIEMAP): whatever it says nothing of, or what has a strange name, is not
 * among them.
 */
async function filesInOnePiece(context: Context, system: MountedSystem): Promise<ReadonlySet<string>> {
  const { stdout } = await system.run(
    'sh',
    ['-c', 'find "$1" -type f -print0 | xargs -0r "$2"', 'sh', system.innerRoot, await needTool('filefrag')],
    {
      allowFailure: true,
      purpose: 'see which files lie in pieces',
      reporter: context.reporter,
      signal: context.signal,
    },
  )
  if (context.signal.aborted) throw new InterruptedError()
  const paths = new Set<string>()
  for (const match of stdout.matchAll(/^(\/.*): (?:0 extents|1 extent) found$/gm)) {
    paths.add((match[1] ?? '').slice(system.innerRoot.length))
  }
  return paths
}
