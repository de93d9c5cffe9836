/** A command as an argv, run without a shell, or as one line for `sh`. */
export type CloudCommand = readonly string[] | string

/** A package name, or name and version. */
export type CloudPackage = string | readonly [name: string, version: string]

/** One entry of `write_files` as cloud-init reads it. */
export interface CloudFile {
  /** Absolute. */
  readonly path: string
  readonly content?: string
  /** Of `content`: plain text where absent. */
  readonly encoding?: 'b64' | 'gz+b64'
  /** `user:group`; cloud-init takes `root:root` where absent. */
  readonly owner?: string
  /** Octal digits in a string: a bare YAML number would be read in another base. cloud-init takes `0644` where absent. */
  readonly permissions?: string
  readonly append?: boolean
  /** Write in the final stage, after users and packages, not at the start. */
  readonly defer?: boolean
}

/** One entry of `users`. */
export interface CloudUser {
  readonly name: string
  /** The comment field of /etc/passwd. */
  readonly gecos?: string
  readonly groups?: string | readonly string[]
  readonly primary_group?: string
  readonly homedir?: string
  readonly shell?: string
  readonly uid?: number
  readonly system?: boolean
  readonly no_create_home?: boolean
  readonly no_user_group?: boolean
  readonly no_log_init?: boolean
  readonly lock_passwd?: boolean
  /** A crypt(3) hash. */
  readonly passwd?: string
  readonly hashed_passwd?: string
  readonly plain_text_passwd?: string
  readonly ssh_authorized_keys?: readonly string[]
  readonly ssh_import_id?: readonly string[]
  readonly ssh_redirect_user?: boolean
  /** A rule for sudoers; false for none. The schema of cloud-init 22.4 takes no list. */
  readonly sudo?: string | false
  /** YYYY-MM-DD. */
  readonly expiredate?: string
  /** Days, as a string of digits. */
  readonly inactive?: string
}

export type SshKeyType = 'rsa' | 'ecdsa' | 'ed25519' | 'dsa'

/** An entry of `apt.sources`. */
export interface AptSource {
  readonly source?: string
  readonly key?: string
  readonly keyid?: string
  readonly keyserver?: string
  readonly filename?: string
  readonly append?: boolean
}

export interface AptMirror {
  readonly arches: readonly string[]
  readonly uri?: string
  readonly search?: readonly string[]
  readonly search_dns?: boolean
}

export interface Apt {
  readonly preserve_sources_list?: boolean
  readonly disable_suites?: readonly string[]
  readonly primary?: readonly AptMirror[]
  readonly security?: readonly AptMirror[]
  readonly sources?: Readonly<Record<string, AptSource>>
  readonly sources_list?: string
  readonly conf?: string
  readonly debconf_selections?: Readonly<Record<string, string>>
  readonly proxy?: string
  readonly http_proxy?: string
  readonly https_proxy?: string
}

/** One line of fstab; missing fields get cloud-init's defaults. */
export type CloudMount = readonly [device: string, ...fields: string[]]

/**
 * A cloud-config document: the modules that machines provisioned by parbake use. Names and meanings are cloud-init's own.
 * `users` replaces the image's default user unless it holds `'default'`.
 */
export interface CloudConfigDocument {
  readonly apt?: Apt
  /** Runs at every boot, early, before the network is sure to be there. */
  readonly bootcmd?: readonly CloudCommand[]
  readonly ca_certs?: { readonly remove_defaults?: boolean; readonly trusted?: readonly string[] }
  readonly chpasswd?: {
    readonly expire?: boolean
    readonly users?: readonly {
      readonly name: string
      readonly password?: string
      readonly type?: 'hash' | 'text' | 'RANDOM'
    }[]
  }
  readonly disable_ec2_metadata?: boolean
  readonly disable_root?: boolean
  readonly disable_root_opts?: string
  readonly final_message?: string
  readonly fqdn?: string
  readonly groups?: readonly (string | Readonly<Record<string, readonly string[]>>)[]
  readonly growpart?: {
    readonly mode?: 'auto' | 'growpart' | 'gpart' | 'off'
    readonly devices?: readonly string[]
    readonly ignore_growroot_disabled?: boolean
  }
  readonly hostname?: string
  readonly keyboard?: {
    readonly layout: string
    readonly model?: string
    readonly variant?: string
    readonly options?: string
  }
  readonly locale?: string | false
  readonly manage_etc_hosts?: boolean | 'localhost'
  readonly manage_resolv_conf?: boolean
  readonly mounts?: readonly CloudMount[]
  readonly no_ssh_fingerprints?: boolean
  readonly ntp?: {
    readonly enabled?: boolean
    readonly ntp_client?: string
    readonly pools?: readonly string[]
    readonly servers?: readonly string[]
  }
  readonly output?: Readonly<Partial<Record<'all' | 'init' | 'config' | 'final', string | readonly string[]>>>
  readonly package_reboot_if_required?: boolean
  readonly package_update?: boolean
  readonly package_upgrade?: boolean
  readonly packages?: readonly CloudPackage[]
  readonly phone_home?: {
    readonly url: string
    readonly post?: 'all' | readonly string[]
    readonly tries?: number
  }
  readonly power_state?: {
    readonly mode: 'poweroff' | 'reboot' | 'halt'
    /** `now` or minutes from then. */
    readonly delay?: 'now' | number
    readonly message?: string
    /** Seconds to wait for cloud-init to finish. */
    readonly timeout?: number
    readonly condition?: boolean | string | readonly string[]
  }
  readonly prefer_fqdn_over_hostname?: boolean
  readonly preserve_hostname?: boolean
  readonly random_seed?: {
    readonly file?: string
    readonly data?: string
    readonly encoding?: 'raw' | 'base64' | 'b64' | 'gzip' | 'gz'
    readonly command?: readonly string[]
    readonly command_required?: boolean
  }
  readonly resize_rootfs?: boolean | 'noblock'
  /** Runs once per instance, in the final stage, as one shell script: its exit status is that of the last command. */
  readonly runcmd?: readonly CloudCommand[]
  readonly ssh?: { readonly emit_keys_to_console: boolean }
  readonly ssh_authorized_keys?: readonly string[]
  readonly ssh_deletekeys?: boolean
  readonly ssh_genkeytypes?: readonly SshKeyType[]
  /** Host keys: `ed25519_private`, `ed25519_public` and so on. */
  readonly ssh_keys?: Readonly<Record<string, string>>
  readonly ssh_pwauth?: boolean
  readonly swap?: {
    readonly filename?: string
    /** Bytes, with K, M, G or T behind the number, or `auto`. */
    readonly size?: string | number
    readonly maxsize?: string | number
  }
  readonly timezone?: string
  readonly users?: readonly (CloudUser | string)[]
  readonly write_files?: readonly CloudFile[]
}

/** A top-level key that the builder knows. */
export type CloudConfigKey = keyof CloudConfigDocument

/** `satisfies` keeps this list and the type equal: cloud-init 22 takes any unknown key without a word. */
const known = {
  apt: true,
  bootcmd: true,
  ca_certs: true,
  chpasswd: true,
  disable_ec2_metadata: true,
  disable_root: true,
  disable_root_opts: true,
  final_message: true,
  fqdn: true,
  groups: true,
  growpart: true,
  hostname: true,
  keyboard: true,
  locale: true,
  manage_etc_hosts: true,
  manage_resolv_conf: true,
  mounts: true,
  no_ssh_fingerprints: true,
  ntp: true,
  output: true,
  package_reboot_if_required: true,
  package_update: true,
  package_upgrade: true,
  packages: true,
  phone_home: true,
  power_state: true,
  prefer_fqdn_over_hostname: true,
  preserve_hostname: true,
  random_seed: true,
  resize_rootfs: true,
  runcmd: true,
  ssh: true,
  ssh_authorized_keys: true,
  ssh_deletekeys: true,
  ssh_genkeytypes: true,
  ssh_keys: true,
  ssh_pwauth: true,
  swap: true,
  timezone: true,
  users: true,
  write_files: true,
} as const satisfies Record<CloudConfigKey, true>

/** Every top-level key that the builder knows, sorted. */
export const cloudConfigKeys: readonly CloudConfigKey[] = Object.keys(known) as CloudConfigKey[]

/** True for keys of CloudConfigDocument. */
export function isCloudConfigKey(key: string): key is CloudConfigKey {
  return Object.hasOwn(known, key)
}
