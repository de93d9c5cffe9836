import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../system/run.ts'

/** The kernel detaches a loop device a moment after its last user has gone. */
export async function waitUntilFree(device: string): Promise<void> {
  const name = device.replace('/dev/', '')
  for (let left = 500; left > 0 && name !== '' && (await backingFile(name)) !== undefined; left -= 1) await sleep(10)
}

async function backingFile(name: string): Promise<string | undefined> {
  try {
    return (await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8')).trim()
  } catch {
    return undefined
  }
}

/**
 * Frees what a killed process may have left of its work in `folder`: loop devices on files in it, and mounts below it in
 * this process's mount namespace. Call it only for a folder whose owner is gone.
 */
export async function sweepDisks(folder: string): Promise<void> {
  const inside = (path: string) => path === folder || path.startsWith(`${folder}/`)
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  const places = table.split('\n').flatMap((line) => line.split(' ')[4] ?? [])
  for (const place of places.filter(inside).toReversed()) await run('umount', ['--lazy', place], { allowFailure: true })
  for (const name of await readdir('/sys/block').catch(() => [])) {
    const file = name.startsWith('loop') ? await backingFile(name) : undefined
    if (file !== undefined && inside(file)) await run('losetup', ['--detach', `/dev/${name}`], { allowFailure: true })
  }
}
