import type { Context } from '../context.ts'
import type { Partition } from '../disk/layout.ts'
import type { MountedSystem } from '../disk/mount.ts'
import { InterruptedError } from '../errors.ts'
import { needTool } from '../system/tools.ts'
import type { ExtUnused } from './ext.ts'
import type { FileView } from './file-view.ts'

/** Paths of files that lie on the disk in one piece, as their content does there. */
export interface WholeFiles {
  readonly paths: ReadonlySet<string>
  /** Where file systems are mounted whose files may lie on the disk in other bytes than their own. */
  readonly others: readonly string[]
}

/**
 * Files of which a search of the disk's bytes sees all in one piece: none of a file system other than ext (it may be
 * compressed) or with data in its inodes. Undefined where that is not known of any.
 */
export async function wholeFiles(
  context: Context,
  { system }: FileView,
  unused: readonly ExtUnused[],
): Promise<WholeFiles | undefined> {
  if (system === undefined) return undefined
  const plain = new Set(unused.filter(({ inlineData }) => !inlineData).map(({ partition }) => partition.number))
  const others = system.mounts.filter(({ partition }) => !plain.has(partition.number)).map(({ target }) => target)
  const blockSize = Math.min(...unused.map((each) => each.blockSize))
  return others.includes('/') ? undefined : { paths: await filesInOnePiece(context, system, blockSize), others }
}

/** Whether a file is to be searched by itself: `suspects` are in any case. Pure. */
export function isToSearch(path: string, whole: WholeFiles | undefined, suspects: ReadonlySet<string>): boolean {
  if (whole === undefined || suspects.has(path) || !whole.paths.has(path)) return true
  return whole.others.some((target) => path.startsWith(`${target.replace(/\/$/, '')}/`))
}

/** Path on the system of what a partition's own file system calls `path`. */
export function systemPath(system: MountedSystem, partition: Partition, path: string): string {
  const target = system.mounts.find((mount) => mount.partition.number === partition.number)?.target ?? '/'
  return `${target === '/' ? '' : target}${path}`
}

/** What fits into a block is in one piece; of a name with a line feed in it nothing is believed. */
const pieces = `
odd='*
*'
find "$1" -type f ! -path "$odd" ! -size +"$3" -printf '%p: 1 extent found\\n'
find "$1" -type f ! -path "$odd" -size +"$3" -print0 | xargs -0r "$2"
`

/**
 * Files that lie in one piece, as the kernel says (FIEMAP): whatever it says nothing of, or what has a strange name, is not
 * among them.
 */
async function filesInOnePiece(
  context: Context,
  system: MountedSystem,
  blockSize: number,
): Promise<ReadonlySet<string>> {
  const { stdout } = await system.run(
    'sh',
    ['-c', pieces, 'sh', system.innerRoot, await needTool('filefrag'), String(blockSize / 512)],
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
