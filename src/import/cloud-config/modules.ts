import type { StepDraft } from '../model.ts'

/** Keys that one module of cloud-init works off: the step hands them to that very module on the host. */
export interface ModuleRule {
  /** Name of the step. */
  readonly name: string
  readonly description: string
  /** As `cloud-init single --name` takes them, in their order. */
  readonly modules: readonly string[]
  readonly keys: readonly string[]
  readonly when?: StepDraft['when']
  readonly apart?: StepDraft['apart']
  /** Said in the listing. */
  readonly note?: string
}

const diskNote =
  'disks belong to a host: once per instance; scripts after it wait for it, so they are baked only once their needs leave it out'

const perHost = { when: 'instance', apart: 'all' } as const

/** Before packages, in the order in which cloud-init runs them. */
export const earlyModules: readonly ModuleRule[] = [
  {
    name: 'disks',
    description: 'Partitions and file systems',
    modules: ['disk_setup'],
    keys: ['disk_setup', 'fs_setup', 'device_aliases'],
    when: 'instance',
    note: diskNote,
  },
  {
    name: 'mounts',
    description: 'Mounts and swap',
    modules: ['mounts'],
    keys: ['mounts', 'mount_default_fields', 'swap'],
    when: 'instance',
    note: diskNote,
  },
  {
    ...{ name: 'hostname', description: 'Name of the host', modules: ['set_hostname', 'update_etc_hosts'] },
    keys: [
      'hostname',
      'fqdn',
      'preserve_hostname',
      'prefer_fqdn_over_hostname',
      'create_hostname_file',
      'manage_etc_hosts',
    ],
    ...perHost,
    note: 'every host of this recipe gets this name; without it each has the name from its launch',
  },
  {
    ...{ name: 'wireguard', description: 'WireGuard', modules: ['wireguard'], keys: ['wireguard'], ...perHost },
    note: 'its private key can be read by whoever may read the store',
  },
  { name: 'ca-certs', description: 'Trusted certificates', modules: ['ca_certs'], keys: ['ca_certs', 'ca-certs'] },
  {
    name: 'rsyslog',
    description: 'Log forwarding',
    modules: ['rsyslog'],
    keys: ['rsyslog', 'rsyslog_filename', 'rsyslog_dir', 'rsyslog_remotes'],
  },
  {
    name: 'resolver',
    description: 'Name servers',
    modules: ['resolv_conf'],
    keys: ['resolv_conf', 'manage_resolv_conf'],
  },
]

/** After users. */
export const configModules: readonly ModuleRule[] = [
  {
    name: 'passwords',
    description: 'Passwords and login by password',
    modules: ['set_passwords'],
    keys: ['password', 'chpasswd'],
    ...perHost,
    note: 'passwords in it can be read by whoever may read the store',
  },
  { name: 'ssh-by-password', description: 'SSH by password', modules: ['set_passwords'], keys: ['ssh_pwauth'] },
  {
    name: 'ssh-import-id',
    description: 'SSH keys by name',
    modules: ['ssh_import_id'],
    keys: ['ssh_import_id'],
    ...perHost,
  },
  { name: 'snaps', description: 'Snaps', modules: ['snap'], keys: ['snap'] },
  { name: 'keyboard', description: 'Keyboard layout', modules: ['keyboard'], keys: ['keyboard'] },
  { name: 'locale', description: 'Locale', modules: ['locale'], keys: ['locale', 'locale_configfile'] },
  { name: 'apk-repositories', description: 'Package repositories', modules: ['apk_configure'], keys: ['apk_repos'] },
  {
    ...{ name: 'apt-sources', description: 'Package sources', modules: ['apt_pipelining', 'apt_configure'] },
    keys: [
      'apt',
      'apt_pipelining',
      'apt_sources',
      'apt_mirror',
      'apt_mirror_search',
      'apt_mirror_search_dns',
      'apt_proxy',
      'apt_http_proxy',
      'apt_https_proxy',
      'apt_ftp_proxy',
      'apt_custom_sources_list',
      'apt_preserve_sources_list',
      'add_apt_repo_match',
    ],
  },
  {
    ...{ name: 'ubuntu-pro', description: 'Ubuntu Pro', modules: ['ubuntu_pro'], ...perHost },
    keys: ['ubuntu_pro', 'ubuntu_advantage', 'ubuntu-advantage'],
  },
  {
    ...{ name: 'subscription', description: 'Red Hat subscription', modules: ['rh_subscription'], ...perHost },
    keys: ['rh_subscription'],
  },
  { name: 'spacewalk', description: 'Spacewalk', modules: ['spacewalk'], keys: ['spacewalk'], ...perHost },
  {
    name: 'yum-repositories',
    description: 'Package repositories',
    modules: ['yum_add_repo'],
    keys: ['yum_repos', 'yum_repo_dir'],
  },
  { name: 'zypper-repositories', description: 'Package repositories', modules: ['zypper_add_repo'], keys: ['zypper'] },
  { name: 'ntp', description: 'Time servers', modules: ['ntp'], keys: ['ntp'] },
  { name: 'timezone', description: 'Time zone', modules: ['timezone'], keys: ['timezone'] },
  { name: 'byobu', description: 'Byobu for users', modules: ['byobu'], keys: ['byobu_by_default'] },
]

/** After packages. */
export const finalModules: readonly ModuleRule[] = [
  { name: 'fan', description: 'Fan networking', modules: ['fan'], keys: ['fan'], ...perHost },
  { name: 'landscape', description: 'Landscape', modules: ['landscape'], keys: ['landscape'], ...perHost },
  { name: 'lxd', description: 'LXD', modules: ['lxd'], keys: ['lxd'], when: 'instance' },
  { name: 'drivers', description: 'Drivers', modules: ['ubuntu_drivers'], keys: ['drivers'], when: 'instance' },
  { name: 'puppet', description: 'Puppet', modules: ['puppet'], keys: ['puppet'], when: 'instance' },
  { name: 'chef', description: 'Chef', modules: ['chef'], keys: ['chef'], when: 'instance' },
  { name: 'ansible', description: 'Ansible', modules: ['ansible'], keys: ['ansible'] },
  {
    name: 'mcollective',
    description: 'MCollective',
    modules: ['mcollective'],
    keys: ['mcollective'],
    when: 'instance',
  },
  { name: 'salt', description: 'Salt minion', modules: ['salt_minion'], keys: ['salt_minion'], when: 'instance' },
]

/** At the very end. */
export const lastModules: readonly ModuleRule[] = [
  {
    name: 'phone-home',
    description: 'Tells a server that the host is there',
    modules: ['phone_home'],
    keys: ['phone_home'],
    ...perHost,
  },
]

interface Reason {
  readonly why: string
  readonly hint?: string
}

const ofCloudInit: Reason = { why: 'it is about how cloud-init itself works' }
const ofLaunch: Reason = {
  why: 'cloud-init does it before the agent is there',
  hint: 'keep it in the user-data beside what `parbake user-data` prints, or in the base image',
}
const ofAgent: Reason = {
  why: 'the agent does not do that',
  hint: 'the agent logs to /var/log/parbake.log and to the console',
}
const hostKeys: Reason = {
  why: 'host keys are made at the first boot and must not be in a recipe, which whoever may read the store can read',
}

/** Keys that are known and cannot be carried over. */
export const lostKeys: Readonly<Record<string, Reason>> = {
  user: {
    why: "it renames the image's default user, whom cloud-init makes before the agent is there",
    hint: 'name the user under users',
  },
  package_reboot_if_required: {
    why: 'recipes reboot hosts without conditions only',
    hint: 'bake the packages: hosts then boot with them, and need no reboot',
  },
  autoinstall: { why: 'it is for the installer, not for cloud-init' },
  ...forAll(ofAgent, ['final_message', 'output']),
  ...forAll(ofLaunch, ['growpart', 'resize_rootfs', 'network', 'random_seed', 'disable_ec2_metadata']),
  ...forAll(ofLaunch, ['grub_dpkg', 'grub-dpkg', 'ssh', 'disable_root', 'disable_root_opts', 'allow_public_ssh_keys']),
  ...forAll(ofLaunch, ['no_ssh_fingerprints', 'authkey_hash', 'ssh_fp_console_blacklist', 'ssh_key_console_blacklist']),
  ...forAll(hostKeys, ['ssh_deletekeys', 'ssh_genkeytypes', 'ssh_keys', 'ssh_publish_hostkeys', 'ssh_quiet_keygen']),
  ...forAll(ofCloudInit, ['datasource', 'datasource_list', 'system_info', 'reporting', 'merge_how', 'merge_type']),
  ...forAll(ofCloudInit, ['cloud_init_modules', 'cloud_config_modules', 'cloud_final_modules', 'unverified_modules']),
  ...forAll(ofCloudInit, ['vendor_data', 'launch-index', 'updates', 'manual_cache_clean', 'debug', 'syslog_fix_perms']),
  ...forAll(ofCloudInit, ['def_log_file', 'log_cfgs']),
}

function forAll(reason: Reason, keys: readonly string[]): Readonly<Record<string, Reason>> {
  return Object.fromEntries(keys.map((key) => [key, reason]))
}
