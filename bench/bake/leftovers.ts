import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { processes, readProc, type Family } from './processes.ts'

/** What one program left behind; empty lists where it left nothing. */
export interface Leftovers {
  readonly processes: readonly string[]
  readonly mounts: readonly string[]
  readonly loops: readonly string[]
  readonly namespaces: readonly string[]
  readonly cgroups: readonly string[]
}

/**
 * What is left of a program that has ended: processes of its family or that name its folder, mounts and loop devices in
 * its folder, network namespaces with a name and control groups with its process number. Waits up to `patienceMs`, for the
 * kernel takes a moment.
 */
export async function findLeftovers(
  folder: string,
  program: number,
  family: Family,
  patienceMs = 10_000,
): Promise<Leftovers> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const found = {
      processes: leftProcesses(folder, family),
      mounts: await leftMounts(folder),
      loops: await leftLoops(folder),
      namespaces: await leftNamespaces(folder, program),
      cgroups: await leftCgroups(program),
    }
    if (isClean(found) || performance.now() > deadline) return found
    await sleep(100)
  }
}

export function isClean(found: Leftovers): boolean {
  return Object.values(found).every((list: readonly string[]) => list.length === 0)
}

function leftProcesses(folder: string, family: Family): readonly string[] {
  const left: string[] = []
  for (const [pid, { startTime, state }] of processes()) {
    if (pid === process.pid || state === 'Z') continue
    const command = readProc(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')
    const ours =
      family.has(pid, startTime) || command.includes(folder) || readProc(`/proc/${pid}/environ`).includes(folder)
    if (ours) left.push(`${pid} ${command.trim()}`)
  }
  return left
}

async function leftMounts(folder: string): Promise<readonly string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  return table.split('\n').filter((line) => line.includes(folder))
}

async function leftLoops(folder: string): Promise<readonly string[]> {
  const left: string[] = []
  for (const name of await readdir('/sys/block')) {
    if (!name.startsWith('loop')) continue
    const file = await readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => '')
    if (file.includes(folder)) left.push(`/dev/${name} ${file.trim()}`)
  }
  return left
}

/** Namespaces without processes live on only where something names them. */
async function leftNamespaces(folder: string, program: number): Promise<readonly string[]> {
  const names = await readdir('/run/netns').catch(() => [])
  const named = names.filter((name) => name.includes('parbake') && name.includes(String(program)))
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  return [...named, ...table.split('\n').filter((line) => line.includes(' nsfs ') && line.includes(folder))]
}

/** A control group may stay as an empty folder until the next bake sweeps it; processes in it may not. */
async function leftCgroups(program: number): Promise<readonly string[]> {
  const left: string[] = []
  for (const path of await cgroupsOf(program)) {
    const inside = await readFile(join(path, 'cgroup.procs'), 'utf8').catch(() => '')
    if (inside.trim() !== '') left.push(path)
  }
  return left
}

/** Folders of the control groups that a program made, with those below them. */
export async function cgroupsOf(program: number): Promise<readonly string[]> {
  const own = await readFile('/proc/self/cgroup', 'utf8').catch(() => '')
  const places = own.split('\n').flatMap((line) => {
    const [, controllers, path] = line.split(':')
    if (controllers === undefined || path === undefined) return []
    const mounts = controllers === '' ? ['', 'unified'] : [controllers.replace(/^name=/, ''), controllers]
    return mounts.map((mount) => join('/sys/fs/cgroup', mount, path))
  })
  const found: string[] = []
  for (const place of new Set(places)) {
    for (const name of await readdir(place).catch(() => [])) {
      if (!name.startsWith(`parbake-bake-${program}-`)) continue
      found.push(join(place, name), ...(await below(join(place, name))))
    }
  }
  return found
}

async function below(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
}
