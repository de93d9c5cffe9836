import type { SourceLocation } from '../../errors.ts'
import type { Collector } from '../collector.ts'
import { user as userStep } from '../../steps/user.ts'
import type { StepDraft } from '../model.ts'
import { isTrue } from './files.ts'
import { mappingOf, textOf, type ConfigKey } from './read.ts'
import { singleStep } from './single.ts'

/** What of a user is for logging in by SSH: an image's seal removes it, so each host gets it anew. */
const sshKeys = ['ssh_authorized_keys', 'ssh-authorized-keys', 'ssh_import_id', 'ssh_redirect_user']
const passwords = ['passwd', 'hashed_passwd', 'plain_text_passwd']
const ofAccount = [...passwords, 'sudo', 'doas']

/** What `user` steps have a word for. */
const expressible: ReadonlySet<string> = new Set(
  'name gecos uid homedir shell primary_group groups create_groups system no_create_home sudo lock_passwd lock-passwd ssh_authorized_keys ssh-authorized-keys'.split(
    ' ',
  ),
)

/** Those that every base of Debian and Ubuntu has; cloud-init would skip them as well. */
const baseGroups: ReadonlySet<string> = new Set(
  'root adm sudo users staff games mail www-data backup dialout cdrom floppy audio dip video plugdev tty disk'.split(
    ' ',
  ),
)

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
  addGroups(groups, made, to)
  const others: FoundUser[] = []
  for (const each of made) {
    const steps = userSteps(each.user)
    if (steps === undefined) others.push(each)
    else
      to.carried(
        each.at,
        `user ${each.user.name}`,
        steps.map((step) => to.step(step)),
      )
  }
  if (others.length > 0) addByModule(others, to)
  tellDefault(users, found, to)
}

/** Groups of the document, and those that cloud-init makes for users: all that a base of the distribution may lack. */
function addGroups(groups: ConfigKey | undefined, users: readonly FoundUser[], to: Collector): void {
  const wanted = users.flatMap(({ user }) => (user['create_groups'] === false ? [] : (wordsOf(user['groups']) ?? [])))
  const missing = [...new Set(wanted)].filter((name) => !baseGroups.has(name))
  const given = groupsOf(groups?.value)
  const all = [...given, ...missing.filter((name) => !given.some((group) => groupName(group) === name))]
  if (all.length === 0) return
  const draft = { name: 'groups', description: 'Groups', plain: true }
  const step = singleStep(to, draft, ['users_groups'], { groups: all, users: [] })
  if (groups !== undefined) to.carried(groups.at, 'groups', [step])
}

/** The steps of a user whom `user` steps can express: the account, which may be baked, and what lets in by SSH. */
function userSteps(user: User): readonly StepDraft[] | undefined {
  if (Object.keys(user).some((key) => !expressible.has(key))) return undefined
  const { name, gecos, uid, homedir, shell, primary_group: group, system, no_create_home: noHome, sudo } = user
  const groups = wordsOf(user['groups'])
  const rules = sudo === undefined || sudo === null || sudo === false ? [] : listOf(sudo)
  const keys = listOf(user['ssh_authorized_keys'] ?? user['ssh-authorized-keys'] ?? [])
  // Nobody made a home for the keys to lie in.
  if (keys.length > 0 && (isTrue(system) || isTrue(noHome))) return undefined
  // Without a lock an empty or old password might let in; cloud-init locks unless it is told not to.
  if (groups === undefined || !isTrue(user['lock_passwd'] ?? user['lock-passwd'] ?? true)) return undefined
  const account = {
    type: 'user',
    user: name,
    ...(uid === undefined ? {} : { uid: Number(uid) }),
    ...(group === undefined ? {} : { group }),
    ...(groups.length === 0 ? {} : { groups }),
    ...(homedir === undefined ? {} : { home: homedir }),
    ...(shell === undefined ? {} : { shell }),
    ...(gecos === undefined ? {} : { comment: gecos }),
    ...(isTrue(system) ? { system: true } : {}),
    ...(isTrue(system) || isTrue(noHome) ? { createHome: false } : {}),
    ...(rules.length === 0 ? {} : { sudo: rules }),
  }
  const logins = { type: 'user', user: name, authorizedKeys: keys }
  if (![account, logins].every((keysOf) => userStep.schema.safeParse({ name: 'user', ...keysOf }).success))
    return undefined
  const stem = `user-${name}`
  const made: StepDraft = { name: stem, plain: true, keys: account }
  return keys.length === 0
    ? [made]
    : [
        made,
        {
          ...{ name: `${stem}-ssh-keys`, when: 'instance', apart: 'all', plain: true, keys: logins },
          comments: ['Images hold no keys of users: every host gets them anew.'],
        },
      ]
}

/** What `user` steps cannot express is left to cloud-init's own module. */
function addByModule(made: readonly FoundUser[], to: Collector): void {
  const accounts = singleStep(
    to,
    { name: 'users', description: `Users ${made.map(({ user }) => user.name).join(', ')}`, plain: true },
    ['users_groups'],
    { users: made.map(({ user }) => without(user, sshKeys)) },
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

/** Names as cloud-init takes them, a list or a text with commas; undefined where it is neither. */
function wordsOf(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return []
  if (typeof value === 'string') return names(value)
  if (!Array.isArray(value)) return undefined
  return (value as unknown[]).map((name) => textOf(name) ?? '')
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [value]
}

/** Names, or mappings of a name to members. */
function groupsOf(value: unknown): readonly unknown[] {
  const byName = mappingOf(value)
  if (byName !== undefined) return Object.entries(byName).map(([name, members]) => ({ [name]: members }))
  return typeof value === 'string' ? names(value) : listOf(value ?? [])
}

function groupName(group: unknown): string | undefined {
  return textOf(group) ?? Object.keys(mappingOf(group) ?? {})[0]
}
