import type { Command, Word } from './model.ts'

/** What a simple command runs, without what only runs it for others: `sudo -u app env A=1 nice tool x` is `tool x`. */
export interface Call {
  /** Without its folder. */
  readonly name: string
  /** The word that names it. */
  readonly word: Word
  readonly args: readonly Word[]
  /** The user that `sudo`, `runuser` or `su` makes of it. */
  readonly user: Word | undefined
  readonly command: Command
}

/** Programs that run the rest of their arguments, the options of theirs that take a value, and how many words come first. */
const wrappers: Readonly<Record<string, { readonly valued: string; readonly skip?: number; readonly sets?: true }>> = {
  chronic: { valued: '' },
  command: { valued: '' },
  doas: { valued: 'u' },
  eatmydata: { valued: '' },
  env: { valued: 'uSC', sets: true },
  exec: { valued: 'a' },
  flock: { valued: 'wE', skip: 1 },
  ionice: { valued: 'cnpPu' },
  nice: { valued: 'n' },
  nohup: { valued: '' },
  runuser: { valued: 'ugG' },
  setsid: { valued: '' },
  stdbuf: { valued: 'ioe' },
  sudo: { valued: 'ugphCTDRr', sets: true },
  time: { valued: 'fo' },
  timeout: { valued: 'ks', skip: 1 },
  xargs: { valued: 'nILPsdaE' },
}

/** Undefined where the command has no name, or one that is only known when it runs. */
export function callOf(command: Command): Call | undefined {
  let words = command.words
  let user: Word | undefined
  for (;;) {
    const [word, ...args] = words
    if (word === undefined || !word.literal || word.text === '') return undefined
    const name = word.text.slice(word.text.lastIndexOf('/') + 1)
    const call: Call = { name, word, args, user, command }
    const wrapper = Object.hasOwn(wrappers, name) ? wrappers[name] : undefined
    if (wrapper === undefined || (name === 'command' && /^-[vV]/.test(args[0]?.text ?? ''))) return call
    let at = 0
    let skip = wrapper.skip ?? 0
    for (; at < args.length; at += 1) {
      const { text } = args[at] ?? { text: '' }
      if (text === '--') {
        at += 1
        break
      }
      if (/^-./.test(text)) {
        const takesNext = isValued(text, wrapper.valued)
        if (/^(?:-u|--user)$/.test(text) && name !== 'env') user = args[at + 1]
        if (takesNext) at += 1
      } else if (wrapper.sets === true && /^[A-Za-z_]\w*=/.test(text)) {
        continue
      } else if (skip > 0) {
        skip -= 1
      } else {
        break
      }
    }
    if (at >= args.length) return call
    words = args.slice(at)
  }
}

/** True for `-u` where `u` is valued, not for `-uroot` or `--user=root`; long ones with a value of their own count too. */
function isValued(option: string, valued: string): boolean {
  if (option.startsWith('--')) return /^--(?:user|group|chdir|unset|signal|kill-after|adjustment|class)$/.test(option)
  return option.length === 2 && valued.includes(option[1] ?? '-')
}

/** The arguments that are no options, nor values of those in `valued` (`-o`, `--output`); all after `--`. */
export function operands(args: readonly Word[], valued: readonly string[] = []): readonly Word[] {
  const found: Word[] = []
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at]
    if (word === undefined) break
    if (word.text === '--') return [...found, ...args.slice(at + 1)]
    if (!/^-./.test(word.raw)) found.push(word)
    else if (takesNext(word.text, valued)) at += 1
  }
  return found
}

/** The value of an option, written as `-o x`, `-ox`, `--output x` or `--output=x`; the last one counts. */
export function optionValue(args: readonly Word[], ...names: readonly string[]): Word | undefined {
  let value: Word | undefined
  for (const [index, word] of args.entries()) {
    for (const name of names) {
      const { text } = word
      const isShort = /^-[^-]$/.test(name)
      if (takesNext(text, [name])) value = args[index + 1]
      else if (isShort && text.startsWith(name) && !text.startsWith('--')) value = cut(word, 2)
      else if (isShort && clustered(text, name) !== undefined) value = cut(word, clustered(text, name) ?? 0)
      else if (!isShort && text.startsWith(`${name}=`)) value = cut(word, name.length + 1)
    }
  }
  return value
}

/** True where one of the options is there: `-y` in `-qy` too. */
export function hasOption(args: readonly Word[], ...names: readonly string[]): boolean {
  return args.some(({ text }) =>
    names.some((name) =>
      /^-[^-]$/.test(name)
        ? /^-[A-Za-z0-9]+$/.test(text) && text.includes(name[1] ?? '-')
        : text === name || text.startsWith(`${name}=`),
    ),
  )
}

/** Where the value begins in `-qO-` or `-qO/srv/x`; other letters after the option are options too. */
function clustered(text: string, name: string): number | undefined {
  const match = /^-[A-Za-z]+(?=-$|[./])/.exec(text)?.[0]
  return match?.endsWith(name[1] ?? '-') === true ? match.length : undefined
}

/** `-o` also at the end of a cluster such as `-fsSLo`. */
function takesNext(text: string, valued: readonly string[]): boolean {
  return valued.some(
    (name) => text === name || (/^-[^-]$/.test(name) && /^-[A-Za-z]+$/.test(text) && text.endsWith(name[1] ?? '-')),
  )
}

function cut(word: Word, length: number): Word {
  return { ...word, text: word.text.slice(length), raw: word.raw.slice(length) }
}
