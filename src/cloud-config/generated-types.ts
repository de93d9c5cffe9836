// Made by .ci/cloud-config-types.ts from cloud-init 26.2, schemas/schema-cloud-config-v1.json. Not to be edited.
// The schema is (C) Canonical Ltd. and contributors, licensed under GPL-3 or Apache-2.0; used here under Apache-2.0.

/** A value with these keys present. */
type Need<T, K extends keyof T> = T & Required<Pick<T, K>>

export type AllModules =
  | 'ansible'
  | 'apk-configure'
  | 'apk_configure'
  | 'apt-configure'
  | 'apt_configure'
  | 'apt-pipelining'
  | 'apt_pipelining'
  | 'bootcmd'
  | 'byobu'
  | 'ca-certs'
  | 'ca_certs'
  | 'chef'
  | 'disable-ec2-metadata'
  | 'disable_ec2_metadata'
  | 'disk-setup'
  | 'disk_setup'
  | 'fan'
  | 'final-message'
  | 'final_message'
  | 'growpart'
  | 'grub-dpkg'
  | 'grub_dpkg'
  | 'install-hotplug'
  | 'install_hotplug'
  | 'keyboard'
  | 'keys-to-console'
  | 'keys_to_console'
  | 'landscape'
  | 'locale'
  | 'lxd'
  | 'mcollective'
  | 'mounts'
  | 'ntp'
  | 'package-update-upgrade-install'
  | 'package_update_upgrade_install'
  | 'phone-home'
  | 'phone_home'
  | 'power-state-change'
  | 'power_state_change'
  | 'puppet'
  | 'raspberry_pi'
  | 'reset-rmc'
  | 'reset_rmc'
  | 'resizefs'
  | 'resolv-conf'
  | 'resolv_conf'
  | 'rh-subscription'
  | 'rh_subscription'
  | 'rsyslog'
  | 'runcmd'
  | 'salt-minion'
  | 'salt_minion'
  | 'scripts-per-boot'
  | 'scripts_per_boot'
  | 'scripts-per-instance'
  | 'scripts_per_instance'
  | 'scripts-per-once'
  | 'scripts_per_once'
  | 'scripts-user'
  | 'scripts_user'
  | 'scripts-vendor'
  | 'scripts_vendor'
  | 'seed-random'
  | 'seed_random'
  | 'set-hostname'
  | 'set_hostname'
  | 'set-passwords'
  | 'set_passwords'
  | 'snap'
  | 'spacewalk'
  | 'ssh'
  | 'ssh-authkey-fingerprints'
  | 'ssh_authkey_fingerprints'
  | 'ssh-import-id'
  | 'ssh_import_id'
  | 'timezone'
  | 'ubuntu-advantage'
  | 'ubuntu_advantage'
  | 'ubuntu-autoinstall'
  | 'ubuntu_autoinstall'
  | 'ubuntu-drivers'
  | 'ubuntu_drivers'
  | 'ubuntu_pro'
  | 'update-etc-hosts'
  | 'update_etc_hosts'
  | 'update-hostname'
  | 'update_hostname'
  | 'users-groups'
  | 'users_groups'
  | 'wireguard'
  | 'write-files'
  | 'write_files'
  | 'write-files-deferred'
  | 'write_files_deferred'
  | 'yum-add-repo'
  | 'yum_add_repo'
  | 'zypper-add-repo'
  | 'zypper_add_repo'

export type AptConfigureMirror = readonly {
  readonly arches: readonly string[]
  readonly uri?: string
  readonly search?: readonly string[]
  readonly search_dns?: boolean
  readonly keyid?: string
  readonly key?: string
  readonly keyserver?: string
}[]

export type CaCertsProperties = {
  /**
   * @deprecated Since 22.3. Use `remove_defaults` instead.
   */
  readonly 'remove-defaults'?: boolean
  /**
   * Remove default CA certificates if true. Default: `false`.
   */
  readonly remove_defaults?: boolean
  /**
   * List of trusted CA certificates to add.
   */
  readonly trusted?: readonly string[]
}

export type MergeDefinition =
  | string
  | readonly {
      readonly name: 'list' | 'dict' | 'str'
      readonly settings: readonly (
        | 'allow_delete'
        | 'no_replace'
        | 'replace'
        | 'append'
        | 'prepend'
        | 'recurse_dict'
        | 'recurse_list'
        | 'recurse_array'
        | 'recurse_str'
      )[]
    }[]

export type ModulesDefinition = readonly (AllModules | readonly [AllModules, 'always' | 'once' | 'once-per-instance'])[]

export type OutputLogOperator =
  | string
  | readonly [string, string]
  | {
      /**
       * A filepath operation configuration. This is a string containing a filepath and an optional leading operator:
       * '>', '>>' or '|'. Operators '>' and '>>' indicate whether to overwrite or append to the file. The operator
       * '|' redirects content to the command arguments specified.
       */
      readonly output?: string
      /**
       * A filepath operation configuration. A string containing a filepath and an optional leading operator: '>',
       * '>>' or '|'. Operators '>' and '>>' indicate whether to overwrite or append to the file. The operator '|'
       * redirects content to the command arguments specified.
       */
      readonly error?: string
    }

export type PackageItemDefinition = readonly [string, string] | string

export type UbuntuProProperties = {
  /**
   * Optional list of Ubuntu Pro services to enable. Any of: cc-eal, cis, esm-infra, fips, fips-updates,
   * livepatch. By default, a given contract token will automatically enable a number of services, use this list
   * to supplement which services should additionally be enabled. Any service unavailable on a given Ubuntu
   * release or unentitled in a given contract will remain disabled. In Ubuntu Pro instances, if this list is
   * given, then only those services will be enabled, ignoring contract defaults. Passing beta services here will
   * cause an error.
   */
  readonly enable?: readonly string[]
  /**
   * Optional list of Ubuntu Pro beta services to enable. By default, a given contract token will automatically
   * enable a number of services, use this list to supplement which services should additionally be enabled. Any
   * service unavailable on a given Ubuntu release or unentitled in a given contract will remain disabled. In
   * Ubuntu Pro instances, if this list is given, then only those services will be enabled, ignoring contract
   * defaults.
   */
  readonly enable_beta?: readonly string[]
  /**
   * Contract token obtained from https://ubuntu.com/pro to attach. Required for non-Pro instances.
   */
  readonly token?: string
  /**
   * Ubuntu Pro features.
   */
  readonly features?: {
    /**
     * Optional boolean for controlling if ua-auto-attach.service (in Ubuntu Pro instances) will be attempted each
     * boot. Default: `false`.
     */
    readonly disable_auto_attach?: boolean
  }
  /**
   * Configuration settings or override Ubuntu Pro config.
   */
  readonly config?: {
    /**
     * Ubuntu Pro HTTP Proxy URL or null to unset.
     */
    readonly http_proxy?: string | null
    /**
     * Ubuntu Pro HTTPS Proxy URL or null to unset.
     */
    readonly https_proxy?: string | null
    /**
     * HTTP Proxy URL used for all APT repositories on a system or null to unset. Stored at
     * `/etc/apt/apt.conf.d/90ubuntu-advantage-aptproxy`.
     */
    readonly global_apt_http_proxy?: string | null
    /**
     * HTTPS Proxy URL used for all APT repositories on a system or null to unset. Stored at
     * `/etc/apt/apt.conf.d/90ubuntu-advantage-aptproxy`.
     */
    readonly global_apt_https_proxy?: string | null
    /**
     * HTTP Proxy URL used only for Ubuntu Pro APT repositories or null to unset. Stored at
     * `/etc/apt/apt.conf.d/90ubuntu-advantage-aptproxy`.
     */
    readonly ua_apt_http_proxy?: string | null
    /**
     * HTTPS Proxy URL used only for Ubuntu Pro APT repositories or null to unset. Stored at
     * `/etc/apt/apt.conf.d/90ubuntu-advantage-aptproxy`.
     */
    readonly ua_apt_https_proxy?: string | null
    readonly [key: string]: unknown
  }
}

interface AnsiblePullFields {
  readonly accept_host_key?: boolean
  readonly clean?: boolean
  readonly full?: boolean
  readonly diff?: boolean
  readonly ssh_common_args?: string
  readonly scp_extra_args?: string
  readonly sftp_extra_args?: string
  readonly private_key?: string
  readonly checkout?: string
  readonly module_path?: string
  readonly timeout?: string
  readonly url?: string
  readonly connection?: string
  readonly vault_id?: string
  readonly vault_password_file?: string
  readonly verify_commit?: boolean
  readonly inventory?: string
  readonly module_name?: string
  readonly sleep?: string
  readonly tags?: string
  readonly skip_tags?: string
  /**
   * Single playbook_name to run with ansible-pull
   * @deprecated Since 25.2. Use `playbook_names` key instead.
   */
  readonly playbook_name?: string
  /**
   * List of playbook_names to run with ansible-pull
   */
  readonly playbook_names?: readonly string[]
}

export type AnsiblePull =
  | Need<AnsiblePullFields, 'url' | 'playbook_name'>
  | Need<AnsiblePullFields, 'url' | 'playbook_names'>

interface UsersGroupsUserFields {
  /**
   * The user's login name. Required otherwise user creation will be skipped for this user.
   */
  readonly name?: string
  /**
   * List of doas rules to add for a user. doas or opendoas must be installed for rules to take effect.
   */
  readonly doas?: readonly string[]
  /**
   * Optional. Date on which the user's account will be disabled. Default: `null`.
   */
  readonly expiredate?: string
  /**
   * Optional comment about the user, usually a comma-separated string of real name and contact information.
   */
  readonly gecos?: string
  /**
   * Optional comma-separated string of groups to add the user to.
   */
  readonly groups?: string | readonly string[] | { readonly [key: string]: null }
  /**
   * Optional home dir for user. Default: `/home/<username>`.
   */
  readonly homedir?: string
  /**
   * Optional string representing the number of days until the user is disabled.
   */
  readonly inactive?: string
  /**
   * @deprecated Since 22.3. Use `lock_passwd` instead.
   */
  readonly 'lock-passwd'?: boolean
  /**
   * Disable password login. Default: `true`.
   */
  readonly lock_passwd?: boolean
  /**
   * @deprecated Since 24.2. Use `no_create_home` instead.
   */
  readonly 'no-create-home'?: boolean
  /**
   * Do not create home directory. Default: `false`.
   */
  readonly no_create_home?: boolean
  /**
   * @deprecated Since 24.2. Use `no_log_init` instead.
   */
  readonly 'no-log-init'?: boolean
  /**
   * Do not initialize lastlog and faillog for user. Default: `false`.
   */
  readonly no_log_init?: boolean
  /**
   * @deprecated Since 24.2. Use `no_user_group` instead.
   */
  readonly 'no-user-group'?: boolean
  /**
   * Do not create group named after user. Default: `false`.
   */
  readonly no_user_group?: boolean
  /**
   * Hash of user password applied when user does not exist. This will NOT be applied if the user already exists.
   * To generate this hash, run: `mkpasswd --method=SHA-512 --rounds=500000` Note: Your password might possibly be
   * visible to unprivileged users on your system, depending on your cloud's security model. Check if your cloud's
   * IMDS server is visible from an unprivileged user to evaluate risk.
   */
  readonly passwd?: string
  /**
   * @deprecated Since 24.2. Use `hashed_passwd` instead.
   */
  readonly 'hashed-passwd'?: string
  /**
   * Hash of user password to be applied. This will be applied even if the user is preexisting. To generate this
   * hash, run: `mkpasswd --method=SHA-512 --rounds=500000`. Note: Your password might possibly be visible to
   * unprivileged users on your system, depending on your cloud's security model. Check if your cloud's IMDS
   * server is visible from an unprivileged user to evaluate risk.
   */
  readonly hashed_passwd?: string
  /**
   * @deprecated Since 24.2. Use `plain_text_passwd` instead.
   */
  readonly 'plain-text-passwd'?: string
  /**
   * Clear text of user password to be applied. This will be applied even if the user is preexisting. Note: SSH
   * keys or certificates are a safer choice for logging in to your system. For local escalation, supplying a
   * hashed password is a safer choice than plain text. Your password might possibly be visible to unprivileged
   * users on your system, depending on your cloud's security model. An exposed plain text password is an
   * immediate security concern. Check if your cloud's IMDS server is visible from an unprivileged user to
   * evaluate risk.
   */
  readonly plain_text_passwd?: string
  /**
   * @deprecated Since 24.2. Use `create_groups` instead.
   */
  readonly 'create-groups'?: boolean
  /**
   * Boolean set `false` to disable creation of specified user `groups`. Default: `true`.
   */
  readonly create_groups?: boolean
  /**
   * @deprecated Since 24.2. Use `primary_group` instead.
   */
  readonly 'primary-group'?: string
  /**
   * Primary group for user. Default: `<username>`.
   */
  readonly primary_group?: string
  /**
   * @deprecated Since 24.2. Use `selinux_user` instead.
   */
  readonly 'selinux-user'?: string
  /**
   * SELinux user for user's login. Default: the default SELinux user.
   */
  readonly selinux_user?: string
  /**
   * Path to the user's login shell. Default: the host system's default shell.
   */
  readonly shell?: string
  /**
   * Specify an email address to create the user as a Snappy user through `snap create-user`. If an Ubuntu SSO
   * account is associated with the address, username and SSH keys will be requested from there.
   */
  readonly snapuser?: string
  /**
   * List of SSH keys to add to user's authkeys file. Can not be combined with `ssh_redirect_user`.
   */
  readonly ssh_authorized_keys?: readonly string[]
  /**
   * @deprecated Since 18.3. Use `ssh_authorized_keys` instead.
   */
  readonly 'ssh-authorized-keys'?: readonly string[]
  /**
   * @deprecated Since 24.2. Use `ssh_import_id` instead.
   */
  readonly 'ssh-import-id'?: readonly string[]
  /**
   * List of ssh ids to import for user. Can not be combined with `ssh_redirect_user`. See the man page[1] for
   * more details. [1] https://manpages.ubuntu.com/manpages/noble/en/man1/ssh-import-id.1.html.
   */
  readonly ssh_import_id?: readonly string[]
  /**
   * @deprecated Since 24.2. Use `ssh_redirect_user` instead.
   */
  readonly 'ssh-redirect-user'?: boolean
  /**
   * Boolean set to true to disable SSH logins for this user. When specified, all cloud-provided public SSH keys
   * will be set up in a disabled state for this username. Any SSH login as this username will timeout and prompt
   * with a message to login instead as the `default_username` for this instance. Default: `false`. This key can
   * not be combined with `ssh_import_id` or `ssh_authorized_keys`.
   */
  readonly ssh_redirect_user?: boolean
  /**
   * Optional. Create user as system user with no home directory. Default: `false`.
   */
  readonly system?: boolean
  readonly sudo?: string | null | readonly (string | null)[] | boolean
  /**
   * The user's ID. Default value [system default].
   */
  readonly uid?: number | string
}

export type UsersGroupsUser = Need<UsersGroupsUserFields, 'name'> | Need<UsersGroupsUserFields, 'snapuser'>

/** A cloud-config document: every key of every module. */
export interface CloudConfigDocument {
  /**
   * If `true`, will import the public SSH keys from the datasource's metadata to the user's
   * `.ssh/authorized_keys` file. Default: `true`.
   * Module `ssh`: network stage, once per instance.
   */
  readonly allow_public_ssh_keys?: boolean
  /**
   * Module `ansible`: final stage, once per instance.
   */
  readonly ansible?: {
    /**
     * The type of installation for ansible. It can be one of the following values: - `distro` - `pip`.
     */
    readonly install_method?: 'distro' | 'pip'
    /**
     * User to run module commands as. If install_method: pip, the pip install runs as this user as well.
     */
    readonly run_user?: string
    /**
     * Sets the ANSIBLE_CONFIG environment variable. If set, overrides default config.
     */
    readonly ansible_config?: string
    readonly setup_controller?: {
      readonly repositories?: readonly { readonly path: string; readonly source: string }[]
      readonly run_ansible?: readonly {
        readonly playbook_name?: string
        readonly playbook_dir?: string
        readonly become_password_file?: string
        readonly connection_password_file?: string
        readonly list_hosts?: boolean
        readonly syntax_check?: boolean
        readonly timeout?: number
        readonly vault_id?: string
        readonly vault_password_file?: string
        readonly background?: number
        readonly check?: boolean
        readonly diff?: boolean
        readonly module_path?: string
        readonly poll?: number
        readonly args?: string
        readonly extra_vars?: string
        readonly forks?: number
        readonly inventory?: string
        readonly scp_extra_args?: string
        readonly sftp_extra_args?: string
        readonly private_key?: string
        readonly connection?: string
        readonly module_name?: string
        readonly sleep?: string
        readonly tags?: string
        readonly skip_tags?: string
        readonly [key: string]: unknown
      }[]
    }
    readonly galaxy?: { readonly actions: readonly (readonly string[])[] }
    readonly package_name?: string
    /**
     * pull playbooks from a VCS repo and run them on the host
     */
    readonly pull?: readonly AnsiblePull[] | AnsiblePull
  }
  /**
   * Module `apk_configure`: config stage, once per instance.
   */
  readonly apk_repos?: {
    /**
     * By default, cloud-init will generate a new repositories file `/etc/apk/repositories` based on any valid
     * configuration settings specified within a apk_repos section of cloud config. To disable this behavior and
     * preserve the repositories file from the pristine image, set `preserve_repositories` to `true`. The
     * `preserve_repositories` option overrides all other config keys that would alter `/etc/apk/repositories`.
     */
    readonly preserve_repositories?: boolean
    readonly alpine_repo?: {
      /**
       * The base URL of an Alpine repository, or mirror, to download official packages from. If not specified then it
       * defaults to `https://dl-cdn.alpinelinux.org/alpine`.
       */
      readonly base_url?: string
      /**
       * Whether to add the Community repo to the repositories file. By default the Community repo is not included.
       */
      readonly community_enabled?: boolean
      /**
       * Whether to add the Testing repo to the repositories file. By default the Testing repo is not included. It is
       * only recommended to use the Testing repo on a machine running the `Edge` version of Alpine as packages
       * installed from Testing may have dependencies that conflict with those in non-Edge Main or Community repos.
       */
      readonly testing_enabled?: boolean
      /**
       * The Alpine version to use (e.g. `v3.12` or `edge`).
       */
      readonly version: string
    } | null
    /**
     * The base URL of an Alpine repository containing unofficial packages.
     */
    readonly local_repo_base_url?: string
  }
  /**
   * Module `apt_configure`: config stage, once per instance.
   */
  readonly apt?: {
    /**
     * By default, cloud-init will generate a new sources list in `/etc/apt/sources.list.d` based on any changes
     * specified in cloud config. To disable this behavior and preserve the sources list from the pristine image,
     * set `preserve_sources_list` to `true`. The `preserve_sources_list` option overrides all other config keys
     * that would alter `sources.list` or `sources.list.d`, `except` for additional sources to be added to
     * `sources.list.d`.
     */
    readonly preserve_sources_list?: boolean
    /**
     * Write lists for APT automated mirror selection (`apt-transport-mirror(1)`). It will write separate lists for
     * both the PRIMARY and SECURITY mirror into `/etc/apt/mirrors/${DIST}.list` and
     * `/etc/apt/mirrors/${DIST}-security.list`. Those can then be used in the APT source.list as
     * `mirror+file:///etc/apt/mirrors/${DIST}.list`. No `/etc/apt/sources.list` will be writte in this case.
     */
    readonly generate_mirrorlists?: boolean
    /**
     * Entries in the sources list can be disabled using `disable_suites`, which takes a list of suites to be
     * disabled. If the string `$RELEASE` is present in a suite in the `disable_suites` list, it will be replaced
     * with the release name. If a suite specified in `disable_suites` is not present in `sources.list` it will be
     * ignored. For convenience, several aliases are provided for `disable_suites`: - `updates` =>
     * `$RELEASE-updates` - `backports` => `$RELEASE-backports` - `security` => `$RELEASE-security` - `proposed` =>
     * `$RELEASE-proposed` - `release` => `$RELEASE`. When a suite is disabled using `disable_suites`, its entry in
     * `sources.list` is not deleted; it is just commented out.
     */
    readonly disable_suites?: readonly string[]
    /**
     * The primary and security archive mirrors can be specified using the `primary` and `security` keys,
     * respectively. Both the `primary` and `security` keys take a list of configs, allowing mirrors to be specified
     * on a per-architecture basis. Each config is a dictionary which must have an entry for `arches`, specifying
     * which architectures that config entry is for. The keyword `default` applies to any architecture not
     * explicitly listed. The mirror url can be specified with the `uri` key, or a list of mirrors to check can be
     * provided in order, with the first mirror that can be resolved being selected. This allows the same
     * configuration to be used in different environment, with different hosts used for a local APT mirror. If no
     * mirror is provided by `uri` or `search`, `search_dns` may be used to search for dns names in the format
     * `<distro>-mirror` in each of the following: - fqdn of this host per cloud metadata, - localdomain, - domains
     * listed in `/etc/resolv.conf`. If there is a dns entry for `<distro>-mirror`, then it is assumed that there is
     * a distro mirror at `http://<distro>-mirror.<domain>/<distro>`. If the `primary` key is defined, but not the
     * `security` key, then then configuration for `primary` is also used for `security`. If `search_dns` is used
     * for the `security` key, the search pattern will be `<distro>-security-mirror`. Each mirror may also specify a
     * key to import via any of the following optional keys: - `keyid`: a key to import via shortid or fingerprint.
     * - `key`: a raw PGP key. - `keyserver`: alternate keyserver to pull `keyid` key from. If no mirrors are
     * specified, or all lookups fail, then default mirrors defined in the datasource are used. If none are present
     * in the datasource either the following defaults are used: - `primary` => `http://archive.ubuntu.com/ubuntu`.
     * - `security` => `http://security.ubuntu.com/ubuntu`.
     */
    readonly primary?: AptConfigureMirror
    /**
     * Please refer to the primary config documentation.
     */
    readonly security?: AptConfigureMirror
    /**
     * All source entries in `apt-sources` that match regex in `add_apt_repo_match` will be added to the system
     * using `add-apt-repository`. If `add_apt_repo_match` is not specified, it defaults to `^[\w-]+:\w`.
     */
    readonly add_apt_repo_match?: string
    /**
     * Debconf additional configurations can be specified as a dictionary under the `debconf_selections` config key,
     * with each key in the dict representing a different set of configurations. The value of each key must be a
     * string containing all the debconf configurations that must be applied. We will bundle all of the values and
     * pass them to `debconf-set-selections`. Therefore, each value line must be a valid entry for
     * `debconf-set-selections`, meaning that they must possess for distinct fields: `pkgname question type answer`
     * Where: - `pkgname` is the name of the package. - `question` the name of the questions. - `type` is the type
     * of question. - `answer` is the value used to answer the question. For example: `ippackage ippackage/ip string
     * 127.0.01`.
     */
    readonly debconf_selections?: { readonly [key: string]: string }
    /**
     * Specifies a custom template for rendering `sources.list` . If no `sources_list` template is given, cloud-init
     * will use sane default. Within this template, the following strings will be replaced with the appropriate
     * values: - `$MIRROR` - `$RELEASE` - `$PRIMARY` - `$SECURITY` - `$KEY_FILE`
     */
    readonly sources_list?: string
    /**
     * Specify configuration for apt, such as proxy configuration. This configuration is specified as a string. For
     * multi-line APT configuration, make sure to follow YAML syntax.
     */
    readonly conf?: string
    /**
     * More convenient way to specify https APT proxy. https proxy url is specified in the format
     * `https://[[user][:pass]@]host[:port]/`.
     */
    readonly https_proxy?: string
    /**
     * More convenient way to specify http APT proxy. http proxy url is specified in the format
     * `http://[[user][:pass]@]host[:port]/`.
     */
    readonly http_proxy?: string
    /**
     * Alias for defining a http APT proxy.
     */
    readonly proxy?: string
    /**
     * More convenient way to specify ftp APT proxy. ftp proxy url is specified in the format
     * `ftp://[[user][:pass]@]host[:port]/`.
     */
    readonly ftp_proxy?: string
    /**
     * Source list entries can be specified as a dictionary under the `sources` config key, with each key in the
     * dict representing a different source file. The key of each source entry will be used as an id that can be
     * referenced in other config entries, as well as the filename for the source's configuration under
     * `/etc/apt/sources.list.d`. If the name does not end with `.list`, it will be appended. If there is no
     * configuration for a key in `sources`, no file will be written, but the key may still be referred to as an id
     * in other `sources` entries. Each entry under `sources` is a dictionary which may contain any of the following
     * optional keys: - `source`: a sources.list entry (some variable replacements apply). - `keyid`: a key to
     * import via shortid or fingerprint. - `key`: a raw PGP key. - `keyserver`: alternate keyserver to pull `keyid`
     * key from. - `filename`: specify the name of the list file. - `append`: If `true`, append to sources file,
     * otherwise overwrite it. Default: `true`. The `source` key supports variable replacements for the following
     * strings: - `$MIRROR` - `$PRIMARY` - `$SECURITY` - `$RELEASE` - `$KEY_FILE`
     */
    readonly sources?: {
      readonly [key: string]: {
        readonly source?: string
        readonly keyid?: string
        readonly key?: string
        readonly keyserver?: string
        readonly filename?: string
        readonly append?: boolean
      }
    }
  }
  /**
   * Module `apt_pipelining`: config stage, once per instance.
   */
  readonly apt_pipelining?: number | boolean | 'os' | 'none' | 'unchanged'
  /**
   * Module `package_update_upgrade_install`: final stage, once per instance.
   * @deprecated Since 22.2. Use `package_reboot_if_required` instead.
   */
  readonly apt_reboot_if_required?: boolean
  /**
   * Module `package_update_upgrade_install`: final stage, once per instance.
   * @deprecated Since 22.2. Use `package_update` instead.
   */
  readonly apt_update?: boolean
  /**
   * Module `package_update_upgrade_install`: final stage, once per instance.
   * @deprecated Since 22.2. Use `package_upgrade` instead.
   */
  readonly apt_upgrade?: boolean
  /**
   * The hash type to use when generating SSH fingerprints. Default: `sha256`.
   * Module `ssh_authkey_fingerprints`: final stage, once per instance.
   */
  readonly authkey_hash?: string
  /**
   * Cloud-init ignores this key and its values. It is used by Subiquity, the Ubuntu Autoinstaller. See:
   * https://ubuntu.com/server/docs/install/autoinstall-reference.
   */
  readonly autoinstall?: { readonly version: number; readonly [key: string]: unknown }
  /**
   * Module `bootcmd`: network stage, at every boot.
   */
  readonly bootcmd?: readonly (readonly string[] | string)[]
  /**
   * Module `byobu`: config stage, once per instance.
   */
  readonly byobu_by_default?:
    | 'enable-system'
    | 'enable-user'
    | 'disable-system'
    | 'disable-user'
    | 'enable'
    | 'disable'
    | 'user'
    | 'system'
  /**
   * Module `ca_certs`: network stage, once per instance.
   * @deprecated Since 22.3. Use `ca_certs` instead.
   */
  readonly 'ca-certs'?: CaCertsProperties
  /**
   * Module `ca_certs`: network stage, once per instance.
   */
  readonly ca_certs?: CaCertsProperties
  /**
   * Module `chef`: final stage, at every boot.
   */
  readonly chef?: {
    /**
     * Create the necessary directories for chef to run. By default, it creates the following directories: -
     * `/etc/chef` - `/var/log/chef` - `/var/lib/chef` - `/var/chef/backup` - `/var/chef/cache` - `/var/run/chef`
     */
    readonly directories?: readonly string[]
    /**
     * Optional path for Chef configuration file. Default: `/etc/chef/client.rb`
     */
    readonly config_path?: string
    /**
     * Optional string to be written to file validation_key. Special value `system` means set use existing file.
     */
    readonly validation_cert?: string
    /**
     * Optional path for validation_cert. Default: `/etc/chef/validation.pem`.
     */
    readonly validation_key?: string
    /**
     * Path to write run_list and initial_attributes keys that should also be present in this configuration.
     * Default: `/etc/chef/firstboot.json`.
     */
    readonly firstboot_path?: string
    /**
     * Set true if we should run or not run chef (defaults to false, unless a gem installed is requested where this
     * will then default to true).
     */
    readonly exec?: boolean
    /**
     * Optional path for client_cert. Default: `/etc/chef/client.pem`.
     */
    readonly client_key?: string
    /**
     * Specifies the location of the secret key used by chef to encrypt data items. By default, this path is set to
     * null, meaning that chef will have to look at the path `/etc/chef/encrypted_data_bag_secret` for it.
     */
    readonly encrypted_data_bag_secret?: string
    /**
     * Specifies which environment chef will use. By default, it will use the `_default` configuration.
     */
    readonly environment?: string
    /**
     * Specifies the location in which backup files are stored. By default, it uses the `/var/chef/backup` location.
     */
    readonly file_backup_path?: string
    /**
     * Specifies the location in which chef cache files will be saved. By default, it uses the `/var/chef/cache`
     * location.
     */
    readonly file_cache_path?: string
    /**
     * Specifies the location in which some chef json data is stored. By default, it uses the
     * `/etc/chef/firstboot.json` location.
     */
    readonly json_attribs?: string
    /**
     * Defines the level of logging to be stored in the log file. By default this value is set to `:info`.
     */
    readonly log_level?: string
    /**
     * Specifies the location of the chef log file. By default, the location is specified at
     * `/var/log/chef/client.log`.
     */
    readonly log_location?: string
    /**
     * The name of the node to run. By default, we will use th instance id as the node name.
     */
    readonly node_name?: string
    /**
     * Omnibus URL if chef should be installed through Omnibus. By default, it uses the
     * `https://www.chef.io/chef/install.sh`.
     */
    readonly omnibus_url?: string
    /**
     * The number of retries that will be attempted to reach the Omnibus URL. Default: `5`.
     */
    readonly omnibus_url_retries?: number
    /**
     * Optional version string to require for omnibus install.
     */
    readonly omnibus_version?: string
    /**
     * The location in which a process identification number (pid) is saved. By default, it saves in the
     * `/var/run/chef/client.pid` location.
     */
    readonly pid_file?: string
    /**
     * The URL for the chef server.
     */
    readonly server_url?: string
    /**
     * Show time in chef logs.
     */
    readonly show_time?: boolean
    /**
     * Set the verify mode for HTTPS requests. We can have two possible values for this parameter: - `:verify_none`:
     * No validation of SSL certificates. - `:verify_peer`: Validate all SSL certificates. By default, the parameter
     * is set as `:verify_none`.
     */
    readonly ssl_verify_mode?: string
    /**
     * The name of the chef-validator key that Chef Infra Client uses to access the Chef Infra Server during the
     * initial Chef Infra Client run.
     */
    readonly validation_name?: string
    /**
     * If set to `true`, forces chef installation, even if it is already installed.
     */
    readonly force_install?: boolean
    /**
     * Specify a list of initial attributes used by the cookbooks.
     */
    readonly initial_attributes?: { readonly [key: string]: unknown }
    /**
     * The type of installation for chef. It can be one of the following values: - `packages` - `gems` - `omnibus`
     */
    readonly install_type?: 'packages' | 'gems' | 'omnibus'
    /**
     * A run list for a first boot json.
     */
    readonly run_list?: readonly string[]
    /**
     * string that indicates if user accepts or not license related to some of chef products. See
     * https://docs.chef.io/licensing/accept/.
     */
    readonly chef_license?: 'accept' | 'accept-silent' | 'accept-no-persist'
  }
  /**
   * Module `set_passwords`: config stage, once per instance.
   */
  readonly chpasswd?: {
    /**
     * Whether to expire all user passwords such that a password will need to be reset on the user's next login.
     * Default: `true`.
     */
    readonly expire?: boolean
    /**
     * This key represents a list of existing users to set passwords for. Each item under users contains the
     * following required keys: `name` and `password` or in the case of a randomly generated password, `name` and
     * `type`. The `type` key has a default value of `hash`, and may alternatively be set to `text` or `RANDOM`.
     * Randomly generated passwords may be insecure, use at your own risk.
     */
    readonly users?: readonly (
      | { readonly name: string; readonly type: 'RANDOM' }
      | { readonly name: string; readonly type?: 'hash' | 'text'; readonly password: string }
    )[]
    /**
     * @deprecated Since 22.2. Use `users` instead.
     */
    readonly list?: string | readonly string[]
  }
  readonly cloud_config_modules?: ModulesDefinition
  readonly cloud_final_modules?: ModulesDefinition
  readonly cloud_init_modules?: ModulesDefinition
  /**
   * If `false`, the hostname file (e.g. /etc/hostname) will not be created if it does not exist. On systems that
   * use systemd, setting create_hostname_file to `false` will set the hostname transiently. If `true`, the
   * hostname file will always be created and the hostname will be set statically on systemd systems. Default:
   * `true`.
   * Module `set_hostname`: network stage, once per instance; `update_hostname`: network stage, at every boot.
   */
  readonly create_hostname_file?: boolean
  /**
   * Module `disk_setup`: network stage, once per instance.
   */
  readonly device_aliases?: { readonly [key: string]: string }
  /**
   * Set true to disable IPv4 routes to EC2 metadata. Default: `false`.
   * Module `disable_ec2_metadata`: config stage, at every boot.
   */
  readonly disable_ec2_metadata?: boolean
  /**
   * Disable root login. Default: `true`.
   * Module `ssh`: network stage, once per instance.
   */
  readonly disable_root?: boolean
  /**
   * Disable root login options. If `disable_root_opts` is specified and contains the string `$USER`, it will be
   * replaced with the username of the default user. Default:
   * `no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="echo 'Please login as the user \"$USER\"
   * rather than the user \"$DISABLE_USER\".';echo;sleep 10;exit 142"`.
   * Module `ssh`: network stage, once per instance.
   */
  readonly disable_root_opts?: string
  /**
   * Module `disk_setup`: network stage, once per instance.
   */
  readonly disk_setup?: {
    readonly [key: string]: {
      /**
       * Specifies the partition table type, either `mbr` or `gpt`. Default: `mbr`.
       */
      readonly table_type?: 'mbr' | 'gpt'
      /**
       * If set to `true`, a single partition using all the space on the device will be created. If set to `false`, no
       * partitions will be created. If set to `remove`, any existing partition table will be purged. Partitions can
       * be specified by providing a list to `layout`, where each entry in the list is either a size or a list
       * containing a size and the numerical value for a partition type. The size for partitions is specified in
       * `percentage` of disk space, not in bytes (e.g. a size of 33 would take up 1/3 of the disk space). The
       * partition type defaults to '83' (Linux partition), for other types of partition, such as Linux swap, the type
       * must be passed as part of a list along with the size. Default: `false`.
       */
      readonly layout?: 'remove' | boolean | readonly (number | readonly [number | string, number | string])[]
      /**
       * Controls whether this module tries to be safe about writing partition tables or not. If `overwrite: false` is
       * set, the device will be checked for a partition table and for a file system and if either is found, the
       * operation will be skipped. If `overwrite: true` is set, no checks will be performed. Using `overwrite: true`
       * is `dangerous` and can lead to data loss, so double check that the correct device has been specified if using
       * this option. Default: `false`.
       */
      readonly overwrite?: boolean
    }
  }
  /**
   * Module `ubuntu_drivers`: final stage, once per instance.
   */
  readonly drivers?: {
    readonly nvidia?: {
      /**
       * Do you accept the NVIDIA driver license?
       */
      readonly 'license-accepted': boolean
      /**
       * The version of the driver to install (e.g. "390", "410"). Default: latest version.
       */
      readonly version?: string
    }
  }
  /**
   * Module `fan`: final stage, once per instance.
   */
  readonly fan?: {
    /**
     * The fan configuration to use as a single multi-line string.
     */
    readonly config: string
    /**
     * The path to write the fan configuration to. Default: `/etc/network/fan`.
     */
    readonly config_path?: string
  }
  /**
   * The message to display at the end of the run.
   * Module `final_message`: final stage, at every boot.
   */
  readonly final_message?: string
  /**
   * The fully qualified domain name to set.
   * Module `set_hostname`: network stage, once per instance; `update_etc_hosts`: network stage, at every boot.
   */
  readonly fqdn?: string
  /**
   * Module `disk_setup`: network stage, once per instance.
   */
  readonly fs_setup?: readonly {
    /**
     * Label for the filesystem.
     */
    readonly label?: string
    /**
     * Filesystem type to create. E.g., `ext4` or `btrfs`.
     */
    readonly filesystem?: string
    /**
     * Specified either as a path or as an alias in the format `<alias name>.<y>` where `<y>` denotes the partition
     * number on the device. If specifying device using the `<alias name>.<partition number>` format, the value of
     * `partition` will be overwritten.
     */
    readonly device?: string
    /**
     * The partition can be specified by setting `partition` to the desired partition number. The `partition` option
     * may also be set to `auto`, in which this module will search for the existence of a filesystem matching the
     * `label`, `filesystem` and `device` of the `fs_setup` entry and will skip creating the filesystem if one is
     * found. The `partition` option may also be set to `any`, in which case any filesystem that matches
     * `filesystem` and `device` will cause this module to skip filesystem creation for the `fs_setup` entry,
     * regardless of `label` matching or not. To write a filesystem directly to a device, use `partition: none`.
     * `partition: none` will `always` write the filesystem, even when the `label` and `filesystem` are matched, and
     * `overwrite` is `false`.
     */
    readonly partition?: 'auto' | 'any' | 'none'
    /**
     * If `true`, overwrite any existing filesystem. Using `overwrite: true` for filesystems is `dangerous` and can
     * lead to data loss, so double check the entry in `fs_setup`. Default: `false`.
     */
    readonly overwrite?: boolean
    /**
     * Ignored unless `partition` is `auto` or `any`. Default `false`.
     */
    readonly replace_fs?: string
    /**
     * Optional options to pass to the filesystem creation command. Ignored if you using `cmd` directly.
     */
    readonly extra_opts?: readonly string[] | string
    /**
     * Optional command to run to create the filesystem. Can include string substitutions of the other `fs_setup`
     * config keys. This is only necessary if you need to override the default command.
     */
    readonly cmd?: readonly string[] | string
  }[]
  /**
   * Module `users_groups`: network stage, once per instance.
   */
  readonly groups?:
    | string
    | { readonly [key: string]: string | readonly string[] }
    | readonly (string | { readonly [key: string]: string | readonly string[] })[]
  /**
   * Module `growpart`: network stage, at every boot.
   */
  readonly growpart?: {
    /**
     * The utility to use for resizing. Default: `auto` Possible options: * `auto` - Use any available utility *
     * `growpart` - Use growpart utility * `gpart` - Use BSD gpart utility * `'off'` - Take no action.
     */
    readonly mode?: 'auto' | 'growpart' | 'gpart' | 'off' | false
    /**
     * The devices to resize. Each entry can either be the path to the device's mountpoint in the filesystem or a
     * path to the block device in '/dev'. Default: `[/]`.
     */
    readonly devices?: readonly string[]
    /**
     * If `true`, ignore the presence of `/etc/growroot-disabled`. If `false` and the file exists, then don't
     * resize. Default: `false`.
     */
    readonly ignore_growroot_disabled?: boolean
  }
  /**
   * Module `grub_dpkg`: config stage, once per instance.
   * @deprecated Since 22.2. Use `grub_dpkg` instead.
   */
  readonly 'grub-dpkg'?: { readonly [key: string]: unknown }
  /**
   * Module `grub_dpkg`: config stage, once per instance.
   */
  readonly grub_dpkg?: {
    /**
     * Whether to configure which device is used as the target for grub installation. Default: `false`.
     */
    readonly enabled?: boolean
    /**
     * Device to use as target for grub installation. If unspecified, `grub-probe` of `/boot` will be used to find
     * the device.
     */
    readonly 'grub-pc/install_devices'?: string
    /**
     * Sets values for grub-pc/install_devices_empty. If unspecified, will be set to `true` if
     * grub-pc/install_devices is empty, otherwise `false`.
     */
    readonly 'grub-pc/install_devices_empty'?: boolean | string
    /**
     * Partition to use as target for grub installation. If unspecified, `grub-probe` of `/boot/efi` will be used to
     * find the partition.
     */
    readonly 'grub-efi/install_devices'?: string
  }
  /**
   * The hostname to set.
   * Module `set_hostname`: network stage, once per instance; `update_etc_hosts`: network stage, at every boot.
   */
  readonly hostname?: string
  /**
   * Module `keyboard`: config stage, once per instance.
   */
  readonly keyboard?: {
    /**
     * Required. Keyboard layout. Corresponds to XKBLAYOUT.
     */
    readonly layout: string
    /**
     * Optional. Keyboard model. Corresponds to XKBMODEL. Default: `pc105`.
     */
    readonly model?: string
    /**
     * Required for Alpine Linux, optional otherwise. Keyboard variant. Corresponds to XKBVARIANT.
     */
    readonly variant?: string
    /**
     * Optional. Keyboard options. Corresponds to XKBOPTIONS.
     */
    readonly options?: string
  }
  /**
   * Module `landscape`: final stage, once per instance.
   */
  readonly landscape?: {
    readonly client: {
      /**
       * The Landscape server URL to connect to. Default: `https://landscape.canonical.com/message-system`.
       */
      readonly url?: string
      /**
       * The URL to perform lightweight exchange initiation with. Default: `https://landscape.canonical.com/ping`.
       */
      readonly ping_url?: string
      /**
       * The directory to store data files in. Default: `/var/lib/land‐scape/client/`.
       */
      readonly data_path?: string
      /**
       * The log level for the client. Default: `info`.
       */
      readonly log_level?: 'debug' | 'info' | 'warning' | 'error' | 'critical'
      /**
       * The title of this computer.
       */
      readonly computer_title: string
      /**
       * The account this computer belongs to.
       */
      readonly account_name: string
      /**
       * The account-wide key used for registering clients.
       */
      readonly registration_key?: string
      /**
       * Comma separated list of tag names to be sent to the server.
       */
      readonly tags?: string
      /**
       * The URL of the HTTP proxy, if one is needed.
       */
      readonly http_proxy?: string
      /**
       * The URL of the HTTPS proxy, if one is needed.
       */
      readonly https_proxy?: string
      readonly [key: string]: unknown
    }
  }
  /**
   * The launch index for the specified cloud-config.
   */
  readonly 'launch-index'?: number
  /**
   * The locale to set as the system's locale (e.g. ar_PS).
   * Module `locale`: config stage, once per instance.
   */
  readonly locale?: boolean | string
  /**
   * The file in which to write the locale configuration (defaults to the distro's default location).
   * Module `locale`: config stage, once per instance.
   */
  readonly locale_configfile?: string
  /**
   * Module `lxd`: final stage, once per instance.
   */
  readonly lxd?: {
    /**
     * LXD init configuration values to provide to `lxd init --auto` command. Can not be combined with
     * `lxd.preseed`.
     */
    readonly init?: {
      /**
       * IP address for LXD to listen on.
       */
      readonly network_address?: string
      /**
       * Network port to bind LXD to.
       */
      readonly network_port?: number
      /**
       * Storage backend to use. Default: `dir`.
       */
      readonly storage_backend?: 'zfs' | 'dir' | 'lvm' | 'btrfs'
      /**
       * Setup device based storage using DEVICE.
       */
      readonly storage_create_device?: string
      /**
       * Setup loop based storage with SIZE in GB.
       */
      readonly storage_create_loop?: number
      /**
       * Name of storage pool to use or create.
       */
      readonly storage_pool?: string
      /**
       * The password required to add new clients.
       */
      readonly trust_password?: string
    }
    /**
     * LXD bridge configuration provided to setup the host lxd bridge. Can not be combined with `lxd.preseed`.
     */
    readonly bridge?: {
      /**
       * Whether to setup LXD bridge, use an existing bridge by `name` or create a new bridge. `none` will avoid
       * bridge setup, `existing` will configure lxd to use the bring matching `name` and `new` will create a new
       * bridge.
       */
      readonly mode: 'none' | 'existing' | 'new'
      /**
       * Name of the LXD network bridge to attach or create. Default: `lxdbr0`.
       */
      readonly name?: string
      /**
       * Bridge MTU, defaults to LXD's default value.
       */
      readonly mtu?: number
      /**
       * IPv4 address for the bridge. If set, `ipv4_netmask` key required.
       */
      readonly ipv4_address?: string
      /**
       * Prefix length for the `ipv4_address` key. Required when `ipv4_address` is set.
       */
      readonly ipv4_netmask?: number
      /**
       * First IPv4 address of the DHCP range for the network created. This value will combined with `ipv4_dhcp_last`
       * key to set LXC `ipv4.dhcp.ranges`.
       */
      readonly ipv4_dhcp_first?: string
      /**
       * Last IPv4 address of the DHCP range for the network created. This value will combined with `ipv4_dhcp_first`
       * key to set LXC `ipv4.dhcp.ranges`.
       */
      readonly ipv4_dhcp_last?: string
      /**
       * Number of DHCP leases to allocate within the range. Automatically calculated based on `ipv4_dhcp_first` and
       * `ipv4_dhcp_last` when unset.
       */
      readonly ipv4_dhcp_leases?: number
      /**
       * Set `true` to NAT the IPv4 traffic allowing for a routed IPv4 network. Default: `false`.
       */
      readonly ipv4_nat?: boolean
      /**
       * IPv6 address for the bridge (CIDR notation). When set, `ipv6_netmask` key is required. When absent, no IPv6
       * will be configured.
       */
      readonly ipv6_address?: string
      /**
       * Prefix length for `ipv6_address` provided. Required when `ipv6_address` is set.
       */
      readonly ipv6_netmask?: number
      /**
       * Whether to NAT. Default: `false`.
       */
      readonly ipv6_nat?: boolean
      /**
       * Domain to advertise to DHCP clients and use for DNS resolution.
       */
      readonly domain?: string
    }
    /**
     * Opaque LXD preseed YAML config passed via stdin to the command: lxd init --preseed. See:
     * https://documentation.ubuntu.com/lxd/en/latest/howto/initialize/#non-interactive-configuration or lxd init
     * --dump for viable config. Can not be combined with either `lxd.init` or `lxd.bridge`.
     */
    readonly preseed?: string
  }
  /**
   * Whether to manage `/etc/hosts` on the system. If `true`, render the hosts file using
   * `/etc/cloud/templates/hosts.tmpl` replacing `$hostname` and `$fqdn`. If `localhost`, append a `127.0.1.1`
   * entry that resolves from FQDN and hostname every boot. Default: `false`.
   * Module `update_etc_hosts`: network stage, at every boot.
   */
  readonly manage_etc_hosts?: true | false | 'localhost' | 'template'
  /**
   * Whether to manage the resolv.conf file. `resolv_conf` block will be ignored unless this is set to `true`.
   * Default: `false`.
   * Module `resolv_conf`: network stage, once per instance.
   */
  readonly manage_resolv_conf?: boolean
  /**
   * Module `mcollective`: final stage, once per instance.
   */
  readonly mcollective?: {
    readonly conf?: {
      /**
       * Optional value of server public certificate which will be written to
       * `/etc/mcollective/ssl/server-public.pem`.
       */
      readonly 'public-cert'?: string
      /**
       * Optional value of server private certificate which will be written to
       * `/etc/mcollective/ssl/server-private.pem`.
       */
      readonly 'private-cert'?: string
      readonly [key: string]: boolean | number | string | string | undefined
    }
  }
  readonly merge_how?: MergeDefinition
  readonly merge_type?: MergeDefinition
  /**
   * Default mount configuration for any mount entry with less than 6 options provided. When specified, 6 items
   * are required and represent `/etc/fstab` entries. Default:
   * `defaults,nofail,x-systemd.after=cloud-init-network.service,_netdev`.
   * Module `mounts`: network stage, once per instance.
   */
  readonly mount_default_fields?: readonly [
    string | null,
    string | null,
    string | null,
    string | null,
    string | null,
    string | null,
  ]
  /**
   * List of lists. Each inner list entry is a list of `/etc/fstab` mount declarations of the format: [ fs_spec,
   * fs_file, fs_vfstype, fs_mntops, fs_freq, fs_passno ]. A mount declaration with less than 6 items will get
   * remaining values from `mount_default_fields`. A mount declaration with only `fs_spec` and no `fs_file`
   * mountpoint will be skipped.
   * Module `mounts`: network stage, once per instance.
   */
  readonly mounts?: readonly (readonly string[])[]
  /**
   * If true, SSH fingerprints will not be written. Default: `false`.
   * Module `ssh_authkey_fingerprints`: final stage, once per instance.
   */
  readonly no_ssh_fingerprints?: boolean
  /**
   * Module `ntp`: config stage, once per instance.
   */
  readonly ntp?: null | {
    /**
     * List of ntp pools. If both pools and servers are empty, 4 default pool servers will be provided of the format
     * `{0-3}.{distro}.pool.ntp.org`. NOTE: for Alpine Linux when using the Busybox NTP client this setting will be
     * ignored due to the limited functionality of Busybox's ntpd.
     */
    readonly pools?: readonly string[]
    /**
     * List of ntp servers. If both pools and servers are empty, 4 default pool servers will be provided with the
     * format `{0-3}.{distro}.pool.ntp.org`.
     */
    readonly servers?: readonly string[]
    /**
     * List of ntp peers.
     */
    readonly peers?: readonly string[]
    /**
     * List of CIDRs to allow.
     */
    readonly allow?: readonly string[]
    /**
     * Name of an NTP client to use to configure system NTP. When unprovided or 'auto' the default client preferred
     * by the distribution will be used. The following built-in client names can be used to override existing
     * configuration defaults: chrony, ntp, openntpd, ntpdate, systemd-timesyncd.
     */
    readonly ntp_client?: string
    /**
     * Attempt to enable ntp clients if set to True. If set to `false`, ntp client will not be configured or
     * installed.
     */
    readonly enabled?: boolean
    /**
     * Configuration settings or overrides for the `ntp_client` specified.
     */
    readonly config?: {
      /**
       * The path to where the `ntp_client` configuration is written.
       */
      readonly confpath?: string
      /**
       * The executable name for the `ntp_client`. For example, ntp service `check_exe` is 'ntpd' because it runs the
       * ntpd binary.
       */
      readonly check_exe?: string
      /**
       * List of packages needed to be installed for the selected `ntp_client`.
       */
      readonly packages?: readonly string[]
      /**
       * The systemd or sysvinit service name used to start and stop the `ntp_client` service.
       */
      readonly service_name?: string
      /**
       * Inline template allowing users to customize their `ntp_client` configuration with the use of the Jinja
       * templating engine. The template content should start with `## template:jinja`. Within the template, you can
       * utilize any of the following ntp module config keys: `servers`, `pools`, `allow`, and `peers`. Each cc_ntp
       * schema config key and expected value type is defined above.
       */
      readonly template?: string
    }
  }
  readonly output?: {
    readonly all?: OutputLogOperator
    readonly init?: OutputLogOperator
    readonly config?: OutputLogOperator
    readonly final?: OutputLogOperator
  }
  /**
   * Set `true` to reboot the system if required by presence of `/var/run/reboot-required`. Default: `false`.
   * Module `package_update_upgrade_install`: final stage, once per instance.
   */
  readonly package_reboot_if_required?: boolean
  /**
   * Set `true` to update packages. Happens before upgrade or install. Default: `false`.
   * Module `package_update_upgrade_install`: final stage, once per instance.
   */
  readonly package_update?: boolean
  /**
   * Set `true` to upgrade packages. Happens before install. Default: `false`.
   * Module `package_update_upgrade_install`: final stage, once per instance.
   */
  readonly package_upgrade?: boolean
  /**
   * An array containing either a package specification, or an object consisting of a package manager key having a
   * package specification value . A package specification can be either a package name or a list with two
   * entries, the first being the package name and the second being the specific package version to install.
   * Module `package_update_upgrade_install`: final stage, once per instance.
   */
  readonly packages?: readonly (
    | { readonly apt?: readonly PackageItemDefinition[]; readonly snap?: readonly PackageItemDefinition[] }
    | PackageItemDefinition
  )[]
  /**
   * Set the default user's password. Ignored if `chpasswd` `list` is used.
   * Module `set_passwords`: config stage, once per instance.
   */
  readonly password?: string
  /**
   * Module `phone_home`: final stage, once per instance.
   */
  readonly phone_home?: {
    /**
     * The URL to send the phone home data to.
     */
    readonly url: string
    /**
     * A list of keys to post or `all`. Default: `all`.
     */
    readonly post?:
      | 'all'
      | readonly ('pub_key_rsa' | 'pub_key_ecdsa' | 'pub_key_ed25519' | 'instance_id' | 'hostname' | 'fqdn')[]
    /**
     * The number of times to try sending the phone home data. Default: `10`.
     */
    readonly tries?: number
  }
  /**
   * Module `power_state_change`: final stage, once per instance.
   */
  readonly power_state?: {
    /**
     * Time in minutes to delay after cloud-init has finished. Can be `now` or an integer specifying the number of
     * minutes to delay. Default: `now`.
     */
    readonly delay?: number | string | 'now'
    /**
     * Must be one of `poweroff`, `halt`, or `reboot`.
     */
    readonly mode: 'poweroff' | 'reboot' | 'halt'
    /**
     * Optional message to display to the user when the system is powering off or rebooting.
     */
    readonly message?: string
    /**
     * Time in seconds to wait for the cloud-init process to finish before executing shutdown. Default: `30`.
     */
    readonly timeout?: number
    /**
     * Apply state change only if condition is met. May be boolean true (always met), false (never met), or a
     * command string or list to be executed. For command formatting, see the documentation for `cc_runcmd`. If exit
     * code is 0, condition is met, otherwise not. Default: `true`.
     */
    readonly condition?: string | boolean | readonly unknown[]
  }
  /**
   * If true, the fqdn will be used if it is set. If false, the hostname will be used. If unset, the result is
   * distro-dependent.
   * Module `set_hostname`: network stage, once per instance; `update_hostname`: network stage, at every boot.
   */
  readonly prefer_fqdn_over_hostname?: boolean
  /**
   * If true, the hostname will not be changed. Default: `false`.
   * Module `set_hostname`: network stage, once per instance; `update_hostname`: network stage, at every boot.
   */
  readonly preserve_hostname?: boolean
  /**
   * Module `puppet`: final stage, once per instance.
   */
  readonly puppet?: {
    /**
     * Whether or not to install puppet. Setting to `false` will result in an error if puppet is not already present
     * on the system. Default: `true`.
     */
    readonly install?: boolean
    /**
     * Optional version to pass to the installer script or package manager. If unset, the latest version from the
     * repos will be installed.
     */
    readonly version?: string
    /**
     * Valid values are `packages` and `aio`. Agent packages from the puppetlabs repositories can be installed by
     * setting `aio`. Based on this setting, the default config/SSL/CSR paths will be adjusted accordingly. Default:
     * `packages`.
     */
    readonly install_type?: 'packages' | 'aio'
    /**
     * Puppet collection to install if `install_type` is `aio`. This can be set to one of `puppet` (rolling
     * release), `puppet6`, `puppet7` (or their nightly counterparts) in order to install specific release streams.
     */
    readonly collection?: string
    /**
     * If `install_type` is `aio`, change the url of the install script.
     */
    readonly aio_install_url?: string
    /**
     * Whether to remove the puppetlabs repo after installation if `install_type` is `aio` Default: `true`.
     */
    readonly cleanup?: boolean
    /**
     * The path to the puppet config file. Default depends on `install_type`.
     */
    readonly conf_file?: string
    /**
     * The path to the puppet SSL directory. Default depends on `install_type`.
     */
    readonly ssl_dir?: string
    /**
     * The path to the puppet csr attributes file. Default depends on `install_type`.
     */
    readonly csr_attributes_path?: string
    /**
     * Name of the package to install if `install_type` is `packages`. Default: `puppet`.
     */
    readonly package_name?: string
    /**
     * Whether or not to run puppet after configuration finishes. A single manual run can be triggered by setting
     * `exec` to `true`, and additional arguments can be passed to `puppet agent` via the `exec_args` key (by
     * default the agent will execute with the `--test` flag). Default: `false`.
     */
    readonly exec?: boolean
    /**
     * A list of arguments to pass to 'puppet agent' if 'exec' is true Default: `['--test']`.
     */
    readonly exec_args?: readonly string[]
    /**
     * By default, the puppet service will be automatically enabled after installation and set to automatically
     * start on boot. To override this in favor of manual puppet execution set `start_service` to `false`.
     */
    readonly start_service?: boolean
    /**
     * Every key present in the conf object will be added to puppet.conf. As such, section names should be one of:
     * `main`, `server`, `agent` or `user` and keys should be valid puppet configuration options. The configuration
     * is specified as a dictionary containing high-level `<section>` keys and lists of `<key>=<value>` pairs within
     * each section. The `certname` key supports string substitutions for `%i` and `%f`, corresponding to the
     * instance id and fqdn of the machine respectively. `ca_cert` is a special case. It won't be added to
     * puppet.conf. It holds the puppetserver certificate in pem format. It should be a multi-line string (using the
     * | YAML notation for multi-line strings).
     */
    readonly conf?: {
      readonly main?: { readonly [key: string]: unknown }
      readonly server?: { readonly [key: string]: unknown }
      readonly agent?: { readonly [key: string]: unknown }
      readonly user?: { readonly [key: string]: unknown }
      readonly ca_cert?: string
    }
    /**
     * create a `csr_attributes.yaml` file for CSR attributes and certificate extension requests. See
     * https://puppet.com/docs/puppet/latest/config_file_csr_attributes.html.
     */
    readonly csr_attributes?: {
      readonly custom_attributes?: { readonly [key: string]: unknown }
      readonly extension_requests?: { readonly [key: string]: unknown }
    }
  }
  /**
   * Module `seed_random`: network stage, once per instance.
   */
  readonly random_seed?: {
    /**
     * File to write random data to. Default: `/dev/urandom`.
     */
    readonly file?: string
    /**
     * This data will be written to `file` before data from the datasource. When using a multi-line value or
     * specifying binary data, be sure to follow YAML syntax and use the `|` and `!binary` YAML format specifiers
     * when appropriate.
     */
    readonly data?: string
    /**
     * Used to decode `data` provided. Allowed values are `raw`, `base64`, `b64`, `gzip`, or `gz`. Default: `raw`.
     */
    readonly encoding?: 'raw' | 'base64' | 'b64' | 'gzip' | 'gz'
    /**
     * Execute this command to seed random. The command will have RANDOM_SEED_FILE in its environment set to the
     * value of `file` above.
     */
    readonly command?: readonly string[]
    /**
     * If true, and `command` is not available to be run then an exception is raised and cloud-init will record
     * failure. Otherwise, only debug error is mentioned. Default: `false`.
     */
    readonly command_required?: boolean
  }
  readonly reporting?: {
    readonly [key: string]:
      | { readonly type: 'log'; readonly level?: 'DEBUG' | 'INFO' | 'WARN' | 'ERROR' | 'FATAL' }
      | { readonly type: 'print' }
      | {
          readonly type: 'webhook'
          /**
           * The URL to send the event to.
           */
          readonly endpoint: string
          /**
           * The consumer key to use for the webhook.
           */
          readonly consumer_key?: string
          /**
           * The token key to use for the webhook.
           */
          readonly token_key?: string
          /**
           * The token secret to use for the webhook.
           */
          readonly token_secret?: string
          /**
           * The consumer secret to use for the webhook.
           */
          readonly consumer_secret?: string
          /**
           * The timeout in seconds to wait for a response from the webhook.
           */
          readonly timeout?: number
          /**
           * The number of times to retry sending the webhook.
           */
          readonly retries?: number
        }
      | {
          readonly type: 'hyperv'
          /**
           * The path to the KVP file to use for the hyperv reporter.
           */
          readonly kvp_file_path?: string
          readonly event_types?: readonly string[]
        }
  }
  /**
   * Whether to resize the root partition. `noblock` will resize in the background. Default: `true`.
   * Module `resizefs`: network stage, at every boot.
   */
  readonly resize_rootfs?: true | false | 'noblock'
  /**
   * Module `resolv_conf`: network stage, once per instance.
   */
  readonly resolv_conf?: {
    /**
     * A list of nameservers to use to be added as `nameserver` lines.
     */
    readonly nameservers?: readonly unknown[]
    /**
     * A list of domains to be added `search` line.
     */
    readonly searchdomains?: readonly unknown[]
    /**
     * The domain to be added as `domain` line.
     */
    readonly domain?: string
    /**
     * A list of IP addresses to be added to `sortlist` line.
     */
    readonly sortlist?: readonly unknown[]
    /**
     * Key/value pairs of options to go under `options` heading. A unary option should be specified as `true`.
     */
    readonly options?: { readonly [key: string]: unknown }
  }
  /**
   * Module `rh_subscription`: config stage, once per instance.
   */
  readonly rh_subscription?: {
    /**
     * The username to use. Must be used with password. Should not be used with `activation_key` or `org`.
     */
    readonly username?: string
    /**
     * The password to use. Must be used with username. Should not be used with `activation_key` or `org`.
     */
    readonly password?: string
    /**
     * The activation key to use. Must be used with `org`. Should not be used with `username` or `password`.
     */
    readonly activation_key?: string
    /**
     * The activation key to use. Must be used with `org`. Should not be used with `username` or `password`.
     * @deprecated Since 25.3. Use `activation_key` instead.
     */
    readonly 'activation-key'?: string
    /**
     * The organization to use. Must be used with `activation_key`. Should not be used with `username` or
     * `password`.
     */
    readonly org?: string | number
    /**
     * Whether to attach subscriptions automatically.
     */
    readonly auto_attach?: boolean
    /**
     * Whether to attach subscriptions automatically.
     * @deprecated Since 25.3. Use `auto_attach` instead.
     */
    readonly 'auto-attach'?: boolean
    /**
     * The service level to use when subscribing to RH repositories. `auto_attach` must be true for this to be used.
     */
    readonly service_level?: string
    /**
     * The service level to use when subscribing to RH repositories. `auto_attach` must be true for this to be used.
     * @deprecated Since 25.3. Use `service_level` instead.
     */
    readonly 'service-level'?: string
    /**
     * A list of pool IDs add to the subscription.
     */
    readonly add_pool?: readonly string[]
    /**
     * A list of pool IDs add to the subscription.
     * @deprecated Since 25.3. Use `add_pool` instead.
     */
    readonly 'add-pool'?: readonly string[]
    /**
     * A list of repositories to enable.
     */
    readonly enable_repo?: readonly string[]
    /**
     * A list of repositories to enable.
     * @deprecated Since 25.3. Use `enable_repo` instead.
     */
    readonly 'enable-repo'?: readonly string[]
    /**
     * A list of repositories to disable.
     */
    readonly disable_repo?: readonly string[]
    /**
     * A list of repositories to disable.
     * @deprecated Since 25.3. Use `disable_repo` instead.
     */
    readonly 'disable-repo'?: readonly string[]
    /**
     * Sets the release_version via`subscription-manager release --set=<release_version>` then deletes the package
     * manager cache `/var/cache/{dnf,yum}` . These steps are applied after any pool attachment and/or
     * enabling/disabling repos. For more information about this key, check
     * https://access.redhat.com/solutions/238533 .
     */
    readonly release_version?: string
    /**
     * Sets the baseurl in `/etc/rhsm/rhsm.conf`.
     */
    readonly rhsm_baseurl?: string
    /**
     * Sets the baseurl in `/etc/rhsm/rhsm.conf`.
     * @deprecated Since 25.3. Use `rhsm_baseurl` instead.
     */
    readonly 'rhsm-baseurl'?: string
    /**
     * Sets the serverurl in `/etc/rhsm/rhsm.conf`.
     */
    readonly server_hostname?: string
    /**
     * Sets the serverurl in `/etc/rhsm/rhsm.conf`.
     * @deprecated Since 25.3. Use `server_hostname` instead.
     */
    readonly 'server-hostname'?: string
  }
  /**
   * Module `raspberry_pi`: config stage, once per instance.
   */
  readonly rpi?: {
    readonly interfaces?: {
      /**
       * Enable SPI interface. Default: `false`.
       */
      readonly spi?: boolean
      /**
       * Enable I2C interface. Default: `false`.
       */
      readonly i2c?: boolean
      /**
       * Enable serial console. Default: `false`.
       */
      readonly serial?:
        | boolean
        | {
            /**
             * Enable login shell to be accessible over serial. Default: `false`.
             */
            readonly console?: boolean
            /**
             * Enable serial port hardware. Default: `false`.
             */
            readonly hardware?: boolean
            readonly [key: string]: unknown
          }
      /**
       * Enable 1-Wire interface. Default: `false`.
       */
      readonly onewire?: boolean
      readonly [key: string]: unknown
    }
    /**
     * Enable Raspberry Pi USB Gadget mode. Default: `false`.
     */
    readonly enable_usb_gadget?: boolean
    readonly [key: string]: unknown
  }
  /**
   * Module `rsyslog`: network stage, once per instance.
   */
  readonly rsyslog?: {
    /**
     * The directory where rsyslog configuration files will be written. Default: `/etc/rsyslog.d`.
     */
    readonly config_dir?: string
    /**
     * The name of the rsyslog configuration file. Default: `20-cloud-config.conf`.
     */
    readonly config_filename?: string
    /**
     * Each entry in `configs` is either a string or an object. Each config entry contains a configuration string
     * and a file to write it to. For config entries that are an object, `filename` sets the target filename and
     * `content` specifies the config string to write. For config entries that are only a string, the string is used
     * as the config string to write. If the filename to write the config to is not specified, the value of the
     * `config_filename` key is used. A file with the selected filename will be written inside the directory
     * specified by `config_dir`.
     */
    readonly configs?: readonly (string | { readonly filename?: string; readonly content: string })[]
    /**
     * Each key is the name for an rsyslog remote entry. Each value holds the contents of the remote config for
     * rsyslog. The config consists of the following parts: - filter for log messages (defaults to `*.*`) - optional
     * leading `@` or `@@`, indicating udp and tcp respectively (defaults to `@`, for udp) - ipv4 or ipv6 hostname
     * or address. ipv6 addresses must be in `[::1]` format, (e.g. `@[fd00::1]:514`) - optional port number
     * (defaults to `514`) This module will provide sane defaults for any part of the remote entry that is not
     * specified, so in most cases remote hosts can be specified just using `<name>: <address>`.
     */
    readonly remotes?: { readonly [key: string]: unknown }
    /**
     * The command to use to reload the rsyslog service after the config has been updated. If this is set to `auto`,
     * then an appropriate command for the distro will be used. This is the default behavior. To manually set the
     * command, use a list of command args (e.g. `[systemctl, restart, rsyslog]`).
     */
    readonly service_reload_command?: 'auto' | readonly string[]
    /**
     * Install rsyslog. Default: `false`.
     */
    readonly install_rsyslog?: boolean
    /**
     * The executable name for the rsyslog daemon. For example, `rsyslogd`, or `/opt/sbin/rsyslogd` if the rsyslog
     * binary is in an unusual path. This is only used if `install_rsyslog` is `true`. Default: `rsyslogd`.
     */
    readonly check_exe?: string
    /**
     * List of packages needed to be installed for rsyslog. This is only used if `install_rsyslog` is `true`.
     * Default: `[rsyslog]`.
     */
    readonly packages?: readonly string[]
  }
  /**
   * Module `runcmd`: config stage, once per instance.
   */
  readonly runcmd?: readonly (readonly string[] | string | null)[]
  /**
   * Module `salt_minion`: final stage, once per instance.
   */
  readonly salt_minion?: {
    /**
     * Package name to install. Default: `salt-minion`.
     */
    readonly pkg_name?: string
    /**
     * Service name to enable. Default: `salt-minion`.
     */
    readonly service_name?: string
    /**
     * Directory to write config files to. Default: `/etc/salt`.
     */
    readonly config_dir?: string
    /**
     * Configuration to be written to `config_dir`/minion.
     */
    readonly conf?: { readonly [key: string]: unknown }
    /**
     * Configuration to be written to `config_dir`/grains.
     */
    readonly grains?: { readonly [key: string]: unknown }
    /**
     * Public key to be used by the salt minion.
     */
    readonly public_key?: string
    /**
     * Private key to be used by salt minion.
     */
    readonly private_key?: string
    /**
     * Directory to write key files. Default: `config_dir`/pki/minion.
     */
    readonly pki_dir?: string
  }
  /**
   * Module `snap`: config stage, once per instance.
   */
  readonly snap?: {
    /**
     * Properly-signed snap assertions which will run before and snap `commands`.
     */
    readonly assertions?: { readonly [key: string]: string } | readonly string[]
    /**
     * Snap commands to run on the target system.
     */
    readonly commands?: { readonly [key: string]: string | readonly string[] } | readonly (string | readonly string[])[]
  }
  /**
   * Module `spacewalk`: config stage, once per instance.
   */
  readonly spacewalk?: {
    /**
     * The Spacewalk server to use.
     */
    readonly server?: string
    /**
     * The proxy to use when connecting to Spacewalk.
     */
    readonly proxy?: string
    /**
     * The activation key to use when registering with Spacewalk.
     */
    readonly activation_key?: string
  }
  /**
   * Module `keys_to_console`: final stage, once per instance.
   */
  readonly ssh?: {
    /**
     * Set false to avoid printing SSH keys to system console. Default: `true`.
     */
    readonly emit_keys_to_console: boolean
  }
  /**
   * The SSH public keys to add `.ssh/authorized_keys` in the default user's home directory.
   * Module `ssh`: network stage, once per instance.
   */
  readonly ssh_authorized_keys?: readonly string[]
  /**
   * Remove host SSH keys. This prevents re-use of a private host key from an image with default host SSH keys.
   * Default: `true`.
   * Module `ssh`: network stage, once per instance.
   */
  readonly ssh_deletekeys?: boolean
  /**
   * Avoid printing matching SSH fingerprints to the system console.
   * Module `keys_to_console`: final stage, once per instance.
   */
  readonly ssh_fp_console_blacklist?: readonly string[]
  /**
   * The SSH key types to generate. Default: `[rsa, ecdsa, ed25519]`.
   * Module `ssh`: network stage, once per instance.
   */
  readonly ssh_genkeytypes?: readonly ('ecdsa' | 'ed25519' | 'rsa')[]
  /**
   * Module `ssh_import_id`: config stage, once per instance.
   */
  readonly ssh_import_id?: readonly string[]
  /**
   * Avoid printing matching SSH key types to the system console.
   * Module `keys_to_console`: final stage, once per instance.
   */
  readonly ssh_key_console_blacklist?: readonly string[]
  /**
   * A dictionary entries for the public and private host keys of each desired key type. Entries in the `ssh_keys`
   * config dict should have keys in the format `<key type>_private`, `<key type>_public`, and, optionally, `<key
   * type>_certificate`, e.g. `rsa_private: <key>`, `rsa_public: <key>`, and `rsa_certificate: <key>`. Not all key
   * types have to be specified, ones left unspecified will not be used. If this config option is used, then
   * separate keys will not be automatically generated. In order to specify multi-line private host keys and
   * certificates, use YAML multi-line syntax. Note: Your ssh keys might possibly be visible to unprivileged users
   * on your system, depending on your cloud's security model.
   * Module `ssh`: network stage, once per instance.
   */
  readonly ssh_keys?: { readonly [key: string]: string }
  /**
   * Module `ssh`: network stage, once per instance.
   */
  readonly ssh_publish_hostkeys?: {
    /**
     * If true, will read host keys from `/etc/ssh/*.pub` and publish them to the datasource (if supported).
     * Default: `true`.
     */
    readonly enabled?: boolean
    /**
     * The SSH key types to ignore when publishing. Default: `[]` to publish all SSH key types.
     */
    readonly blacklist?: readonly string[]
  }
  /**
   * Sets whether or not to accept password authentication. `true` will enable password auth. `false` will
   * disable. Default: leave the value unchanged. In order for this config to be applied, SSH may need to be
   * restarted. On systemd systems, this restart will only happen if the SSH service has already been started. On
   * non-systemd systems, a restart will be attempted regardless of the service state.
   * Module `set_passwords`: config stage, once per instance.
   */
  readonly ssh_pwauth?: boolean | string
  /**
   * If `true`, will suppress the output of key generation to the console. Default: `false`.
   * Module `ssh`: network stage, once per instance.
   */
  readonly ssh_quiet_keygen?: boolean
  /**
   * Module `mounts`: network stage, once per instance.
   */
  readonly swap?: {
    /**
     * Path to the swap file to create.
     */
    readonly filename?: string
    /**
     * The size in bytes of the swap file, 'auto' or a human-readable size abbreviation of the format
     * <float_size><units> where units are one of B, K, M, G or T. WARNING: Attempts to use IEC prefixes in your
     * configuration prior to cloud-init version 23.1 will result in unexpected behavior. SI prefixes names (KB, MB)
     * are required on pre-23.1 cloud-init, however IEC values are used. In summary, assume 1KB == 1024B, not 1000B.
     */
    readonly size?: 'auto' | number | string
    /**
     * The maxsize in bytes of the swap file.
     */
    readonly maxsize?: number | string
  }
  /**
   * @deprecated Since 24.2. System and/or distro specific settings. This is not intended to be overridden by
   * user-data or vendor-data.
   */
  readonly system_info?: { readonly [key: string]: unknown }
  /**
   * The timezone to use as represented in /usr/share/zoneinfo.
   * Module `timezone`: config stage, once per instance.
   */
  readonly timezone?: string
  /**
   * Module `ubuntu_pro`: config stage, once per instance.
   * @deprecated Since 24.1. Use `ubuntu_pro` instead.
   */
  readonly ubuntu_advantage?: UbuntuProProperties
  /**
   * Module `ubuntu_pro`: config stage, once per instance.
   */
  readonly ubuntu_pro?: UbuntuProProperties
  /**
   * Module `install_hotplug`: final stage, once per instance.
   */
  readonly updates?: {
    readonly network?: { readonly when: readonly ('boot-new-instance' | 'boot-legacy' | 'boot' | 'hotplug')[] }
  }
  /**
   * The `user` dictionary values override the `default_user` configuration from `/etc/cloud/cloud.cfg`. The
   * `user` dictionary keys supported for the default_user are the same as the `users` schema.
   * Module `users_groups`: network stage, once per instance.
   */
  readonly user?: string | UsersGroupsUser
  /**
   * Module `users_groups`: network stage, once per instance.
   */
  readonly users?:
    | string
    | readonly (string | readonly string[] | UsersGroupsUser)[]
    | { readonly [key: string]: unknown }
  /**
   * Module `scripts_vendor`: final stage, once per instance.
   */
  readonly vendor_data?: {
    /**
     * Whether vendor-data is enabled or not. Default: `true`.
     */
    readonly enabled?: boolean | string
    /**
     * The command to run before any vendor scripts. Its primary use case is for profiling a script, not to prevent
     * its run.
     */
    readonly prefix?: readonly (string | number)[] | string
  }
  /**
   * Module `wireguard`: config stage, once per instance.
   */
  readonly wireguard?: null | {
    readonly interfaces: readonly {
      /**
       * Name of the interface. Typically wgx (example: wg0).
       */
      readonly name?: string
      /**
       * Path to configuration file of Wireguard interface.
       */
      readonly config_path?: string
      /**
       * Wireguard interface configuration. Contains key, peer, ...
       */
      readonly content?: string
    }[]
    /**
     * List of shell commands to be executed as probes.
     */
    readonly readinessprobe?: readonly string[]
  }
  /**
   * Module `write_files`: network stage, once per instance.
   */
  readonly write_files?: readonly {
    /**
     * Path of the file to which `content` is decoded and written.
     */
    readonly path: string
    /**
     * Optional content to write to the provided `path`. When content is present and encoding is not 'text/plain',
     * decode the content prior to writing. Default: `''`.
     */
    readonly content?: string
    /**
     * Optional specification for content loading from an arbitrary URI.
     */
    readonly source?: {
      /**
       * URI from which to load file content. If loading fails repeatedly, `content` is used instead.
       */
      readonly uri: string
      /**
       * Optional HTTP headers to accompany load request, if applicable.
       */
      readonly headers?: { readonly [key: string]: string }
    }
    /**
     * Optional owner:group to chown on the file and new directories. Default: `root:root`.
     */
    readonly owner?: string
    /**
     * Optional file permissions to set on `path` represented as an octal string '0###'. Default: `0o644`.
     */
    readonly permissions?: string
    /**
     * Optional encoding type of the content. Default: `text/plain`. No decoding is performed by default. Supported
     * encoding types are: gz, gzip, gz+base64, gzip+base64, gz+b64, gzip+b64, b64, base64.
     */
    readonly encoding?:
      | 'gz'
      | 'gzip'
      | 'gz+base64'
      | 'gzip+base64'
      | 'gz+b64'
      | 'gzip+b64'
      | 'b64'
      | 'base64'
      | 'text/plain'
    /**
     * Whether to append `content` to existing file if `path` exists. Default: `false`.
     */
    readonly append?: boolean
    /**
     * Defer writing the file until 'final' stage, after users were created, and packages were installed. Default:
     * `false`.
     */
    readonly defer?: boolean
  }[]
  /**
   * The repo parts directory where individual yum repo config files will be written. Default: `/etc/yum.repos.d`.
   * Module `yum_add_repo`: config stage, once per instance.
   */
  readonly yum_repo_dir?: string
  /**
   * Module `yum_add_repo`: config stage, once per instance.
   */
  readonly yum_repos?: {
    readonly [key: string]: {
      /**
       * URL to the directory where the yum repository's 'repodata' directory lives.
       */
      readonly baseurl?: string
      /**
       * Specifies a URL to a metalink file for the repomd.xml.
       */
      readonly metalink?: string
      /**
       * Specifies a URL to a file containing a baseurls list.
       */
      readonly mirrorlist?: string
      /**
       * Optional human-readable name of the yum repo.
       */
      readonly name?: string
      /**
       * Whether to enable the repo. Default: `true`.
       */
      readonly enabled?: boolean
      readonly [key: string]: number | boolean | string | string | boolean | undefined
    }
  }
  /**
   * Module `zypper_add_repo`: config stage, at every boot.
   */
  readonly zypper?: {
    readonly repos?: readonly {
      /**
       * The unique id of the repo, used when writing /etc/zypp/repos.d/<id>.repo.
       */
      readonly id: string
      /**
       * The base repositoy URL.
       */
      readonly baseurl: string
      readonly [key: string]: unknown
    }[]
    /**
     * Any supported zypo.conf key is written to `/etc/zypp/zypp.conf`.
     */
    readonly config?: { readonly [key: string]: unknown }
    readonly [key: string]: unknown
  }
}
