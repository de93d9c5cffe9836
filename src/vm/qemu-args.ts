/** A disk beside the first, seen by the guest as a virtio drive. */
export interface ExtraDisk {
  readonly path: string
  readonly format: 'raw' | 'qcow2'
  readonly readonly: boolean
  /** At most 20 characters; the guest finds it as /dev/disk/by-id/virtio-<serial>. */
  readonly serial: string
}

/** A TCP port of the guest on the host's loopback. */
export interface PortForward {
  readonly hostPort: number
  readonly guestPort: number
}

/** OVMF's two files as QEMU's flash memory. */
export interface UefiFlash {
  readonly code: string
  /** This machine's own copy, which it writes to. */
  readonly vars: string
}

/** All that decides QEMU's command line. Paths are absolute. */
export interface Machine {
  readonly accelerator: 'kvm' | 'tcg'
  readonly memoryMiB: number
  readonly cpus: number
  /** The qcow2 file that the guest boots from and writes to. */
  readonly disk: string
  readonly seed?: string
  readonly extraDisks?: readonly ExtraDisk[]
  readonly forwards?: readonly PortForward[]
  /** Cut the guest off from everything but forwarded ports. */
  readonly restrictNetwork?: boolean
  /** Unix sockets that parbake listens on and QEMU connects to. */
  readonly qmpSocket: string
  readonly channelSocket?: string
  /** Do not run the guest's CPUs until `cont`. */
  readonly paused?: boolean
  /** Load this internal snapshot of the disk instead of booting. */
  readonly loadSnapshot?: string
  /** Boot by UEFI instead of BIOS. */
  readonly uefi?: UefiFlash
}

/** QEMU's block node of the first disk, for QMP commands such as snapshot-save. */
export const diskNode = 'disk'

/** Name of the virtio-serial port; in the guest it is /dev/virtio-ports/parbake.0. */
export const channelName = 'parbake.0'

/** The arguments of qemu-system-x86_64. The serial console is on stdin and stdout. */
export function qemuArgs(machine: Machine): string[] {
  return [
    ...['-name', 'parbake'],
    ...['-nodefaults', '-no-user-config'],
    ...machineArgs(machine.uefi),
    ...accelerationArgs(machine.accelerator),
    ...['-smp', String(machine.cpus)],
    ...['-m', String(machine.memoryMiB)],
    ...['-display', 'none', '-vga', 'none'],
    ...['-rtc', 'base=utc'],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=qmp,path=${escapeCommas(machine.qmpSocket)}`, '-mon', 'chardev=qmp,mode=control'],
    ...['-device', 'virtio-rng-pci'],
    ...firstDiskArgs(machine.disk),
    ...(machine.seed === undefined ? [] : extraDiskArgs(seedDisk(machine.seed), 'seed')),
    ...(machine.extraDisks ?? []).flatMap((disk, index) => extraDiskArgs(disk, `extra${index}`)),
    ...networkArgs(machine),
    ...(machine.channelSocket === undefined ? [] : channelArgs(machine.channelSocket)),
    ...(machine.loadSnapshot === undefined ? [] : ['-loadvm', machine.loadSnapshot]),
    ...(machine.paused === true ? ['-S'] : []),
  ]
}

function machineArgs(uefi: UefiFlash | undefined): string[] {
  if (uefi === undefined) return ['-machine', 'q35']
  const flash = (node: string, filename: string, readonly: boolean) =>
    blockdev({ driver: 'raw', 'node-name': node, 'read-only': readonly, file: { driver: 'file', filename } })
  return [
    ...flash('uefi-code', uefi.code, true),
    ...flash('uefi-vars', uefi.vars, false),
    ...['-machine', 'q35,pflash0=uefi-code,pflash1=uefi-vars'],
  ]
}

/**
 * Take nothing away from `max`: with `svm=off`, QEMU 7.2 gives a Linux 6.1 guest in which fsync and mountinfo go wrong, so
 * that units fail and the boot takes minutes.
 */
function accelerationArgs(accelerator: Machine['accelerator']): string[] {
  return accelerator === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi', '-cpu', 'max']
}

/** Discards reach the file, so that fstrim shrinks it; flushes are dropped, for the disk is thrown away when we crash. */
function firstDiskArgs(path: string): string[] {
  return [
    ...blockdev({
      driver: 'qcow2',
      'node-name': diskNode,
      discard: 'unmap',
      'detect-zeroes': 'unmap',
      cache: { direct: false, 'no-flush': true },
      file: { driver: 'file', filename: path, discard: 'unmap', cache: { direct: false, 'no-flush': true } },
    }),
    ...['-device', `virtio-blk-pci,drive=${diskNode},bootindex=0`],
  ]
}

/** A virtio drive and no CD-ROM: Debian's cloud kernel has no AHCI driver. */
function seedDisk(path: string): ExtraDisk {
  return { path, format: 'raw', readonly: true, serial: 'seed' }
}

function extraDiskArgs(disk: ExtraDisk, node: string): string[] {
  return [
    ...blockdev({
      driver: disk.format,
      'node-name': node,
      'read-only': disk.readonly,
      file: { driver: 'file', filename: disk.path, 'read-only': disk.readonly },
    }),
    ...['-device', `virtio-blk-pci,drive=${node},serial=${disk.serial}`],
  ]
}

/** JSON, because QEMU's own syntax has trouble with commas in file names. */
function blockdev(options: Readonly<Record<string, unknown>>): string[] {
  return ['-blockdev', JSON.stringify(options)]
}

/** User networking: no root, nothing but loopback on the host's side. An empty romfile saves the PXE attempt. */
function networkArgs(machine: Machine): string[] {
  const options = [
    'user',
    'id=net',
    ...(machine.restrictNetwork === true ? ['restrict=on'] : []),
    ...(machine.forwards ?? []).map(({ hostPort, guestPort }) => `hostfwd=tcp:127.0.0.1:${hostPort}-:${guestPort}`),
  ]
  return ['-netdev', options.join(','), '-device', 'virtio-net-pci,netdev=net,romfile=']
}

function channelArgs(socket: string): string[] {
  return [
    ...['-chardev', `socket,id=channel,path=${escapeCommas(socket)}`],
    ...['-device', 'virtio-serial-pci'],
    ...['-device', `virtserialport,chardev=channel,name=${channelName}`],
  ]
}

/** QEMU reads `,,` as a comma within a value. */
function escapeCommas(text: string): string {
  return text.replaceAll(',', ',,')
}
