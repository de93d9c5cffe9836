import { posix } from 'node:path'
import { noEffects, unitName, unitOfFile, type Effects, type MutableEffects } from './effects.ts'
import { hasOption, operands, optionValue, type Call } from './shell/call.ts'
import type { Command, ShellScript, Word } from './shell/model.ts'

/** Values of variables that a script, or its step, sets once and to nothing but text. */
export type Constants = ReadonlyMap<string, string>

/** The variables of a script that have one value only. `env` is the step's environment. */
export function constantsOf(shell: ShellScript, env: Readonly<Record<string, string>>): Constants {
  const values = new Map<string, string | undefined>(Object.entries(env))
  const set = (name: string, value: string | undefined) => values.set(name, values.has(name) ? undefined : value)
  for (const { assignments, words } of shell.commands) {
    // `A=1 command` sets it for that command only, but nobody is served by following that.
    for (const { name, value } of assignments) set(name, value.literal ? value.text : undefined)
    const [first, ...rest] = words
    if (/^(?:export|readonly|local|declare|typeset)$/.test(first?.text ?? '')) {
      for (const { text, literal } of rest) {
        const match = /^([A-Za-z_]\w*)=(.*)$/s.exec(text)
        if (match !== null) set(match[1] ?? '', literal ? match[2] : undefined)
      }
    } else if (first?.text === 'for' || first?.text === 'read') {
      for (const { text } of rest) set(text, undefined)
    }
  }
  return new Map([...values].flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])))
}

/** What a word comes to, or undefined where only a run could tell. */
export function valueOf(word: Word, constants: Constants): string | undefined {
  if (word.literal) return word.text
  let known = true
  const text = word.text.replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced?: string, bare?: string) => {
    const value = constants.get(braced ?? bare ?? '')
    if (value === undefined) known = false
    return value ?? ''
  })
  return known && !/[$`]|[<>]\(/.test(text) ? text : undefined
}

/** What a script makes and uses, as far as it can be read off its commands. */
export function shellEffects(shell: ShellScript, calls: readonly Call[], constants: Constants): Effects {
  const effects = noEffects()
  for (const command of shell.commands) readRedirects(command, constants, effects)
  for (const call of calls) {
    if (shell.functions.has(call.name)) continue
    new CallEffects(call, constants, effects).read()
  }
  return effects
}

/** Paths that are there in every system and mean nothing. */
const nowhere = /^\/(?:dev|proc|sys)(?:\/|$)/

/** Absolute, without what a glob begins and without an ending slash; undefined for what is no path. */
function pathOf(text: string | undefined): string | undefined {
  const plain = text?.replace(/\/[^/]*[*?[].*$/s, '')
  if (plain === undefined || !plain.startsWith('/') || /[\n:,;=]/.test(plain) || nowhere.test(plain)) return undefined
  const path = posix.normalize(plain)
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

function readRedirects({ redirects }: Command, constants: Constants, effects: MutableEffects): void {
  for (const { operator, target } of redirects) {
    const path = operator.startsWith('<<') ? undefined : pathOf(valueOf(target, constants))
    if (path === undefined) continue
    const mention = { what: path, offset: target.offset }
    if (operator === '<') effects.usesPaths.push(mention)
    else if (operator.includes('>>')) effects.appends.push(mention)
    else effects.files.push(mention)
  }
}

function letters(text: string): readonly string[] {
  return text.split('').map((letter) => `-${letter}`)
}

/** Options with a value, of those commands whose arguments are told apart here. */
const valued: Readonly<Record<string, readonly string[]>> = {
  chown: ['--reference', '--from'],
  cp: ['-t', '-S'],
  install: ['-m', '-o', '-g', '-t', '-S', '--mode', '--owner', '--group'],
  ln: ['-t', '-S'],
  mkdir: ['-m', '--mode'],
  mv: ['-t', '-S'],
  touch: ['-d', '-r', '-t', '--date', '--reference'],
  useradd: [...letters('bcdefgGkKpsuRZ'), '--home-dir', '--shell', '--uid', '--gid', '--groups', '--comment'],
  adduser: ['--home', '--shell', '--uid', '--gid', '--ingroup', '--gecos', '--comment'],
  groupadd: ['-g', '-K', '-p', '-R', '--gid'],
  addgroup: ['--gid', '--shell'],
  usermod: [...letters('cdefgGlLpsuRZ'), '--groups', '--home', '--shell'],
  apt: ['-t', '-o', '-c', '--target-release', '--option'],
  'apt-get': ['-t', '-o', '-c', '--target-release', '--option'],
  git: ['-b', '--branch', '--depth', '-c', '-C'],
}

/** The value of `name=value`. */
function withoutName(word: Word): Word {
  return { ...word, text: word.text.slice(word.text.indexOf('=') + 1) }
}

class CallEffects {
  private readonly call: Call
  private readonly constants: Constants
  private readonly effects: MutableEffects

  constructor(call: Call, constants: Constants, effects: MutableEffects) {
    this.call = call
    this.constants = constants
    this.effects = effects
  }

  read(): void {
    const { name, word, user } = this.call
    if (word.text.startsWith('/')) this.path('usesPaths', word)
    else if (!/^(?:\.|\[|\[\[|:|test|true|false)$/.test(name)) this.add('usesCommands', name, word)
    this.account(user)
    const made = this.made()
    for (const argument of this.call.args) if (!made.has(argument)) this.uses(argument)
  }

  /** Records what the command makes; gives the words that are used up by that. */
  private made(): ReadonlySet<Word> {
    const { name, args } = this.call
    const names = operands(args, valued[name])
    const last = names.at(-1)
    switch (name) {
      case 'mkdir':
        return this.all('folders', names)
      case 'install': {
        this.account(optionValue(args, '-o', '--owner'))
        this.account(optionValue(args, '-g', '--group'))
        return hasOption(args, '-d', '--directory') ? this.all('folders', names) : this.placed(names)
      }
      case 'cp':
      case 'mv':
      case 'ln':
        return this.placed(names)
      case 'touch':
        return this.all('files', names)
      case 'tee':
        return this.all(hasOption(args, '-a', '--append') ? 'appends' : 'files', names)
      case 'chown':
        this.owner(names[0])
        return new Set()
      case 'chgrp':
        this.account(names[0])
        return new Set()
      case 'su':
        this.account(names.find(({ text }) => text !== '-'))
        return new Set()
      case 'useradd':
      case 'groupadd':
      case 'addgroup':
        this.add('accounts', last?.text, last)
        return new Set(args)
      case 'adduser':
        // With two names it puts a user into a group.
        if (names.length === 1) this.add('accounts', last?.text, last)
        else for (const word of names) this.account(word)
        return new Set(args)
      case 'usermod':
        this.account(last)
        for (const group of optionValue(args, '-G', '-aG', '--groups')?.text.split(',') ?? []) {
          this.add('usesAccounts', group, last)
        }
        return new Set(args)
      case 'systemctl':
        this.units(names)
        return new Set(args)
      case 'service':
        this.add('usesUnits', names[0]?.text, names[0])
        return new Set()
      case 'apt-get':
      case 'apt':
        if (names[0]?.text === 'install') {
          for (const word of names.slice(1)) this.add('packages', valueOf(word, this.constants), word)
        }
        return new Set(args)
      case 'curl':
      case 'wget':
      case 'cc':
      case 'gcc':
      case 'g++':
      case 'gpg':
      case 'sort':
        return this.all(
          'files',
          [optionValue(args, ...(name === 'wget' ? ['-O', '--output-document'] : ['-o', '--output']))].filter(
            (word) => word !== undefined,
          ),
        )
      case 'git':
        return names[0]?.text === 'clone' ? this.all('folders', names.slice(2)) : new Set()
      case 'tar':
        return hasOption(args, '-c') ? this.all('files', [optionValue(args, '-f', '--file')]) : new Set()
      case 'python3':
      case 'virtualenv':
        return name === 'virtualenv' || args[1]?.text === 'venv' ? this.all('folders', [last]) : new Set()
      case 'dd':
        return this.all('files', args.filter(({ text }) => text.startsWith('of=')).map(withoutName))
      case 'rm':
      case 'echo':
      case 'printf':
        return new Set(args)
      default:
        return new Set()
    }
  }

  /** `cp A B`: B is made; `cp A B/`, `cp -t B A`: a file of A's name in B. */
  private placed(names: readonly Word[]): ReadonlySet<Word> {
    const into = optionValue(this.call.args, '-t', '--target-directory')
    const target = into ?? names.at(-1)
    const path = target === undefined ? undefined : valueOf(target, this.constants)
    if (target === undefined || path === undefined || (into === undefined && names.length < 2)) return new Set()
    if (into === undefined && !path.endsWith('/') && names.length === 2) return this.all('files', [target])
    for (const source of names) {
      if (source === target) continue
      const base = posix.basename(valueOf(source, this.constants) ?? '')
      if (base !== '') this.add('files', pathOf(`${path}/${base}`), target)
    }
    return new Set([target])
  }

  private all(kind: 'files' | 'folders' | 'appends', words: readonly (Word | undefined)[]): ReadonlySet<Word> {
    const given = words.filter((word) => word !== undefined)
    for (const word of given) this.path(kind, word)
    return new Set(given)
  }

  private units(names: readonly Word[]): void {
    const [verb, ...units] = names
    if (
      !/^(?:(?:try-)?re(?:start|load)|start|enable|disable|stop|mask|is-active|is-enabled|reload-or-restart)$/.test(
        verb?.text ?? '',
      )
    ) {
      return
    }
    for (const word of units) {
      const unit = valueOf(word, this.constants)
      if (unit !== undefined) this.add('usesUnits', unitOfFile(unit) ?? unitName(unit), word)
    }
  }

  /** A path as an argument of its own or after `=`. */
  private uses(word: Word): void {
    const text = valueOf(word, this.constants)
    const path =
      pathOf(text) ?? pathOf(/^-{1,2}[\w-]+=(\/.*)$/s.exec(text ?? '')?.[1]) ?? pathOf(text?.replace(/^@/, ''))
    if (path !== undefined) this.add('usesPaths', path, word)
  }

  private path(kind: keyof Effects, word: Word): void {
    const path = pathOf(valueOf(word, this.constants))
    if (path !== undefined) this.add(kind, path, word)
  }

  /** `user:group` */
  private owner(word: Word | undefined): void {
    const text = word === undefined ? undefined : valueOf(word, this.constants)
    for (const name of text?.split(':') ?? []) this.add('usesAccounts', name, word)
  }

  private account(word: Word | undefined): void {
    if (word !== undefined) this.add('usesAccounts', valueOf(word, this.constants), word)
  }

  private add(kind: keyof Effects, what: string | undefined, word: Word | undefined): void {
    if (what === undefined || what === '' || word === undefined) return
    this.effects[kind].push({ what, offset: word.offset })
  }
}
