/** What must hold for every path of the disk that an entry's globs match. */
export type Must =
  /** There is none. */
  | { readonly kind: 'absent' }
  /** There is none but symbolic links. */
  | { readonly kind: 'absent-but-links' }
  /** Regular files have no bytes. */
  | { readonly kind: 'empty' }
  /** Regular files have nothing that the pattern matches. */
  | { readonly kind: 'without'; readonly pattern: RegExp; readonly sample: string }
  /** Regular files hold exactly this. */
  | { readonly kind: 'is'; readonly text: string }

/** One thing that must not be on a sealed disk. bootstrap/seal.sh removes it, src/seal/check.ts looks for it. */
export interface SealEntry {
  readonly id: string
  /**
   * Absolute globs: `*` is anything within a name (also at its beginning), `**` any depth, `{a,b}` one of them, `~` the
   * home of every user of the disk.
   */
  readonly paths: readonly string[]
  readonly must: Must
  readonly why: string
  /** Where the rule comes from: an operation of virt-sysprep, or parbake. */
  readonly source: 'parbake' | `virt-sysprep: ${string}`
}

const absent: Must = { kind: 'absent' }

function gone(id: string, source: SealEntry['source'], why: string, ...paths: readonly string[]): SealEntry {
  return { id, paths, must: absent, why, source }
}

/** What only virt-sysprep's default operations remove, and what they share with us. */
const fromSysprep: readonly SealEntry[] = [
  gone('abrt-data', 'virt-sysprep: abrt-data', 'crash reports hold memory of programs', '/var/spool/abrt/*'),
  gone('blkid-tab', 'virt-sysprep: blkid-tab', "names this machine's disks", '/etc/{blkid.tab,blkid.tab.old,blkid}'),
  gone(
    'crash-data',
    'virt-sysprep: crash-data',
    'dumps hold memory',
    '/var/crash/*',
    '/var/lib/systemd/{coredump,pstore}/*',
  ),
  gone(
    'at-jobs',
    'virt-sysprep: cron-spool',
    'jobs of this machine, with its environment',
    '/var/spool/{at,atjobs,cron/atjobs}/[a-zA-Z=][0-9a-f][0-9a-f]*',
  ),
  gone(
    'dhcp-client-state',
    'virt-sysprep: dhcp-client-state',
    'two hosts would ask for one address',
    ...['/var/lib/{dhcp,dhclient,dhcpcd,wicked}/*', '/var/lib/NetworkManager/*lease*'],
  ),
  gone('dhcp-server-state', 'virt-sysprep: dhcp-server-state', 'leases that this machine gave', '/var/lib/dhcpd/*'),
  gone('dovecot-data', 'virt-sysprep: dovecot-data', 'generated on this machine', '/var/lib/dovecot/*'),
  gone(
    'ipa-client',
    'virt-sysprep: ipa-client',
    "this machine's enrolment",
    '/etc/ipa/{ca.crt,default.conf}',
    '/var/lib/ipa-client/{sysrestore,pki}/*',
  ),
  gone('kerberos-hostkeytab', 'virt-sysprep: kerberos-hostkeytab', "this machine's Kerberos key", '/etc/krb5.keytab'),
  {
    id: 'logs',
    paths: ['/var/log/**'],
    must: { kind: 'empty' },
    why: 'logs name this machine and may hold what steps printed',
    source: 'virt-sysprep: logfiles',
  },
  gone(
    'logs-old',
    'virt-sysprep: logfiles',
    'old logs are of no use to a new host',
    ...[
      '/var/log/journal/*',
      '/var/log/**/*.{gz,xz,zst,bz2,old,[0-9]}',
      '/var/log/parbake.log',
      '/var/lib/logrotate/status',
    ],
  ),
  gone('lvm-system-devices', 'virt-sysprep: lvm-system-devices', "names this machine's disks", '/etc/lvm/devices/*'),
  {
    id: 'machine-id',
    paths: ['/etc/machine-id'],
    must: { kind: 'empty' },
    why: 'two hosts would have one machine id',
    source: 'virt-sysprep: machine-id',
  },
  {
    id: 'machine-id-dbus',
    paths: ['/var/lib/dbus/machine-id'],
    must: { kind: 'absent-but-links' },
    why: 'two hosts would have one machine id',
    source: 'virt-sysprep: machine-id',
  },
  gone('mail-spool', 'virt-sysprep: mail-spool', 'mail to users of this machine', '/var/{mail,spool/mail}/*'),
  {
    id: 'net-hostname',
    paths: ['/etc/hostname'],
    must: { kind: 'is', text: 'localhost\n' },
    why: 'the name of this machine',
    source: 'virt-sysprep: net-hostname',
  },
  {
    id: 'net-ifcfg',
    paths: ['/etc/sysconfig/network-scripts/ifcfg-*'],
    must: {
      kind: 'without',
      pattern: /^(?:HWADDR|UUID|HOSTNAME|DHCP_HOSTNAME)=/m,
      sample: 'HWADDR=52:54:00:12:34:56\n',
    },
    why: 'names this machine or its network card',
    source: 'virt-sysprep: net-hwaddr',
  },
  gone(
    'net-nmconn',
    'virt-sysprep: net-nmconn',
    "connections of this machine's cards",
    '/etc/NetworkManager/system-connections/*.nmconnection',
  ),
  gone('pacct-log', 'virt-sysprep: pacct-log', 'who ran what', '/var/account/pacct*'),
  gone(
    'package-cache',
    'virt-sysprep: package-manager-cache',
    'downloads that no host needs',
    ...['/var/cache/{dnf,yum,zypp,apk}/*', '/var/cache/apt/{*.bin,archives/*.deb,archives/partial/*}'],
    ...['/var/lib/apt/lists/{*_*,partial/*,auxfiles/*}'],
  ),
  gone(
    'passwd-backups',
    'virt-sysprep: passwd-backups',
    'old password hashes',
    '/etc/{passwd,shadow,group,gshadow,subuid,subgid}-',
  ),
  gone(
    'puppet-data',
    'virt-sysprep: puppet-data-log',
    "this machine's certificate and last runs",
    ...[
      '/var/lib/puppet/{ssl,state,reports,client_data}',
      '/etc/{puppet,puppetlabs/puppet}/ssl',
      '/opt/puppetlabs/puppet/cache/state',
    ],
  ),
  gone(
    'rh-subscription-manager',
    'virt-sysprep: rh-subscription-manager',
    "this machine's subscription",
    '/etc/pki/{consumer,entitlement}/*',
  ),
  gone(
    'rhn-systemid',
    'virt-sysprep: rhn-systemid',
    "this machine's registration",
    '/etc/sysconfig/rhn/{systemid,osad-auth.conf}',
  ),
  gone('rpm-db', 'virt-sysprep: rpm-db', 'locks of running programs', '/var/lib/rpm/__db.*'),
  gone(
    'samba-db',
    'virt-sysprep: samba-db-log',
    "this machine's identifier and password",
    '/var/lib/samba/{*.tdb,private/*}',
    '/var/cache/samba/*',
  ),
  gone(
    'smolt-uuid',
    'virt-sysprep: smolt-uuid',
    'an identifier of this machine',
    '/etc/sysconfig/hw-uuid',
    '/etc/smolt/{uuid,hw-uuid}',
  ),
  gone(
    'ssh-hostkeys',
    'virt-sysprep: ssh-hostkeys',
    'every host of the image could pose as every other',
    '/etc/ssh/ssh_host_*_key{,.pub}',
  ),
  gone('ssh-userdir', 'virt-sysprep: ssh-userdir', 'keys of people and of this machine', '/{root,home/*}/.ssh'),
  gone('sssd-db', 'virt-sysprep: sssd-db-log', 'cached accounts and passwords', '/var/lib/sss/{db,mc}/*'),
  gone('tmp-files', 'virt-sysprep: tmp-files', 'temporary files', '/tmp/*', '/var/tmp/*'),
  gone(
    'udev-persistent-net',
    'virt-sysprep: udev-persistent-net',
    "names this machine's network card",
    '/etc/udev/rules.d/*-persistent-net.rules',
  ),
  gone('yum-uuid', 'virt-sysprep: yum-uuid', 'an identifier of this machine', '/var/lib/yum/uuid'),
  gone(
    'shell-history',
    'virt-sysprep: bash-history',
    'commands, with what was typed into them',
    '~/.{bash,ash,sh,zsh}_history',
    '~/.{zhistory,history}',
  ),
  gone(
    'backup-files',
    'virt-sysprep: backup-files',
    'old versions of files',
    '/{etc,root,srv,var/{backups,cache,local,opt,spool,www}}/**/*{.bak,~}',
  ),
]

/** What virt-sysprep leaves. */
const fromUs: readonly SealEntry[] = [
  gone('parbake-conf', 'parbake', 'where the bake was told to look, and with which keys', '/etc/parbake'),
  gone(
    'parbake-state',
    'parbake',
    'what the agent knows about this machine',
    '/var/lib/parbake/{instances,log,report.json,status,every,schedule,keys,paused,trial,agent.refused,checked,tmp}',
  ),
  gone('bake-proxy', 'parbake', 'the download cache of the bake', '/etc/apt/apt.conf.d/00parbake-bake'),
  gone('bake-dpkg', 'parbake', 'hosts must wait for the disk', '/etc/dpkg/dpkg.cfg.d/00parbake-bake'),
  gone('cloud-init-state', 'parbake', 'the instance, its user-data and its secrets', '/var/lib/cloud/*'),
  gone(
    'cloud-init-network',
    'parbake',
    "this machine's network, made by cloud-init",
    ...[
      '/etc/netplan/50-cloud-init.yaml',
      '/etc/network/interfaces.d/50-cloud-init*',
      '/etc/systemd/network/10-cloud-init-*',
    ],
    ...['/etc/NetworkManager/{conf.d,system-connections}/*cloud-init*'],
    '/etc/cloud/cloud.cfg.d/{90-installer-network,50-curtin-networking}.cfg',
  ),
  gone(
    'cloud-init-access',
    'parbake',
    'who may get into this machine',
    '/etc/ssh/sshd_config.d/50-cloud-init.conf',
    '/etc/sudoers.d/90-cloud-init-users',
  ),
  {
    id: 'cloud-init-fstab',
    paths: ['/etc/fstab'],
    must: {
      kind: 'without',
      pattern: /comment=cloudconfig/,
      sample: '/dev/vdz /mnt auto defaults,comment=cloudconfig 0 2\n',
    },
    why: "this machine's disks, entered by cloud-init",
    source: 'parbake',
  },
  {
    id: 'hosts',
    paths: ['/etc/hosts'],
    must: { kind: 'without', pattern: /^127\.0\.1\.1\s/m, sample: '127.0.1.1 baked-here.example baked-here\n' },
    why: 'the name of this machine',
    source: 'parbake',
  },
  {
    id: 'resolv-conf',
    paths: ['/etc/resolv.conf'],
    must: {
      kind: 'without',
      pattern: /^#.*(?:NetworkManager|dhclient|dhcpcd|resolvconf|systemd-resolved|cloud-init)/im,
      sample: '# Generated by NetworkManager\nnameserver 10.11.12.13\n',
    },
    why: 'the name servers of the network that was baked in',
    source: 'parbake',
  },
  gone(
    'random-seed',
    'parbake',
    'two hosts would start from the same random numbers',
    ...['/var/lib/systemd/random-seed', '/var/lib/{urandom,seedrng}/*', '/{boot,efi,boot/efi}/loader/random-seed'],
  ),
  gone(
    'credential-secret',
    'parbake',
    'the key that encrypts credentials on this machine',
    '/var/lib/systemd/credential.secret',
  ),
  gone(
    'network-manager-state',
    'parbake',
    'secrets and networks seen',
    '/var/lib/NetworkManager/{secret_key,seen-bssids,timestamps}',
  ),
  gone('timers', 'parbake', 'when timers last ran on this machine', '/var/lib/systemd/timers/*'),
  gone(
    'clock-drift',
    'parbake',
    "the drift of this machine's clock",
    '/var/lib/{chrony/drift,ntp/ntp.drift,ntpsec/ntp.drift}',
  ),
  {
    id: 'iscsi-initiator',
    paths: ['/etc/iscsi/initiatorname.iscsi'],
    must: { kind: 'without', pattern: /^InitiatorName=/m, sample: 'InitiatorName=iqn.1993-08.org.debian:01:a1b2c3\n' },
    why: 'two hosts would log in to storage under one name',
    source: 'parbake',
  },
  gone('nvme-host', 'parbake', 'two hosts would log in to storage under one name', '/etc/nvme/{hostid,hostnqn}'),
  gone(
    'program-history',
    'parbake',
    'commands and queries, with what was typed into them',
    ...[
      '~/.{python,mysql,psql,sqlite,rediscli,node_repl,irb,dbshell,octave}_history',
      '~/.{lesshst,viminfo,wget-hsts}',
    ],
    '~/.local/share/{fish/fish_history,nano,recently-used.xbel}',
  ),
  gone(
    'home-cache',
    'parbake',
    'downloads and logs that no host needs',
    '/{root,home/*}/{.cache,.npm/_cacache,.npm/_logs,.ansible/tmp}',
  ),
  gone(
    'home-credentials',
    'parbake',
    'credentials of whoever baked',
    ...[
      '~/.aws/{credentials,cli/cache,sso/cache}',
      '~/.config/{gcloud,gh,git/credentials}',
      '~/.azure',
      '~/.docker/config.json',
    ],
    ...[
      '~/.{netrc,git-credentials,pgpass,vault-token,terraform.d/credentials.tfrc.json}',
      '~/.gnupg/{private-keys-v1.d,secring.gpg}',
    ],
  ),
  gone(
    'agents',
    'parbake',
    "this machine's registration with a management system",
    ...[
      '/etc/docker/key.json',
      '/var/lib/docker/engine-id',
      '/etc/salt/{minion_id,pki/minion/*}',
      '/etc/chef/client.pem',
    ],
    ...[
      '/var/lib/consul/node-id',
      '/opt/consul/node-id',
      '/var/lib/tailscale/tailscaled.state',
      '/var/lib/zerotier-one/identity.*',
    ],
    ...['/var/lib/amazon/ssm/{Vault,i-*}', '/var/lib/{waagent,ubuntu-advantage/private,landscape/client}/*'],
    ...['/var/lib/netdata/{registry,cloud.d}/*', '/var/lib/kubelet/pki/*'],
  ),
  gone(
    'package-leftovers',
    'parbake',
    'old versions of package databases, with password hashes and answers to questions',
    ...['/var/backups/*', '/var/lib/dpkg/*-old', '/var/cache/debconf/*-old', '/var/lib/apt/periodic/*'],
  ),
  {
    id: 'debconf-passwords',
    paths: ['/var/cache/debconf/passwords.dat'],
    must: {
      kind: 'without',
      pattern: /^Value: *\S/m,
      sample: 'Name: x/password\nTemplate: x/password\nValue: hunter22\n\n',
    },
    why: 'passwords that were given when packages were installed',
    source: 'parbake',
  },
  gone('lost-found', 'parbake', 'what a repair of the file system saved', '/lost+found/*'),
]

/**
 * Everything that must not be on a sealed disk. Operations of virt-sysprep that are on by default and left out here: user
 * crontabs (a step may have written them, and at runtime they would be there), LVM and file system UUIDs (an image is
 * one disk, booted by them), and what is in memory only (/run: utmp, pam-data).
 */
export const sealList: readonly SealEntry[] = [...fromSysprep, ...fromUs]
