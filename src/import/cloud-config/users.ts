import type { SourceLocation } from '../../errors.ts'
import type { Collector } from '../collector.ts'
import { mappingOf, textOf, type ConfigKey } from './read.ts'
import { singleStep } from './single.ts'

/** What of a user is for logging in by SSH: an image's seal removes it, so each host gets it anew. */
const sshKeys = ['ssh_authorized_keys', 'ssh-authorized-keys', 'ssh_import_id', 'ssh_redirect_user']
const passwords = ['passwd', 'hashed_passwd', 'plain_text_passwd']
const ofAccount = [...passwords, 'sudo', 'doas']

/** A user as cloud-init's document has it, with a name. */
interface User extends Readonly<Record<string, unknown>> {
  readonly name: string
}

interface FoundUser {
  readonly user: User
  readonly at: SourceLocation
}

/** Names of the users that a config makes. */
export function userNames(config: ReadonlyMap<string, ConfigKey>): readonly string[] {
  const key = config.get('users')
  return key === undefined ? [] : readUsers(key).flatMap(({ user }) => (user.name === 'default' ? [] : [user.name]))
}

/** Adds the steps of groups and users: accounts, which may be baked, and SSH keys, which every host gets anew. */
export function addUsers(config: ReadonlyMap<string, ConfigKey>, to: Collector): void {
  const groups = config.get('groups')
  const users = config.get('users')
  const found = users === undefined ? [] : readUsers(users)
  const made = found.filter(({ user }) => user.name !== 'default')
  if (groups === undefined && made.length === 0) {
    tellDefault(users, found, to)
    return
  }
  const accounts = singleStep(
    to,
    { name: 'users', description: describe(made, groups), plain: true },
    ['users_groups'],
    {
      ...(groups === undefined ? {} : { groups: groups.value }),
      users: made.map(({ user }) => without(user, sshKeys)),
    },
  )
  const withKeys = made.filter(({ user }) => sshKeys.some((key) => key in user))
  const logins =
    withKeys.length === 0
      ? undefined
      : singleStep(
          to,
          {
            name: 'user-ssh-keys',
            description: 'SSH keys of users',
            comments: ['Images hold no keys of users: every host gets them anew.'],
            ...{ when: 'instance', apart: 'all', plain: true },
          },
          ['users_groups'],
          { users: withKeys.map(({ user }) => without(user, ofAccount)) },
        )
  if (groups !== undefined) to.carried(groups.at, 'groups', [accounts])
  for (const { user, at } of made) {
    const keyed = logins !== undefined && sshKeys.some((key) => key in user)
    const secret = passwords.some((key) => key in user)
    to.carried(
      at,
      `user ${user.name}`,
      keyed ? [accounts, logins] : [accounts],
      secret ? 'whoever may read the store can read its password or hash' : undefined,
    )
  }
  tellDefault(users, found, to)
}

/** Keys of the default user and of root, put where cloud-init puts them, by cloud-init's own function. */
export function addSshKeys(config: ReadonlyMap<string, ConfigKey>, to: Collector): void {
  const key = config.get('ssh_authorized_keys')
  if (key === undefined) return
  const list: readonly unknown[] = Array.isArray(key.value) ? (key.value as unknown[]) : [key.value]
  const keys = list.map((line) => textOf(line)?.trim() ?? '').filter((line) => line !== '')
  if (keys.length === 0) {
    to.carried(key.at, key.key, [], 'is empty')
    return
  }
  const source = to.file('files/authorized_keys', Buffer.from(`${keys.join('\n')}\n`))
  const text = `#!/usr/bin/python3
# Adds keys for the default user and for root, by cloud-init's own function.
from cloudinit import ssh_util, stages, util
from cloudinit.config import cc_ssh
from cloudinit.distros import ug_util

init = stages.Init()
init.read_cfg()
init.fetch(existing="trust")
config = init.cfg
users, _ = ug_util.normalize_users_groups(config, init.distro)
user, _ = ug_util.extract_default(users)
with open("${source}", encoding="utf-8") as file:
    keys = file.read().splitlines()
no_root = util.get_cfg_option_bool(config, "disable_root", True)
options = util.get_cfg_option_str(config, "disable_root_opts", ssh_util.DISABLE_USER_OPTS)
cc_ssh.apply_credentials(keys, user, no_root, options)
`
  const step = to.script(
    { name: 'ssh-keys', description: 'SSH keys of the default user', when: 'instance', apart: 'all', plain: true },
    text,
    { inputs: [source] },
  )
  to.carried(key.at, key.key, [step])
}

/** Where users are listed without `default`, cloud-init would not make the image's own user. */
function tellDefault(users: ConfigKey | undefined, found: readonly FoundUser[], to: Collector): void {
  const own = found.find(({ user }) => user.name === 'default')
  if (own !== undefined) {
    to.carried(own.at, 'user default', [], 'cloud-init makes it at the first boot of any host')
  } else if (users !== undefined) {
    to.notCarried(
      users.at,
      'users without default',
      "hosts get the image's default user all the same, for cloud-init makes it before the agent is there",
      'where that must not be, set `users: []` in the base image or remove the user in a step of its own',
    )
  }
}

/** cloud-init takes a list of names or mappings, one text with commas, or one mapping by name. */
function readUsers(key: ConfigKey): readonly FoundUser[] {
  const { value, document, at } = key
  if (typeof value === 'string') return names(value).map((name) => ({ user: { name }, at }))
  const byName = mappingOf(value)
  if (byName !== undefined) {
    return Object.entries(byName).map(([name, more]) => ({
      user: { ...mappingOf(more), name },
      at: document.locateKey([key.key, name]),
    }))
  }
  return (Array.isArray(value) ? (value as unknown[]) : []).flatMap((entry, index): readonly FoundUser[] => {
    const where = document.locate([key.key, index])
    if (Array.isArray(entry))
      return entry.flatMap((name) => names(textOf(name) ?? '')).map((name) => ({ user: { name }, at: where }))
    const fields = mappingOf(entry)
    if (fields === undefined) return names(textOf(entry) ?? '').map((name) => ({ user: { name }, at: where }))
    return [{ user: { ...fields, name: textOf(fields['name']) ?? textOf(fields['snapuser']) ?? 'default' }, at: where }]
  })
}

function names(text: string): readonly string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

function without(user: User, keys: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(user).filter(([key]) => !keys.includes(key)))
}

function describe(users: readonly FoundUser[], groups: ConfigKey | undefined): string {
  const list = users.map(({ user }) => user.name).join(', ')
  if (list === '') return 'Groups'
  return groups === undefined ? `Users ${list}` : `Groups, and users ${list}`
}
