import type { BaseDefinition } from '../definition.ts'

const rootLabel = 'root'
const rootUuid = '6e0f1d7c-2b53-4c6a-9b5e-70617262616b'
const kernelArguments = ['console=tty0', 'console=ttyS0,115200', 'consoleblank=0', 'loglevel=4']

/** Kernel and initrd by the links that Debian's kernel packages keep up to date: no boot loader package is needed. */
const grubConfig = `\
# Written by parbake. /vmlinuz and /initrd.img are links kept by the kernel packages.
set timeout=0
set default=0
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
search --no-floppy --fs-uuid --set=root ${rootUuid}

menuentry 'Debian GNU/Linux' {
  linux /vmlinuz root=UUID=${rootUuid} ro ${kernelArguments.join(' ')}
  initrd /initrd.img
}

menuentry 'Debian GNU/Linux, the kernel before the last update' {
  linux /vmlinuz.old root=UUID=${rootUuid} ro ${kernelArguments.join(' ')}
  initrd /initrd.img.old
}
`

const cloudConfig = `\
# The list holds every module of Debian's but those that have nothing to do here: grub-dpkg (there is no GRUB package),
# snap and byobu. User-data overrides all of this.
datasource_list: [ NoCloud, ConfigDrive, Azure, OpenStack, Ec2, GCE, DigitalOcean, Hetzner, Oracle, VMware, OVF, None ]
cloud_config_modules: [ ssh-import-id, keyboard, locale, set-passwords, apt-pipelining, apt-configure, ntp, timezone, \
disable-ec2-metadata, runcmd ]
locale: C.UTF-8
ssh_genkeytypes: [ ed25519, ecdsa, rsa ]
`

export const debian12: BaseDefinition = {
  name: 'debian-12',
  distribution: 'Debian 12 (bookworm)',
  suite: 'bookworm',
  mirror: 'http://deb.debian.org/debian',
  securityMirror: 'http://deb.debian.org/debian-security',
  architecture: 'amd64',
  components: ['main'],
  packages: [
    'ca-certificates',
    'cloud-guest-utils',
    'cloud-init',
    'cron',
    'curl',
    'dbus',
    'e2fsprogs',
    'fdisk',
    'initramfs-tools',
    'iproute2',
    'iputils-ping',
    'kmod',
    'less',
    'libpam-systemd',
    'linux-image-cloud-amd64',
    'netbase',
    'openssh-server',
    'openssl',
    'procps',
    'sudo',
    'systemd-resolved',
    'systemd-sysv',
    'systemd-timesyncd',
    'tzdata',
    'udev',
  ],
  kernelArguments,
  diskSizeMiB: 4096,
  rootLabel,
  rootUuid,
  diskId: '0x70617262',
  files: [
    { path: '/boot/grub/grub.cfg', mode: '0644', content: grubConfig },
    { path: '/etc/cloud/cloud.cfg.d/90_parbake.cfg', mode: '0644', content: cloudConfig },
    {
      // systemd enables every unit that no preset names at the first boot.
      path: '/etc/systemd/system-preset/50-parbake.preset',
      mode: '0644',
      content: '# Looks for snapshots on LVM, which this image has not.\ndisable e2scrub_reap.service\n',
    },
    { path: '/etc/fstab', mode: '0644', content: `UUID=${rootUuid} / ext4 rw,discard,errors=remount-ro 0 1\n` },
    { path: '/etc/hostname', mode: '0644', content: 'debian\n' },
    { path: '/etc/hosts', mode: '0644', content: '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' },
    { path: '/etc/default/locale', mode: '0644', content: 'LANG=C.UTF-8\n' },
  ],
  prepare: [],
  finish: [
    'rm -f "$1"/etc/ssh/ssh_host_*',
    'rm -f "$1"/var/lib/systemd/random-seed "$1"/var/lib/dbus/machine-id',
    'printf "uninitialized\\n" > "$1"/etc/machine-id && chmod 0444 "$1"/etc/machine-id',
    'ln -sf ../run/systemd/resolve/stub-resolv.conf "$1"/etc/resolv.conf',
    'chroot "$1" systemctl enable systemd-networkd.service systemd-resolved.service',
    'chroot "$1" systemctl disable e2scrub_reap.service',
    'rm -rf "$1"/var/log/*.log "$1"/var/log/apt/* "$1"/var/log/journal/*',
  ],
}
