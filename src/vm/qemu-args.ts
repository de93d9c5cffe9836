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

/** A kernel that QEMU starts itself, without the disk's boot loader. */
export interface DirectKernel {
  readonly kernel: string
  readonly initrd: string
  /** Its command line. */
  readonly arguments: string
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
  /** Unix socket that QEMU listens on: a second serial port, /dev/ttyS1 in the guest. */
  readonly shellSocket?: string
  /** Do not run the guest's CPUs until `cont`. */
  readonly paused?: boolean
  /** Do not boot, but wait for `migrate-incoming` to load what `saveState` wrote on the same machine. */
  readonly incoming?: boolean
  /** Tell the guest's kernel when it goes on from a saved state, so that two of them draw different random numbers. */
  readonly generationId?: boolean
  /** Boot by UEFI instead of BIOS. */
  readonly uefi?: UefiFlash
  /** Start this kernel instead of what the disk's boot loader would. */
  readonly directKernel?: DirectKernel
}

/** QEMU's block node of the first disk. */
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
    ...(machine.shellSocket === undefined ? [] : shellArgs(machine.shellSocket)),
    ...['-chardev', `socket,id=qmp,path=${escapeCommas(machine.qmpSocket)}`, '-mon', 'chardev=qmp,mode=control'],
    ...['-device', 'virtio-rng-pci'],
    ...(machine.generationId === true ? ['-device', 'vmgenid,guid=auto'] : []),
    ...(machine.directKernel === undefined ? [] : kernelArgs(machine.directKernel)),
    ...firstDiskArgs(machine.disk, machine.directKernel === undefined),
    ...(machine.seed === undefined ? [] : extraDiskArgs(seedDisk(machine.seed), 'seed')),
    ...(machine.extraDisks ?? []).flatMap((disk, index) => extraDiskArgs(disk, `extra${index}`)),
    ...networkArgs(machine),
    ...(machine.channelSocket === undefined ? [] : channelArgs(machine.channelSocket)),
    ...(machine.incoming === true ? ['-incoming', 'defer'] : []),
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

/**
 * A qcow2 file as QEMU opens it for the guest to write to. Discards reach the file, so that fstrim shrinks it; flushes are
 * dropped, for the disk is thrown away when we crash. The cache bound is that of a 64 GiB disk in 4 KiB clusters; QEMU takes
 * no more than the disk needs.
 */
export function diskOptions(path: string, node: string): Readonly<Record<string, unknown>> {
  const cache = { direct: false, 'no-flush': true }
  return {
    driver: 'qcow2',
    'node-name': node,
    discard: 'unmap',
    'detect-zeroes': 'unmap',
    'l2-cache-size': 128 * 1024 * 1024,
    cache,
    file: { driver: 'file', filename: path, discard: 'unmap', cache },
  }
}

/** The guest is told to discard in pieces of 4 KiB, the block size of its file system. */
function firstDiskArgs(path: string, bootable: boolean): string[] {
  return [
    ...blockdev(diskOptions(path, diskNode)),
    // A kernel of QEMU's own claims the first place.
    ...['-device', `virtio-blk-pci,drive=${diskNode}${bootable ? ',bootindex=0' : ''},discard_granularity=4096`],
  ]
}

function kernelArgs({ kernel, initrd, arguments: words }: DirectKernel): string[] {
  return ['-kernel', kernel, '-initrd', initrd, '-append', words]
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

function shellArgs(socket: string): string[] {
  return [
    ...['-chardev', `socket,id=shell,path=${escapeCommas(socket)},server=on,wait=off`],
    ...['-serial', 'chardev:shell'],
  ]
}

/** QEMU reads `,,` as a comma within a value. */
function escapeCommas(text: string): string {
  return text.replaceAll(',', ',,')
}
