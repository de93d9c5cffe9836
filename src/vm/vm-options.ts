import type { Reporter } from '../report/events.ts'
import type { Accelerator } from './accelerator.ts'
import type { Firmware } from './firmware.ts'
import type { DirectKernel, ExtraDisk, Machine, PortForward, UefiFlash } from './qemu-args.ts'

/** What is to run. Paths are absolute; all seconds are those of KVM and are multiplied by the accelerator's factor. */
export interface VmOptions {
  /** A qcow2 file that the guest writes to, normally an overlay. */
  readonly disk: string
  /** ISO image for cloud-init. */
  readonly seed?: string
  readonly extraDisks?: readonly ExtraDisk[]
  readonly memoryMiB: number
  readonly cpus: number
  readonly accelerator: Accelerator
  /** Default: bios. */
  readonly firmware?: Firmware
  readonly forwards?: readonly PortForward[]
  /** Add the virtio-serial port `parbake.0`. */
  readonly channel?: boolean
  /** File that gets all serial output. */
  readonly consoleLog: string
  /** For `startGuest`: after how many seconds, of any accelerator, a kernel that says nothing hangs. Default: 90. */
  readonly hungSeconds?: number
  /** Called for every line of the serial console, without CR and escape sequences. */
  readonly onLine?: (line: string) => void
  /** Called for every line that the guest writes to the channel. */
  readonly onChannelLine?: (line: string) => void
  readonly restrictNetwork?: boolean
  readonly paused?: boolean
  /** Add a second serial port, /dev/ttyS1 in the guest, on a unix socket. */
  readonly shell?: boolean
  /** Wait for `loadState` instead of booting. */
  readonly incoming?: boolean
  /** See `Machine`. */
  readonly generationId?: boolean
  /** See `Machine`. */
  readonly directKernel?: DirectKernel
  readonly signal?: AbortSignal
  /** The VM is killed after this time; then and later every wait throws. */
  readonly timeoutSeconds: number
  /** Gets the warning when KVM turns out not to work. */
  readonly reporter?: Reporter
}

/** What only the start of a machine knows. */
export interface MachineParts {
  readonly qmpSocket: string
  readonly channelSocket?: string
  readonly shellSocket?: string
  readonly uefi?: UefiFlash
}

/** The machine of these options under this accelerator. */
export function machineOf(options: VmOptions, accelerator: Accelerator, parts: MachineParts): Machine {
  const { disk, seed, extraDisks, memoryMiB, cpus, forwards, restrictNetwork, paused, incoming, generationId } = options
  const { directKernel } = options
  return {
    accelerator: accelerator.name,
    ...{ memoryMiB, cpus, disk, ...parts },
    ...(seed !== undefined && { seed }),
    ...(extraDisks !== undefined && { extraDisks }),
    ...(forwards !== undefined && { forwards }),
    ...(restrictNetwork !== undefined && { restrictNetwork }),
    ...(paused !== undefined && { paused }),
    ...(incoming !== undefined && { incoming }),
    ...(generationId !== undefined && { generationId }),
    ...(directKernel !== undefined && { directKernel }),
  }
}
