/** What one boot of a container is made of; folders as in its mount namespace. */
export interface NspawnOptions {
  /** Name among the containers of this machine; the system does not see it. */
  readonly name: string
  readonly hostname: string
  readonly root: string
  /** Appears as /run/parbake-bake. */
  readonly control: string
  /** Appear read-only in the system, by the folder they cover. */
  readonly readOnly: readonly { readonly source: string; readonly target: string }[]
}

/** Folder of the driver in the system; bootstrap/bake.sh knows it too. */
export const controlFolder = '/run/parbake-bake'

/**
 * The arguments of systemd-nspawn. With a user namespace in which every id means itself: files need no shifting, but root
 * in the container is not root of this machine, and can neither make device nodes nor mount disks. nspawn must change
 * nothing in the tree, so that what comes out is what a virtual machine would have written. Pure.
 */
export function nspawnArgs(options: NspawnOptions): readonly string[] {
  const { control } = options
  return [
    '--quiet',
    `--directory=${options.root}`,
    `--machine=${options.name}`,
    `--hostname=${options.hostname}`,
    ...['--register=no', '--keep-unit', '--settings=no', '--boot', '--console=read-only'],
    ...['--resolv-conf=off', '--timezone=off', '--link-journal=no'],
    ...['--private-users=identity', '--private-users-ownership=off'],
    '--private-network',
    '--rlimit=NOFILE=1024:524288',
    `--bind=${escape(control)}:${controlFolder}`,
    `--bind-ro=${escape(control)}/driver.service:/run/systemd/system/${driverUnit}`,
    `--bind-ro=${escape(control)}/eth0.network:/run/systemd/network/00-parbake-bake.network`,
    ...options.readOnly.map(({ source, target }) => `--bind-ro=${escape(source)}:${escape(target)}`),
    '--',
    ...kernelWords,
  ]
}

/** /tmp on disk, as in a virtual machine whose fstab does not say otherwise. */
export const nspawnEnvironment = { SYSTEMD_NSPAWN_TMPFS_TMP: '0' } as const

const driverUnit = 'parbake-bake.service'

/** In a container the arguments of process 1 stand for the kernel's command line, to systemd and to cloud-init. */
const kernelWords: readonly string[] = [
  'systemd.show_status=1',
  `systemd.wants=${driverUnit}`,
  // There is no root device to remount, no terminal to log in on, and no link that would need waiting for.
  'systemd.mask=systemd-remount-fs.service',
  'systemd.mask=console-getty.service',
  'systemd.mask=systemd-networkd-wait-online.service',
  `ds=nocloud;s=${controlFolder}/seed/`,
  // The network is set up already; what cloud-init would write about it would have to be removed again.
  'network-config=disabled',
]

/** The unit that starts the driver, early, for it waits for cloud-init itself. */
export function driverService(port: { readonly in: string; readonly out: string }): string {
  return [
    '[Unit]',
    'Description=parbake bake driver',
    'DefaultDependencies=no',
    'After=systemd-journald.socket cloud-config.service',
    '[Service]',
    // What a step leaves running is the system's; it goes with the system, not with the driver.
    'KillMode=process',
    'TasksMax=infinity',
    `ExecStart=/bin/sh ${controlFolder}/bake.sh ${controlFolder}/${port.in} ${controlFolder}/${port.out}`,
    '',
  ].join('\n')
}

/** nspawn separates the fields of its arguments by colons. */
function escape(path: string): string {
  return path.replaceAll('\\', '\\\\').replaceAll(':', '\\:')
}

/** Lines of nspawn itself that mean nothing here. */
export function isNoise(line: string): boolean {
  return line.startsWith('Attempted to remove disk file system under ')
}
