import { constants } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { UserError, hasCode } from '../errors.ts'

/** How QEMU runs the guest's instructions. */
export interface Accelerator {
  readonly name: 'kvm' | 'tcg'
  /** Why this one, as a clause for people. */
  readonly reason: string
  /** Timeouts are multiplied by this. */
  readonly timeFactor: number
}

/** What the probe sees; the decision below is made from nothing else. */
export interface AcceleratorFacts {
  readonly requested: 'auto' | 'kvm' | 'tcg'
  readonly kvmDevice: 'opens' | 'missing' | 'denied' | 'broken'
  /** True if /proc/cpuinfo has vmx or svm. */
  readonly cpuHasVirtualization: boolean
}

const kvmTimeFactor = 1
/** Measured: TCG takes ten times as long, at times thirty. */
const tcgTimeFactor = 10

/**
 * Decides between KVM and TCG. A /dev/kvm that opens is not enough: a nested hypervisor that serves only
 * paravirtualised guests has one on which every Linux kernel hangs; there the CPU shows neither vmx nor svm. Throws
 * UserError when KVM is asked for and cannot be had.
 */
export function chooseAccelerator(facts: AcceleratorFacts): Accelerator {
  const obstacle = kvmObstacle(facts)
  switch (facts.requested) {
    case 'tcg':
      return tcg('asked for by vm.accelerator')
    case 'kvm':
      if (facts.kvmDevice !== 'opens') {
        throw new UserError(`KVM was asked for by vm.accelerator, but ${obstacle}`, {
          hint: "set vm.accelerator to 'auto' or 'tcg' in parbake.yaml, or give this user access to /dev/kvm",
          code: 'kvm-unusable',
        })
      }
      return { name: 'kvm', reason: 'asked for by vm.accelerator', timeFactor: kvmTimeFactor }
    case 'auto':
      return obstacle === undefined
        ? { name: 'kvm', reason: '/dev/kvm opens and the CPU has hardware virtualisation', timeFactor: kvmTimeFactor }
        : tcg(obstacle)
  }
}

/** TCG, for the given reason. */
export function tcg(reason: string): Accelerator {
  return { name: 'tcg', reason, timeFactor: tcgTimeFactor }
}

function kvmObstacle(facts: AcceleratorFacts): string | undefined {
  switch (facts.kvmDevice) {
    case 'missing':
      return 'there is no /dev/kvm'
    case 'denied':
      return 'this user may not open /dev/kvm'
    case 'broken':
      return '/dev/kvm does not open'
    case 'opens':
      return facts.cpuHasVirtualization ? undefined : '/dev/kvm opens, but the CPU shows neither vmx nor svm'
  }
}

/** Looks at this machine and decides. */
export async function probeAccelerator(requested: 'auto' | 'kvm' | 'tcg'): Promise<Accelerator> {
  return chooseAccelerator({
    requested,
    kvmDevice: await probeKvmDevice('/dev/kvm'),
    cpuHasVirtualization: hasVirtualizationFlag(await readFile('/proc/cpuinfo', 'utf8').catch(() => '')),
  })
}

/** True if a flags line of /proc/cpuinfo names vmx (Intel) or svm (AMD). */
export function hasVirtualizationFlag(cpuinfo: string): boolean {
  return /^flags\s*:.*\b(vmx|svm)\b/m.test(cpuinfo)
}

async function probeKvmDevice(path: string): Promise<AcceleratorFacts['kvmDevice']> {
  try {
    const handle = await open(path, constants.O_RDWR)
    await handle.close()
    return 'opens'
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 'missing'
    return hasCode(error, 'EACCES') || hasCode(error, 'EPERM') ? 'denied' : 'broken'
  }
}
