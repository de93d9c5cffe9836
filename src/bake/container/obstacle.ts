import { access, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../context.ts'
import { messageOf, UserError } from '../../errors.ts'
import { openNamespace, type MountNamespace } from '../../disk/namespace.ts'
import { findTool, toolSpecs } from '../../system/tools.ts'
import { tempDir } from '../../system/temp.ts'
import type { BakeJob } from '../engine.ts'
import { findBaseObstacle } from './base-facts.ts'

/** Programs that the engine runs besides those that every Linux has. */
const tools = [
  ...['systemd-nspawn', 'slirp4netns', 'ip', 'rsync', 'nsenter', 'unshare', 'setpriv', 'losetup', 'mount', 'umount'],
  ...['fstrim', 'fallocate', 'debugfs', 'flock', 'qemu-img'],
]

/** Why a job cannot be baked in a container here; undefined where it can. What can be tried is tried. */
export async function findObstacle(job: BakeJob, context: Context): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'it needs Linux'
  if (process.getuid?.() !== 0) return 'it needs root'
  if (job.vmStepNames.length > 0) {
    const names = job.vmStepNames.join(', ')
    return job.vmStepNames.length === 1 ? `step ${names} requires a VM` : `the steps ${names} require a VM`
  }
  for (const tool of tools) {
    if ((await findTool(tool)) !== undefined) continue
    const owner = toolSpecs.find(({ name }) => name === tool)?.debianPackage
    return `${tool} is missing${owner === undefined ? '' : ` (apt-get install ${owner})`}`
  }
  for (const device of ['/dev/loop-control', '/dev/net/tun']) {
    if (!(await exists(device))) return `there is no ${device}`
  }
  return (await kernelObstacle(context)) ?? (await findBaseObstacle(context, job.base))
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function kernelObstacle(context: Context): Promise<string | undefined> {
  const { cacheDir } = context.config
  await mkdir(cacheDir, { recursive: true })
  await using folder = await tempDir('probe', cacheDir)
  try {
    await using namespace = await openNamespace(context, { network: true })
    if (!(await overlayWorks(namespace, folder.path)))
      return `overlayfs does not work on the file system of ${cacheDir}`
    if (!(await vethWorks(context, namespace))) return 'the kernel has no virtual Ethernet devices (veth)'
    return undefined
  } catch (error) {
    if (error instanceof UserError) return messageOf(error)
    throw error
  }
}

async function overlayWorks(namespace: MountNamespace, folder: string): Promise<boolean> {
  for (const name of ['lower', 'upper', 'work', 'merged']) await mkdir(join(folder, name))
  // A file that is removed leaves a mark that not every file system can hold.
  const script =
    'cd "$1" && echo x >lower/file && mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay merged && ' +
    'rm merged/file && test -c upper/file; status=$?; umount merged; exit $status'
  return (await namespace.run('sh', ['-c', script, 'probe', folder], { allowFailure: true })).exitCode === 0
}

async function vethWorks(context: Context, namespace: MountNamespace): Promise<boolean> {
  const nsenter = (await findTool('nsenter')) ?? 'nsenter'
  const args = [`--net=/proc/${namespace.pid}/ns/net`, '--', 'ip', 'link', 'add', 'name', 'probe0', 'type', 'veth']
  context.signal.throwIfAborted()
  return (await namespace.run(nsenter, args, { allowFailure: true })).exitCode === 0
}
