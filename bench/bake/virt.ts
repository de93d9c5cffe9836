import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createOverlay } from '../../src/image/qemu-img.ts'
import { guest, scriptPath, scripts, type Bench, type Contender } from './contender.ts'
import { measure } from './measure.ts'

/** libguestfs's tools, each as its manual has it for this purpose. */
export const virtTools: Contender = {
  name: 'virt',
  needs: [
    ...['virt-customize', 'virt-sysprep', 'virt-sparsify'].map((program) => ({
      debianPackage: 'guestfs-tools',
      proof: { program },
    })),
    // The appliance boots the host's kernel, which containers and micro-VMs do not have as a file.
    { debianPackage: 'linux-image-cloud-amd64', proof: { isThere: hasApplianceKernel } },
  ],
  async prepare(bench) {
    const folder = join(bench.work, 'appliance')
    await mkdir(folder, { recursive: true })
    const disk = join(folder, 'warm-up.qcow2')
    await createOverlay(disk, bench.basePath)
    // Builds the appliance, which later runs find in the cache.
    await tool(bench, folder, 'virt-customize', ['-q', '-a', disk, '--run-command', 'true'])
  },
  async bake(bench, folder, done) {
    const [work, disk] = [join(folder, 'work.qcow2'), join(folder, 'disk.qcow2')]
    await createOverlay(work, bench.basePath)
    const size = ['--smp', String(guest.cpus), '--memsize', String(guest.memoryMiB)]
    const customize = await tool(bench, folder, 'virt-customize', [
      ...['-a', work, ...size],
      ...scripts.flatMap((name) => ['--run', scriptPath(name)]),
    ])
    const sysprep = await tool(bench, folder, 'virt-sysprep', [
      ...['-a', work],
      ...['--run', new URL('sysprep-extra.sh', import.meta.url).pathname],
    ])
    const sparsify = await tool(bench, folder, 'virt-sparsify', ['--compress', '--convert', 'qcow2', work, disk])
    const runs = [customize, sysprep, sparsify]
    await done(
      'virt',
      {
        seconds: runs.reduce((sum, { seconds }) => sum + seconds, 0),
        peakMiB: Math.max(...runs.map(({ peakMiB }) => peakMiB)),
        sizeBytes: (await stat(disk)).size,
        parts: { customize: customize.seconds, sysprep: sysprep.seconds, sparsify: sparsify.seconds },
      },
      disk,
    )
  },
}

/** A kernel alone does not do: its modules must be there too. */
async function hasApplianceKernel(): Promise<boolean> {
  const [kernels, modules] = await Promise.all(
    ['/boot', '/lib/modules'].map((path) => readdir(path).catch((): string[] => [])),
  )
  return kernels?.some((name) => modules?.includes(name.replace(/^vmlinuz-/, ''))) === true
}

function tool(bench: Bench, folder: string, program: string, args: readonly string[]) {
  return measure(program, args, {
    cwd: folder,
    log: bench.log,
    signal: bench.signal,
    env: {
      ...process.env,
      TMPDIR: folder,
      LIBGUESTFS_BACKEND: 'direct',
      LIBGUESTFS_CACHEDIR: join(bench.work, 'appliance'),
      ...(bench.accelerator === 'tcg' ? { LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' } : {}),
    },
  })
}
