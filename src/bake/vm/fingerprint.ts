import { readFile } from 'node:fs/promises'
import { arch } from 'node:os'
import { readyDigest, type BaseReady } from '../../base/ready.ts'
import type { Context } from '../../context.ts'
import { toolVersion } from '../../system/tools.ts'
import { probeAccelerator, type Accelerator } from '../../vm/accelerator.ts'
import { qemuArgs, type DirectKernel } from '../../vm/qemu-args.ts'
import { machineOf, type VmOptions } from '../../vm/vm-options.ts'
import type { Json } from '../../util/canonical-json.ts'
import { sha256 } from '../../util/sha256.ts'
import type { BakeJob } from '../engine.ts'
import { bakeUserData } from '../guest-files.ts'
import { mediumBytes, seedBytes } from './disks.ts'

/** Raised when kept states of earlier versions of this engine can no longer be used. */
const engineVersion = 1

/** Where cloud-init starts the driver. */
export const driverPort = '/dev/virtio-ports/parbake.0'

/** The machine of every bake, but for its files: what differs here makes a saved state useless. */
export const bakeMachine = {
  channel: true,
  shell: true,
  generationId: true,
} as const satisfies Partial<VmOptions>

export async function vmFingerprint(job: BakeJob, { config, signal }: Context): Promise<Json> {
  const accelerator = await probeAccelerator(config.vm.accelerator)
  const args = qemuArgs(
    machineOf(
      {
        ...bakeMachine,
        ...{ disk: '/disk', seed: '/seed', memoryMiB: config.vm.memoryMiB, cpus: config.vm.cpus },
        extraDisks: [mediumDisk('/medium')],
        ...(job.base.ready !== undefined && {
          directKernel: { ...directKernel(job.base.ready, accelerator.name), kernel: '/kernel', initrd: '/initrd' },
        }),
        ...{ accelerator, consoleLog: '/log', timeoutSeconds: 1 },
      },
      accelerator,
      { qmpSocket: '/qmp', channelSocket: '/channel', shellSocket: '/shell' },
    ),
  )
  const qemu = await toolVersion('qemu-system-x86_64', signal)
  return {
    version: engineVersion,
    qemu: qemu ?? null,
    accelerator: accelerator.name,
    // `-cpu max` of an emulated machine depends on nothing; `-cpu host` is what the host has.
    cpu: accelerator.name === 'kvm' ? hostCpu(await readFile('/proc/cpuinfo', 'utf8').catch(() => arch())) : 'max',
    machine: sha256(args.join('\n')),
    kernel: job.base.ready === undefined ? null : await readyDigest(job.base.ready),
    userData: sha256(bakeUserData(driverPort)),
    seedBytes,
    mediumBytes: mediumBytes(job),
  }
}

/**
 * The base's own kernel, with fewer words on the console and no checks of what was just made. An emulated processor speculates
 * on nothing, so its mitigations protect nobody and cost 5 to 10 % of all it does; and its time stamp counters are one, which
 * the kernel doubts with several processors and then leaves the CPU for each look at the clock.
 */
export function directKernel(
  { kernel, initrd, arguments: words }: BaseReady,
  accelerator: Accelerator['name'],
): DirectKernel {
  const emulated = accelerator === 'tcg' ? ' mitigations=off tsc=reliable' : ''
  return { kernel, initrd, arguments: `${words} quiet cryptomgr.notests fsck.mode=skip${emulated}` }
}

/** The medium as a drive. */
export function mediumDisk(path: string) {
  return { path, format: 'raw', readonly: true, serial: 'parbake-medium' } as const
}

/** Model and features of the first processor as a digest; frequencies and the like do not count. */
export function hostCpu(cpuinfo: string): string {
  const first = cpuinfo.split('\n\n', 1)[0] ?? ''
  const lines = first
    .split('\n')
    .filter((line) => /^(vendor_id|cpu family|model|model name|stepping|flags)\s*:/.test(line))
  return sha256(lines.join('\n'))
}
