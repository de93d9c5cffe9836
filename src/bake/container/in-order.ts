import { readFile, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { findTool, needTool } from '../../system/tools.ts'

/** In blocks: all but files of 32 MiB and more are put side by side in the order of writing, each in one piece. */
const streamRequest = '8192'

/**
 * Lets ext4 on a loop device lay files out by the order of writing alone. By itself it keeps small files apart from those
 * that grow, which are then in two pieces. Where the kernel has no such setting, layouts differ more than they must.
 */
export async function layOutInOrder(device: string): Promise<void> {
  await writeFile(`/sys/fs/ext4/${basename(device)}/mb_stream_req`, streamRequest).catch(() => {})
}

/**
 * The command line that runs another one in the background: behind what else there is to do, not longer than this process,
 * and on one processor, always the same, for ext4 fills another group of blocks from each.
 */
export async function calmly(command: string, args: readonly string[]): Promise<readonly [string, ...string[]]> {
  const ending = [await needTool('setpriv'), '--pdeathsig', 'KILL', command, ...args]
  const nice: readonly [string, ...string[]] = [await needTool('nice'), ...ending]
  const taskset = await findTool('taskset')
  const first = firstAllowed(await readFile('/proc/self/status', 'utf8'))
  return taskset === undefined || first === undefined ? nice : [taskset, '--cpu-list', first, ...nice]
}

/** Of `Cpus_allowed_list:	2-5,8`: 2. Pure. */
export function firstAllowed(status: string): string | undefined {
  return /^Cpus_allowed_list:\s+(\d+)/m.exec(status)?.[1]
}
