import type { LintedScript, Rule } from '../model.ts'
import { hasOption, operands, type Call } from '../shell/call.ts'
import { inScripts } from './scripts.ts'

function hasErrexit({ text, shell, calls }: LintedScript): boolean {
  // `#!/bin/sh -e`; behind env there are no options without -S.
  const shebang = /^#![ \t]*\S+(?:[ \t]+(?:-S[ \t]+)?\S*sh)?[ \t]+-(\w+)/.exec(text.split('\n', 1)[0] ?? '')?.[1]
  if (shebang?.includes('e') === true) return true
  if (calls.some(({ name, args }) => name === 'set' && setsErrexit(args.map((word) => word.text)))) return true
  // One command is the script's own status.
  return shell.commands.filter(({ depth, words }) => depth === 0 && words.length > 0).length < 2
}

function setsErrexit(args: readonly string[]): boolean {
  return args.some(
    (text, index) => /^-[A-Za-z]*e/.test(text) || (/^-\w*o$/.test(text) && args[index + 1] === 'errexit'),
  )
}

const changes = /^(?:install|upgrade|dist-upgrade|full-upgrade|remove|purge|autoremove|build-dep|reinstall)$/

/** The verb of a package manager that changes packages, or undefined. */
function packageChange({ name, args }: Call): string | undefined {
  if (!/^(?:apt-get|apt|aptitude|yum|dnf|microdnf|zypper)$/.test(name)) return undefined
  const verb = operands(args, ['-o', '-t', '-c', '--option', '--target-release', '--enablerepo'])[0]?.text ?? ''
  if (changes.test(verb)) return verb
  // What only looks in apt changes packages in the others.
  return /^(?:apt|apt-get|aptitude)$/.test(name) || !/^(?:update|in|rm|localinstall|groupinstall)$/.test(verb)
    ? undefined
    : verb
}

function answersYes({ name, args }: Call): boolean {
  if (name === 'zypper') return hasOption(args, '-n', '--non-interactive', '-y', '--no-confirm')
  return (
    hasOption(args, '-y', '--yes', '--assume-yes', '--assumeyes', '--force-yes', '-s', '--simulate') ||
    args.some(({ text }) => /^-q(?:q|=2)|Assume-Yes=(?:true|1|yes)/i.test(text))
  )
}

const terminalPrograms: ReadonlySet<string> = new Set([
  ...['vi', 'vim', 'nvim', 'nano', 'emacs', 'pico', 'ed', 'less', 'more', 'man', 'top', 'htop', 'visudo', 'vipw'],
  ...['mysql_secure_installation', 'dselect', 'whiptail', 'dialog'],
])

/** With one of them passwd asks nothing. */
const quietPasswd = ['-l', '-d', '-u', '-e', '-S', '--lock', '--delete', '--unlock', '--expire', '--stdin', '--status']

const valuedAdduser = ['--home', '--shell', '--uid', '--gid', '--ingroup', '--gecos', '--comment']

/** Why the call waits for somebody to type, or undefined. */
function waitsForPerson(call: Call): string | undefined {
  const { name, args, command } = call
  const [first] = operands(args)
  if (terminalPrograms.has(name)) {
    return name === 'visudo' && hasOption(args, '-c') ? undefined : `${name} waits for somebody at a terminal`
  }
  if (command.pipedIn || command.redirects.some(({ operator }) => operator.startsWith('<'))) return undefined
  switch (name) {
    case 'passwd':
      return hasOption(args, ...quietPasswd) ? undefined : 'passwd asks for a password'
    case 'adduser': {
      // With two names it puts a user into a group.
      const asks = operands(args, valuedAdduser).length === 1
      const isTold = hasOption(args, '--disabled-password', '--system', '--disabled-login', '-S', '-D')
      return asks && !isTold ? 'adduser asks for a password' : undefined
    }
    case 'ssh-keygen':
      return hasOption(args, '-N', '-A', '-l', '-y', '-R', '-F', '-H', '-s', '-i', '-e')
        ? undefined
        : 'ssh-keygen asks for a passphrase without -N'
    case 'crontab':
      return hasOption(args, '-e') ? 'crontab -e opens an editor' : undefined
    case 'dpkg-reconfigure':
      return hasOption(args, '-f', '--frontend', '-p') || isUnattended(call)
        ? undefined
        : 'dpkg-reconfigure asks questions'
    case 'systemctl':
      return first?.text === 'edit' ? 'systemctl edit opens an editor' : undefined
    case 'read':
      return hasOption(args, '-p') || command.depth === 0 ? 'read waits for input that nobody types' : undefined
    default:
      return undefined
  }
}

function isUnattended({ command }: Call): boolean {
  return [
    ...command.words.map(({ text }) => text),
    ...command.assignments.map(({ name, value }) => `${name}=${value.text}`),
  ].includes('DEBIAN_FRONTEND=noninteractive')
}

/** What ends the system under the agent, or undefined. */
function restarts({ name, args }: Call): boolean {
  const verb = operands(args)[0]?.text ?? ''
  if (name === 'systemctl')
    return /^(?:reboot|poweroff|halt|kexec|soft-reboot|rescue|emergency|suspend|hibernate)$/.test(verb)
  if (name === 'init' || name === 'telinit') return /^[016]$/.test(verb)
  if (name === 'shutdown') return !hasOption(args, '-c')
  return name === 'reboot' || name === 'poweroff' || name === 'halt'
}

export const habitRules: readonly Rule[] = [
  {
    id: 'no-errexit',
    severity: 'warning',
    finds: 'a script with a `#!` line of its own that goes on after a command has failed (no `set -e`)',
    why:
      'The status of a script is that of its last command. Where one before it fails and the script goes on, the step ' +
      'counts as done, gets its stamp and may be baked half done.',
    fix: 'begin the script with set -eu; a script without a #! line gets that by itself',
    example: {
      bad: `- name: tool
  type: script
  run: |
    #!/bin/bash
    make
    make install`,
      good: `- name: tool
  type: script
  run: |
    #!/bin/bash
    set -euo pipefail
    make
    make install`,
    },
    check: inScripts(({ script, report }) => {
      const first = script.shell.commands[0]?.offset
      if (first !== undefined && script.text.startsWith('#!') && !hasErrexit(script)) {
        report(first, 'the script goes on after a command has failed: there is no set -e')
      }
    }),
  },
  {
    id: 'apt-asks',
    severity: 'warning',
    finds: 'a package manager that changes packages and is not told to assume yes',
    why: 'Nobody answers: without -y, apt-get gives up as soon as it has a question, which depends on what is installed.',
    fix: 'add -y; or use a step of type packages, which also waits for locks and tries again',
    example: {
      bad: `- name: editor
  type: script
  run: apt-get install vim-tiny`,
      good: `- name: editor
  type: packages
  install: [vim-tiny]`,
    },
    check: inScripts(({ script, report }) => {
      if (/Assume-Yes/i.test(script.text)) return
      for (const call of script.calls) {
        const verb = packageChange(call)
        if (verb !== undefined && !answersYes(call) && !isFedYes(call, script)) {
          report(call.word.offset, `${call.name} ${verb} asks before it begins, and nobody answers`, call)
        }
      }
    }),
  },
  {
    id: 'apt-no-wait',
    severity: 'warning',
    finds: '`apt-get` that does not wait for the lock of another one',
    why:
      'At boot, other programs use the package database too: unattended-upgrades, cloud-init, other steps. Without a ' +
      'time to wait, apt-get fails at once where the lock is taken, so that the step fails now and then.',
    fix: 'add -o DPkg::Lock::Timeout=300; or use a step of type packages, which also tries again',
    example: {
      bad: `- name: editor
  type: script
  run: apt-get install -y vim-tiny`,
      good: `- name: editor
  type: script
  run: apt-get -o DPkg::Lock::Timeout=300 install -y vim-tiny`,
    },
    check: inScripts(({ script, report }) => {
      if (/DPkg::Lock::Timeout/i.test(script.text)) return
      for (const call of script.calls) {
        const verb = /^(?:apt|apt-get)$/.test(call.name) ? packageChange(call) : undefined
        if (verb === undefined) continue
        report(call.word.offset, `${call.name} ${verb} fails where another one holds the lock`, call)
        return
      }
    }),
  },
  {
    id: 'background',
    severity: 'warning',
    finds: 'something is put into the background and never waited for',
    why:
      'The step counts as done while it still runs, its failure is lost, and in a bake it is cut off when the system is ' +
      'sealed. A service that is to go on running belongs to systemd: nothing else starts it at the next boot.',
    fix: 'wait for it (wait "$pid"), or make it a systemd unit',
    example: {
      bad: `- name: warm
  type: script
  run: |
    build-cache /srv/a &
    build-cache /srv/b`,
      good: `- name: warm
  type: script
  run: |
    build-cache /srv/a &
    build-cache /srv/b
    wait "$!"`,
    },
    check: inScripts(({ script, report }) => {
      const wait = script.calls.findLast(({ name }) => name === 'wait')?.word.offset ?? -1
      for (const offset of script.shell.backgrounds) {
        if (offset > wait) report(offset, 'this goes into the background, and nobody waits for it')
      }
    }),
  },
  {
    id: 'interactive',
    severity: 'warning',
    finds: 'a command that waits for somebody at a terminal',
    why: 'Steps have no terminal and an empty standard input: such a command fails, hangs until the time limit, or does nothing.',
    fix: 'use options that answer for it, or a command that asks nothing',
    example: {
      bad: `- name: deploy-user
  type: script
  run: adduser deploy`,
      good: `- name: deploy-user
  type: script
  run: adduser --disabled-password --gecos '' deploy`,
    },
    check: inScripts(({ script, report }) => {
      for (const call of script.calls) {
        const why = script.shell.functions.has(call.name) ? undefined : waitsForPerson(call)
        if (why !== undefined) report(call.word.offset, why, call)
      }
    }),
  },
  {
    id: 'reboot-in-script',
    severity: 'error',
    finds: 'a script restarts or stops the host',
    why:
      'The step ends before its stamp is written, so it runs again after the boot, and again: the host never gets ready. ' +
      'In a bake it ends the system that is being baked.',
    fix: 'give the step reboot: true instead: the host reboots when the step is done, and goes on behind it',
    example: {
      bad: `- name: kernel-options
  type: script
  run: |
    echo 'options nf_conntrack hashsize=262144' >/etc/modprobe.d/conntrack.conf
    reboot`,
      good: `- name: kernel-options
  type: script
  reboot: true
  run: echo 'options nf_conntrack hashsize=262144' >/etc/modprobe.d/conntrack.conf`,
    },
    check: inScripts(({ script, report }) => {
      for (const call of script.calls) {
        if (!script.shell.functions.has(call.name) && restarts(call)) {
          report(call.word.offset, `${call.name} ends the host before the step is done, at every try`, call)
        }
      }
    }),
  },
]

function isFedYes(call: Call, { calls }: LintedScript): boolean {
  return (
    call.command.pipedIn &&
    calls.some(({ name, command }) => name === 'yes' && command.pipeline === call.command.pipeline)
  )
}
