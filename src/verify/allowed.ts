import type { Allowance } from './explain.ts'
import type { Aspect, Kind } from './inventory.ts'

/** What may differ between a host from the base and one from the image that are equal all the same, and why. */
export const builtInAllowances: readonly Allowance[] = [
  ...allow('parbake-state', 'the agent keeps here what it did on this host, and when; what its steps did is compared', [
    '/var/lib/parbake/**',
    '/var/log/parbake.log',
    '/run/parbake/**',
  ]),
  ...allow('parbake-schedule', 'the minute is spread by host; the unit starts the agent early in an image', [
    '/etc/cron.d/parbake',
    '/etc/systemd/system/parbake.timer',
  ]),
  ...allow(
    'boot-tuning',
    'written by the boot tunings that the plan applied to the image (src/tune/tunings.ts); `parbake plan` shows them',
    [
      '/etc/systemd/system/**/50-parbake-*.conf',
      '/etc/systemd/system/*.d',
      '/etc/systemd/system/parbake-cloud-init.service',
      '/etc/systemd/system/parbake-ssh-rsa.service',
      '/etc/systemd/system/cloud-init.target.wants/parbake-*.service',
      '/etc/initramfs-tools/hooks/zz-parbake-*',
      '/etc/initramfs-tools/conf.d/parbake',
      '/usr/local/lib/parbake/**',
    ],
    { only: 'image' },
  ),
  ...allow('boot-tuning', 'the initial RAM disk is made anew, without what the image does not need at boot', [
    '/boot/initrd.img-*',
    '/var/lib/initramfs-tools/**',
  ]),
  ...['parbake-cloud-init.service', 'parbake-ssh-rsa.service'].map((glob): Allowance => ({
    id: 'boot-tuning',
    kind: 'unit',
    glob,
    reason: 'belongs to a boot tuning of the image',
    source: 'built-in',
  })),
  ...allow('cloud-init-state', 'cloud-init keeps here what it did for this instance', [
    '/var/lib/cloud/**',
    '/var/log/cloud-init*.log',
  ]),
  ...allow(
    'identity',
    'belongs to one host and is new on every launch, which the identity checks prove',
    [
      '/etc/machine-id',
      '/var/lib/dbus/machine-id',
      '/etc/hostname',
      '/etc/ssh/ssh_host_*_key',
      '/etc/ssh/ssh_host_*_key.pub',
      '/var/lib/systemd/random-seed',
      '/var/lib/urandom/random-seed',
      '/var/lib/systemd/credential.secret',
      '/etc/iscsi/initiatorname.iscsi',
    ],
    { aspects: ['content'] },
  ),
  ...allow('logs', 'what happened when; an image starts with empty logs', ['/var/log/**'], {
    aspects: ['content', 'existence'],
  }),
  ...allow('backups', 'the state before the last change, kept by the program that made it; a seal removes it', [
    '/etc/passwd-',
    '/etc/shadow-',
    '/etc/group-',
    '/etc/gshadow-',
    '/etc/subuid-',
    '/etc/subgid-',
    '/var/lib/dpkg/*-old',
    '/var/cache/debconf/*-old',
    '/var/backups/**',
  ]),
  ...allow(
    'editor-backups',
    'copies that editors and packages leave of what they change; a seal removes them',
    ['/etc/**/*.bak', '/etc/**/*~', '/root/**/*.bak', '/root/**/*~', '/srv/**/*.bak', '/srv/**/*~'],
    { aspects: ['existence'], only: 'base' },
  ),
  ...allow('mail', 'what cron and others wrote to people; a seal removes it', ['/var/mail/**', '/var/spool/mail/**'], {
    aspects: ['existence', 'content'],
    only: 'base',
  }),
  ...allow(
    'accounts',
    'users, groups and whether they have a password are compared one by one; the files order them by time and date changes',
    ['/etc/passwd', '/etc/shadow', '/etc/group', '/etc/gshadow', '/etc/subuid', '/etc/subgid'],
    { aspects: ['content'] },
  ),
  ...allow(
    'package-database',
    'packages are compared one by one, with versions and marks; the database orders them by time',
    [
      '/var/lib/dpkg/status',
      '/var/lib/dpkg/available',
      '/var/lib/dpkg/lock*',
      '/var/lib/dpkg/triggers/**',
      '/var/lib/apt/extended_states',
      '/var/lib/rpm/**',
      '/usr/lib/sysimage/rpm/**',
      '/var/lib/dnf/**',
      '/lib/apk/db/**',
      '/var/cache/debconf/config.dat',
      '/var/cache/debconf/templates.dat',
      '/var/cache/debconf/passwords.dat',
    ],
    { aspects: ['content', 'existence'] },
  ),
  ...allow('package-downloads', 'lists and packages that can be fetched again; a seal removes them', [
    '/var/lib/apt/lists/**',
    '/var/lib/apt/periodic/**',
    '/var/cache/apt/**',
    '/var/cache/dnf/**',
    '/var/cache/yum/**',
    '/var/cache/apk/**',
    '/var/lib/apt/listchanges*',
  ]),
  ...allow('caches', 'made anew from other files, which are compared', [
    '/etc/ld.so.cache',
    '/var/cache/ldconfig/**',
    '/var/cache/man/**',
    '/var/cache/fontconfig/**',
    '/var/lib/systemd/catalog/database',
    '/etc/udev/hwdb.bin',
    '/root/.cache/**',
  ]),
  ...allow(
    'compiled-python',
    'Python compiles at first use and writes the time of the source into the file; the sources are compared',
    ['/**/__pycache__', '/**/__pycache__/**'],
    { aspects: ['content', 'existence'] },
  ),
  ...allow('temporary', 'for the duration of a boot; a seal empties it', ['/tmp/**', '/var/tmp/**', '/run/**']),
  ...allow('timers', 'when a timer last ran', [
    '/var/lib/systemd/timers/**',
    '/var/lib/logrotate/**',
    '/var/lib/man-db/**',
  ]),
  ...allow('leases', 'what a DHCP server gave to this host', [
    '/var/lib/dhcp/**',
    '/var/lib/dhclient/**',
    '/var/lib/dhcpcd/**',
    '/var/lib/NetworkManager/**',
  ]),
  ...allow('clock', 'says when the clock was last right', [
    '/var/lib/systemd/timesync/**',
    '/etc/adjtime',
    '/var/lib/chrony/**',
  ]),
  ...allow('sysctl-counters', 'a counter or a random number, no setting', [
    '/proc/sys/kernel/random/*',
    '/proc/sys/kernel/ns_last_pid',
    '/proc/sys/kernel/hostname',
    '/proc/sys/kernel/pty/nr',
    '/proc/sys/fs/*-nr',
    '/proc/sys/fs/*-state',
    '/proc/sys/fs/quota/*',
    '/proc/sys/net/netfilter/nf_conntrack_count',
    '/proc/sys/kernel/perf_event_max_sample_rate',
    '/proc/sys/kernel/sched_domain/**',
    '/proc/sys/net/ipv6/conf/*/stable_secret',
  ]).map((allowance): Allowance => ({ ...allowance, kind: 'sysctl' })),
  ...units('units-by-timer', 'started by a timer or by what happened meanwhile, not by the state of the host', [
    'apt-daily*.service',
    'dpkg-db-backup.service',
    'e2scrub*.service',
    'fstrim.service',
    'logrotate.service',
    'man-db.service',
    'systemd-tmpfiles-clean.service',
    'systemd-hostnamed.service',
    'systemd-timedated.service',
    'systemd-localed.service',
    'packagekit.service',
    'parbake.service',
  ]),
  ...units('sessions', 'there while somebody is logged in or something runs as by su, and for ten seconds after', [
    'user@*.service',
    'user-runtime-dir@*.service',
    'run-user-*.mount',
    'session-*.scope',
  ]),
  ...units('parbake-unit', 'starts the converge of a boot; on a host from the base that boot was before the unit', [
    'parbake-boot.service',
  ]),
]

interface Narrowed {
  readonly aspects?: readonly Aspect[]
  readonly only?: 'base' | 'image'
}

function allow(id: string, reason: string, globs: readonly string[], narrowed: Narrowed = {}): readonly Allowance[] {
  return globs.map((glob) => ({ id, kind: 'file' as Kind, glob, reason, source: 'built-in', ...narrowed }))
}

function units(id: string, reason: string, globs: readonly string[]): readonly Allowance[] {
  return globs.map((glob) => ({ id, kind: 'unit', glob, aspects: ['state'], reason, source: 'built-in' }))
}
