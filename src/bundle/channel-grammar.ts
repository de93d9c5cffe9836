/** What a word of a line must look like. */
const patterns = {
  name: /^[a-z0-9][a-z0-9._-]{0,63}$/,
  image: /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
  number: /^(0|[1-9][0-9]{0,14})$/,
  percent: /^(100|[1-9]?[0-9])$/,
  digest: /^[0-9a-f]{64}$/,
  time: /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/,
  base64: /^[A-Za-z0-9+/]+={0,2}$/,
  // The base64 form of an Ed25519 key in SPKI DER: always the same 12 bytes, then 32 of its own.
  key: /^MCowBQYDK2VwAyEA[A-Za-z0-9+/]{43}=$/,
  tags: /^[a-z0-9][a-z0-9._-]{0,63}(,[a-z0-9][a-z0-9._-]{0,63}){0,15}$/,
} as const

/** As many tags as a rollout may have. */
export const maxRolloutTags = 16
/** As many keys as a channel may introduce, and as many as it may revoke: it must stay small. */
export const maxKeyLines = 8

interface LineForm {
  readonly name: string
  readonly words: readonly (keyof typeof patterns)[]
  /** How often the line may stand there, one after the other; exactly once by default. */
  readonly times?: { readonly min: number; readonly max: number }
}

const optional = { min: 0, max: 1 } as const
const keyLines = { min: 0, max: maxKeyLines } as const

/** The lines of each kind of channel in their order. */
const grammar = {
  bundle: [
    { name: 'parbake-channel', words: ['number'] },
    { name: 'recipe', words: ['name'] },
    { name: 'channel', words: ['name'] },
    { name: 'serial', words: ['number'] },
    { name: 'bundle', words: ['digest', 'number'] },
    { name: 'agent', words: ['digest'] },
    { name: 'published', words: ['time'] },
    { name: 'expires', words: ['number'] },
    { name: 'rollout', words: ['digest', 'number', 'percent', 'name'], times: optional },
    { name: 'rollout-tags', words: ['tags'], times: optional },
    { name: 'trust', words: ['key', 'number'], times: keyLines },
    { name: 'revoke', words: ['key'], times: keyLines },
    { name: 'key', words: ['base64'] },
    { name: 'sig', words: ['base64'] },
    { name: 'sshsig', words: ['base64'] },
  ],
  image: [
    { name: 'parbake-image-channel', words: ['number'] },
    { name: 'recipe', words: ['name'] },
    { name: 'channel', words: ['name'] },
    { name: 'serial', words: ['number'] },
    { name: 'image', words: ['image'] },
    { name: 'manifest', words: ['digest'] },
    { name: 'published', words: ['time'] },
    { name: 'key', words: ['base64'] },
    { name: 'sig', words: ['base64'] },
  ],
} as const satisfies Record<string, readonly LineForm[]>

export type ChannelKind = keyof typeof grammar

/** True for what can be the name of a channel, a tag of a host or the id of a rollout. */
export function isChannelWord(text: string): boolean {
  return patterns.name.test(text)
}

/** The words after each line's name, by name; several where the line may be repeated. */
export type ChannelLines = ReadonlyMap<string, readonly (readonly string[])[]>

export type ReadLines =
  | { readonly kind: ChannelKind; readonly lines: ChannelLines }
  /** What is wrong, as the end of a sentence. */
  | { readonly problem: string }

/** Reads the lines of a channel exactly: each one known, in its place, with words of the right form. Pure. */
export function readLines(text: string): ReadLines {
  if (!text.endsWith('\n')) return { problem: 'its end is missing' }
  const lines = text.slice(0, -1).split('\n')
  const kind = lines[0]?.startsWith('parbake-image-channel ') === true ? 'image' : 'bundle'
  const read = matchLines(lines, kind)
  if (typeof read.end === 'string') return { problem: read.end }
  if (lines.length > read.end) return { problem: `line ${read.end + 1} should not be there` }
  const version = read.found.get(grammar[kind][0].name)?.[0]?.[0]
  if (version !== '1') return { problem: `it has version ${version}, and this parbake reads version 1` }
  return { kind, lines: read.found }
}

/** True where these are the lines of a channel of this kind, up to and with `key`. */
export function areSignedLines(lines: readonly string[], kind: ChannelKind): boolean {
  return matchLines(lines, kind, 'key').end === lines.length
}

/** `end`: the number of lines that matched, or what is wrong. */
function matchLines(
  lines: readonly string[],
  kind: ChannelKind,
  last?: string,
): { readonly found: Map<string, string[][]>; readonly end: number | string } {
  const found = new Map<string, string[][]>()
  let at = 0
  for (const form of grammar[kind] as readonly LineForm[]) {
    const { min, max } = form.times ?? { min: 1, max: 1 }
    const each: string[][] = []
    while (each.length < max) {
      const words = wordsOf(lines[at] ?? '', form)
      if (words === undefined) break
      each.push(words)
      at += 1
    }
    if (each.length < min) return { found, end: `line ${at + 1} is not '${form.name} …' as it should be` }
    found.set(form.name, each)
    if (form.name === last) break
  }
  return { found, end: at }
}

function wordsOf(line: string, form: LineForm): string[] | undefined {
  const [name, ...words] = line.split(' ')
  if (name !== form.name || words.length !== form.words.length) return undefined
  return form.words.every((pattern, index) => patterns[pattern].test(words[index] ?? '')) ? words : undefined
}
