import { compareVersions, type GuestFacts } from './facts.ts'

/** One thing that bootstrap/tune.sh can do to an image so that its hosts are ready sooner. */
export interface Tuning {
  /** As tune.sh takes it. */
  readonly name: string
  readonly title: string
  readonly does: string
  /** `same`: users of the machine see nothing but its speed. `deeper`: something is different, see `changes`. */
  readonly level: 'same' | 'deeper'
  /** Why nothing changes, or what does. */
  readonly changes: string
  readonly saved: Saving
  /** Names of tunings that are needless with this one. */
  readonly replaces?: readonly string[]
  /** Why it cannot do anything on such a system, as a clause for people; undefined where it can. */
  obstacle(facts: GuestFacts): string | undefined
}

/** What a tuning brought by itself in a measurement. */
export interface Saving {
  /** Seconds of launch-to-ready; 0 where it was not measured apart from the others. */
  readonly seconds: number
  /** On what, compared how. */
  readonly how: string
}

const together: Saving = {
  seconds: 0,
  how: 'measured with the others of its level only: bench/boot-tuning.ts --only NAME measures it alone',
}

/** No image with a tuning of level `deeper` has been booted yet: a bake that uses one relies on its verifying launch. */
const unbooted: Saving = { seconds: 0, how: 'not measured, and not booted yet' }

/** From this release on cloud-init runs all its stages in one process by itself. */
const oneProcess = '24.3'

/** All tunings, in the order in which they are applied. */
export const tunings: readonly Tuning[] = [
  {
    name: 'cloud-init-fork',
    title: 'Load cloud-init once',
    does: 'Python and cloud-init are loaded once, early and beside other work; each stage is a process forked from that',
    level: 'same',
    changes:
      'the same stages with the same modules run in the same order, each in a process of its own in its own unit, with its ' +
      'streams and environment; without the server a stage starts as ever',
    saved: together,
    obstacle: (facts) =>
      facts.cloudInit !== undefined && compareVersions(facts.cloudInit, oneProcess) >= 0
        ? `cloud-init ${facts.cloudInit} runs all stages in one process by itself`
        : needsCloudInit(facts),
  },
  {
    name: 'ssh-rsa-ahead',
    title: 'Make the RSA host key beside other work',
    does: "the RSA host key is made in memory from the start of the boot, and handed over when cloud-init's ssh module asks",
    level: 'same',
    changes:
      'cloud-init decides as ever which keys there are; a key that it does not ask for is dropped; the generator and its ' +
      'randomness are the same',
    saved: {
      seconds: 3.2,
      how: 'the wait for ssh-keygen -t rsa in cloud-init.log, 4.2 and 1.0 s, one boot each under TCG on a busy machine',
    },
    obstacle: needsCloudInit,
  },
  {
    name: 'growpart-ask',
    title: 'Ask the kernel whether the root can grow',
    does: "cloud-init's growpart module learns from the kernel's sizes that no room follows the root's partition",
    level: 'same',
    changes: 'the answer is that of growpart; where there is room, growpart itself is asked, and grows',
    saved: {
      seconds: 0.9,
      how: 'growpart --dry-run in cloud-init.log, three boots under TCG of disks as large as the image',
    },
    obstacle: needsCloudInit,
  },
  {
    name: 'cpu-share',
    title: 'The first converge comes first',
    does: 'while the system starts and CPUs are short, what the first converge waits for gets a larger share of them',
    level: 'same',
    changes: 'shares count only until the system has started, and nothing is stopped or left out',
    saved: together,
    obstacle: () => undefined,
  },
  {
    name: 'initrd-trim',
    title: 'A smaller initial RAM disk',
    does: "file systems other than the root's, disks over the network and test devices are left out of the initial RAM disk",
    level: 'same',
    changes:
      'every driver of a disk controller or network card stays, so the image boots where it did; what is left out is loaded ' +
      'from the root file system when it is needed',
    saved: together,
    obstacle: needsInitramfsTools,
  },
  {
    name: 'steps-early',
    title: "Do not wait for cloud-init's config stage",
    does: "the first converge runs its steps after cloud-init's network stage, beside its config stage",
    level: 'deeper',
    changes:
      'steps at run time may come before the locale, time zone, NTP servers and package sources that user-data sets',
    saved: unbooted,
    obstacle: () => undefined,
  },
  {
    name: 'ssh-ed25519',
    title: 'One host key',
    does: 'cloud-init makes an Ed25519 host key only',
    level: 'deeper',
    changes: 'hosts have no RSA and no ECDSA key; OpenSSH before 6.5 (2014) cannot connect',
    replaces: ['ssh-rsa-ahead'],
    saved: unbooted,
    obstacle: needsCloudInit,
  },
  {
    name: 'initrd-minimal',
    title: 'A minimal initial RAM disk',
    does: "the initial RAM disk holds the root's file system and the disk and network drivers of common virtual machines",
    level: 'deeper',
    changes:
      'the image boots on QEMU, Amazon, Google, Microsoft, VMware and Xen machines only, and its emergency shell can do less',
    replaces: ['initrd-trim'],
    saved: unbooted,
    obstacle: needsInitramfsTools,
  },
  {
    name: 'network-ahead',
    title: 'Bring up the network beside cloud-init',
    does: 'systemd-networkd configures all Ethernet links by DHCP without waiting for cloud-init',
    level: 'deeper',
    changes: 'a network configuration from the data source is ignored, and the first DHCP request has no host name',
    saved: unbooted,
    obstacle: needsCloudInit,
  },
  {
    name: 'units',
    title: 'Leave out units',
    does: 'units for debugging, foreign binaries, the screen console, login accounting and rarely used file systems are masked',
    level: 'deeper',
    changes:
      'no debugfs, tracefs, hugetlbfs, mqueue and configfs are mounted, no login prompt is on tty1, `last` knows no boots',
    saved: unbooted,
    obstacle: () => undefined,
  },
  {
    name: 'modules',
    title: 'Leave out kernel modules',
    does: 'udev no longer loads KVM, frequency scaling and other modules that the CPU, not a device, asks for',
    level: 'deeper',
    changes: 'nested virtualisation needs `modprobe kvm_intel` or `kvm_amd` first',
    saved: unbooted,
    obstacle: () => undefined,
  },
  {
    name: 'kernel-args',
    title: 'A quiet kernel',
    does: 'less is said on the console, file systems are not checked and ciphers not self-tested at boot',
    level: 'deeper',
    changes: 'a damaged root file system is not repaired at boot, and the console shows what fails only',
    saved: unbooted,
    obstacle: () => undefined,
  },
]

function needsCloudInit(facts: GuestFacts): string | undefined {
  return facts.osId !== undefined && facts.cloudInit === undefined ? 'it has no cloud-init from a package' : undefined
}

function needsInitramfsTools(facts: GuestFacts): string | undefined {
  return facts.osId !== undefined && facts.initramfs !== 'initramfs-tools'
    ? 'its initial RAM disk is not made by initramfs-tools'
    : undefined
}
