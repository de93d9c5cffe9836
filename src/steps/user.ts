import { z } from 'zod'
import { shQuote } from '../util/sh-quote.ts'
import { commonShape } from './common.ts'
import { accountName, hostPath } from './fields.ts'
import { callInstallFile, installFile, ownPath, prologue } from './shell.ts'
import { defineStepType } from './types.ts'

const keyPattern =
  /^(?:[^\n]* )?(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]+=*(?: [^\n]*)?$/

const accountId = z.number().int().min(0).max(4_294_967_294)

const schema = z
  .strictObject({
    type: z.literal('user').meta({ description: 'Makes a user, or removes one.' }),
    ...commonShape,
    user: accountName.meta({ description: 'Name of the user.' }),
    uid: accountId.optional().meta({ description: 'Number of the user. A user who has another one is left alone.' }),
    group: accountName.optional().meta({
      description: 'Primary group, made where it is missing. Default for a new user: what the host does.',
    }),
    gid: accountId.optional().meta({ description: 'Number of the primary group, where it is made.' }),
    groups: z.array(accountName).optional().meta({
      description: 'Further groups, which must exist. Those that the user is in besides stay.',
    }),
    home: hostPath('a folder').optional().meta({
      description: 'Home folder, made with the user. Default: as the host does, made unless system.',
    }),
    shell: hostPath('a file').optional().meta({
      description: 'Login shell. Default for a new user: as the host does, none that lets in for system.',
    }),
    comment: z
      .string()
      .regex(/^[^:\n]*$/, 'must be one line without colons')
      .optional()
      .meta({ description: 'Who that is, mostly a full name; the GECOS field.' }),
    createHome: z.boolean().optional().meta({
      description: 'false: a new user gets no home folder. Default true, but for system without home.',
    }),
    system: z.boolean().optional().meta({ description: 'true: a new user is one for a service. Default false.' }),
    authorizedKeys: z
      .array(z.string().regex(keyPattern, 'must be a public SSH key on one line, as in authorized_keys'))
      .optional()
      .meta({
        description:
          'SSH keys that let in, in a marked part of ~/.ssh/authorized_keys; other lines stay. Such a step is never baked.',
      }),
    sudo: z
      .array(z.string().regex(/^\S[^\n]*$/, 'must be what stands behind the name in sudoers, on one line'))
      .optional()
      .meta({
        description:
          'What sudo allows, e.g. "ALL=(ALL) NOPASSWD:ALL", in a file of its own below /etc/sudoers.d. []: nothing by that file.',
      }),
    locked: z.boolean().optional().meta({
      description: 'true: no password lets in. New users have none, those who are there keep theirs. Default false.',
    }),
    absent: z.boolean().optional().meta({ description: 'true: remove the user, but not the home folder.' }),
  })
  .meta({ description: 'Makes a user, or brings one who is there to what is asked for.' })

type UserSpec = z.infer<typeof schema>

/** Makes a user. */
export const user = defineStepType({
  name: 'user',
  summary: 'a user with groups, home, shell and SSH keys, or none (absent)',
  schema,
  check: async (raw, context) => {
    if (raw['gid'] !== undefined && raw['group'] === undefined) context.report(['gid'], "needs 'group' beside it")
    if (raw['absent'] !== true) return
    for (const key of Object.keys(schema.shape)) {
      const kept = key === 'user' || key === 'type' || key === 'absent' || key in commonShape
      if (!kept && raw[key] !== undefined) context.report([key], 'means nothing for a user who is removed')
    }
  },
  render: async (spec) => {
    if (spec.absent === true) return { script: renderRemove(spec.user), files: [] }
    const keys = spec.authorizedKeys?.map((key) => `${key}\n`).join('')
    return {
      script: renderMake(spec),
      files: [
        ...(keys === undefined ? [] : [{ path: keysPath, executable: false, content: Buffer.from(keys) }]),
        ...(spec.sudo === undefined || spec.sudo.length === 0
          ? []
          : [{ path: sudoPath, executable: false, content: Buffer.from(sudoersOf(spec.user, spec.sudo)) }]),
      ],
    }
  },
  effects: (spec) =>
    spec.absent === true
      ? {}
      : {
          accounts: [spec.user, ...(spec.group === undefined ? [] : [spec.group])],
          ...(spec.groups === undefined ? {} : { usesAccounts: spec.groups }),
          writes: [
            ...(spec.home === undefined ? [] : [spec.home]),
            ...(spec.sudo === undefined ? [] : [sudoersFile(spec.user)]),
          ],
        },
  runtimeOnly: ({ authorizedKeys }) =>
    authorizedKeys === undefined ? undefined : 'it lets people in by SSH keys, which an image must not hold',
})

const keysPath = ownPath('keys')
const sudoPath = ownPath('sudo')

function sudoersFile(user: string): string {
  return `/etc/sudoers.d/parbake-${user}`
}

function sudoersOf(user: string, rules: readonly string[]): string {
  return rules.map((rule) => `${user} ${rule}\n`).join('')
}

const lookUp = `# One line of /etc/passwd or /etc/group, or of what stands beside them, in FOUND.
find_account() { # passwd|group NAME
  if have getent; then FOUND=$(getent "$1" "$2" || :); else FOUND=$(grep "^$2:" "/etc/$1" || :); fi
  [ -n "$FOUND" ]
}
`

function renderRemove(name: string): string {
  return `${prologue}${lookUp}rm -f ${sudoersFile(name)}
if ! find_account passwd ${name}; then exit 0; fi
if have userdel; then userdel ${name}; else deluser ${name}; fi
`
}

/** Without shadow's tools, busybox's make users, but cannot change them. */
function renderMake(spec: UserSpec): string {
  const { user: name, uid, group, gid, groups = [], home, shell, comment, system = false } = spec
  const made = spec.createHome ?? (home !== undefined || !system)
  const options = [
    ...(system ? ['-r'] : []),
    ...(uid === undefined ? [] : ['-u', uid]),
    ...(group === undefined ? [] : ['-g', group]),
    ...(home === undefined ? [] : ['-d', shQuote(home)]),
    made ? '-m' : '-M',
    ...(shell === undefined ? [] : ['-s', shQuote(shell)]),
    ...(comment === undefined ? [] : ['-c', shQuote(comment)]),
  ]
  const busyboxOptions = [
    '-D',
    ...(system ? ['-S'] : []),
    ...(uid === undefined ? [] : ['-u', uid]),
    ...(group === undefined ? [] : ['-G', group]),
    ...(home === undefined ? [] : ['-h', shQuote(home)]),
    ...(made ? [] : ['-H']),
    ...(shell === undefined ? [] : ['-s', shQuote(shell)]),
    ...(comment === undefined ? [] : ['-g', shQuote(comment)]),
  ]
  const parts = [
    `${prologue}${lookUp}name=${name}`,
    group === undefined
      ? ''
      : `if ! find_account group ${group}; then
  if have groupadd; then
    groupadd ${system ? '-r ' : ''}${gid === undefined ? '' : `-g ${gid} `}${group}
  else
    addgroup ${system ? '-S ' : ''}${gid === undefined ? '' : `-g ${gid} `}${group}
  fi
fi`,
    ...groups.map(
      (other) =>
        `find_account group ${other} || fail "there is no group ${other}: make it in a step that this one needs"`,
    ),
    `if ! find_account passwd "$name"; then
  if have useradd; then
    useradd ${options.join(' ')} "$name"
    usermod -p '*' "$name"
  else
    adduser ${busyboxOptions.join(' ')} "$name"
    echo "$name:*" | chpasswd -e
  fi
  find_account passwd "$name" || fail "there is no user $name although it was made"
fi`,
    spec.locked === true ? `if have usermod; then usermod -p '*' "$name"; else echo "$name:*" | chpasswd -e; fi` : '',
    renderChanges(spec),
    ...groups.map(
      (other) => `case " $(id -Gn "$name") " in
*' ${other} '*) ;;
*) if have usermod; then usermod -a -G ${other} "$name"; else addgroup "$name" ${other}; fi ;;
esac`,
    ),
    spec.authorizedKeys === undefined ? '' : authorize,
    spec.sudo === undefined ? '' : renderSudo(name, spec.sudo),
  ]
  return `${parts.filter((part) => part !== '').join('\n')}\n`
}

/** A file with a mistake in it would keep everybody from using sudo. */
function renderSudo(user: string, rules: readonly string[]): string {
  const file = sudoersFile(user)
  if (rules.length === 0) return `rm -f ${file}`
  return `if have visudo; then visudo -c -q -f ${sudoPath} >&2 || fail "sudo does not understand its rules for $name"; fi
[ -d /etc/sudoers.d ] || mkdir -p -m 0750 /etc/sudoers.d
${installFile}${callInstallFile(sudoPath, { destination: file, mode: '0440' })}`.trimEnd()
}

/** What an existing user must be like. */
function renderChanges({ uid, group, home, shell, comment }: UserSpec): string {
  const usermod = (flag: string, value: string, what: string) => `
  have usermod || fail "cannot change the ${what} of $name: usermod is missing on this host"
  usermod ${flag} ${value} "$name"`
  const changes = [
    uid === undefined
      ? ''
      : `if [ "$uid" != ${uid} ]; then
  fail "$name has the number $uid, not ${uid}: files belong to numbers, so change it by hand"
fi`,
    group === undefined
      ? ''
      : `find_account group ${group}
wanted=\${FOUND#*:*:}
if [ "$gid" != "\${wanted%%:*}" ]; then${usermod('-g', group, 'group')}
fi`,
    home === undefined
      ? ''
      : `if [ "$home" != ${shQuote(home)} ]; then${usermod('-d', shQuote(home), 'home')}
fi`,
    shell === undefined
      ? ''
      : `if [ "$shell" != ${shQuote(shell)} ]; then${usermod('-s', shQuote(shell), 'shell')}
fi`,
    comment === undefined
      ? ''
      : `if [ "$comment" != ${shQuote(comment)} ]; then${usermod('-c', shQuote(comment), 'comment')}
fi`,
  ].filter((change) => change !== '')
  if (changes.length === 0) return ''
  const fields = ['uid', 'gid', 'comment', 'home', 'shell'].map((field) =>
    changes.some((change) => change.includes(`"$${field}"`)) ? field : '_',
  )
  return `IFS=: read -r _ _ ${fields.join(' ')} <<END
$FOUND
END
${changes.join('\n')}`
}

/** As the user itself: links in its home must not lead root elsewhere. */
const authorize = `# shellcheck disable=SC2016  # the inner shell has its own HOME
su -s /bin/sh "$name" -c '
set -eu
umask 077
mkdir -p "$HOME/.ssh"
cd "$HOME/.ssh"
{
  if [ -e authorized_keys ]; then
    { cat authorized_keys; echo; } | sed -e "/^# parbake: begin$/,/^# parbake: end$/d" -e "/^$/d"
  fi
  echo "# parbake: begin"
  cat
  echo "# parbake: end"
} >authorized_keys.parbake
if cmp -s authorized_keys.parbake authorized_keys 2>/dev/null; then
  rm authorized_keys.parbake
else
  mv -f authorized_keys.parbake authorized_keys
fi' <${keysPath} || fail "cannot write the SSH keys of $name: does its home folder exist?"`
