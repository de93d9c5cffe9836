import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from '../../system/process.ts'

/** Control groups of a container's own: systemd in it takes the one that it is started in for its own. */
export interface ContainerCgroups extends AsyncDisposable {
  /** Files that take the id of the process that is to be in them. */
  readonly procsFiles: readonly string[]
}

export interface CgroupLimits {
  readonly memoryBytes: number
  readonly processes: number
}

/** A hierarchy and where this process is in it. */
export interface Hierarchy {
  /** Controllers of version 1; empty for version 2. */
  readonly controllers: readonly string[]
  readonly folder: string
}

/** The folders of a process in every hierarchy, from /proc/self/cgroup and /proc/self/mountinfo. Pure. */
export function findHierarchies(cgroups: string, mountinfo: string): readonly Hierarchy[] {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [own, other] = line.split(' - ')
    const [type, , options] = other?.split(' ') ?? []
    const [, , , root, target] = own?.split(' ') ?? []
    if (root === undefined || target === undefined || !(type === 'cgroup' || type === 'cgroup2')) return []
    return [{ type, root, target, options: options?.split(',') ?? [] }]
  })
  return cgroups.split('\n').flatMap((line) => {
    const [, names, ...rest] = line.split(':')
    const path = rest.join(':')
    if (names === undefined || !path.startsWith('/')) return []
    const controllers = names === '' ? [] : names.split(',')
    const mount = mounts.find(({ type, options }) =>
      names === '' ? type === 'cgroup2' : type === 'cgroup' && controllers.every((name) => options.includes(name)),
    )
    if (mount === undefined) return []
    const below = mount.root !== '/' && path.startsWith(mount.root) ? path.slice(mount.root.length) : path
    return [{ controllers, folder: resolve(mount.target, `.${below}`) }]
  })
}

/** Only what systemd and the limits need: other controllers have no room for more folders everywhere. */
function isWanted({ controllers }: Hierarchy): boolean {
  return controllers.length === 0 || controllers.some((name) => ['name=systemd', 'memory', 'pids'].includes(name))
}

const prefix = 'parbake-bake-'

/** Makes the groups. Limits are set where the kernel lets us: a limit more is no reason not to bake. */
export async function makeCgroups(name: string, limits: CgroupLimits): Promise<ContainerCgroups> {
  const [cgroups, mountinfo] = await Promise.all(
    ['/proc/self/cgroup', '/proc/self/mountinfo'].map((path) => readFile(path, 'utf8')),
  )
  const made: string[] = []
  for (const hierarchy of findHierarchies(cgroups ?? '', mountinfo ?? '').filter(isWanted)) {
    await sweepDead(hierarchy.folder)
    const folder = join(hierarchy.folder, `${prefix}${process.pid}-${name}`)
    try {
      await mkdir(folder)
    } catch {
      continue
    }
    made.push(folder)
    await limit(folder, hierarchy, limits)
  }
  return {
    procsFiles: made.map((folder) => join(folder, 'cgroup.procs')),
    [Symbol.asyncDispose]: async () => {
      for (const folder of made) await removeTree(folder)
    },
  }
}

async function limit(folder: string, { controllers }: Hierarchy, limits: CgroupLimits): Promise<void> {
  const version2 = controllers.length === 0
  const settings: Record<string, number> = {
    ...(version2 || controllers.includes('pids') ? { 'pids.max': limits.processes } : {}),
    ...(version2 ? { 'memory.max': limits.memoryBytes } : {}),
    ...(controllers.includes('memory') ? { 'memory.limit_in_bytes': limits.memoryBytes } : {}),
  }
  for (const [file, value] of Object.entries(settings)) {
    await writeFile(join(folder, file), String(value), { flag: 'r+' }).catch(() => {})
  }
}

/** Groups of processes that were killed before they could remove them. */
async function sweepDead(parent: string): Promise<void> {
  for (const entry of await readdir(parent).catch(() => [])) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(entry)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) await removeTree(join(parent, entry))
  }
}

/** A group can be removed only when the kernel has forgotten its last process. */
async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name))
  const attempts = basename(folder).startsWith(prefix) ? 50 : 5
  for (let left = attempts; left > 0; left -= 1) {
    try {
      await rmdir(folder)
      return
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
      await sleep(20)
    }
  }
}
