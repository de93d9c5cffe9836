import { exitCodes, UserError } from '../../errors.ts'
import { lineOf, type SourceText } from '../model.ts'

/** A value as it is written in HCL2; `line` counts from 1 in the text. What the subset does not have is `other`. */
export type Expression =
  | { readonly kind: 'text'; readonly pieces: readonly (string | Expression)[]; readonly line: number }
  | { readonly kind: 'scalar'; readonly value: number | boolean | null; readonly line: number }
  | { readonly kind: 'list'; readonly items: readonly Expression[]; readonly line: number }
  | { readonly kind: 'object'; readonly entries: readonly (readonly [string, Expression])[]; readonly line: number }
  /** `var.name`, `local.name`, `path.root` and the like. */
  | { readonly kind: 'reference'; readonly path: string; readonly line: number }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[]; readonly line: number }
  | { readonly kind: 'other'; readonly text: string; readonly line: number }

export interface Attribute {
  readonly name: string
  readonly value: Expression
  readonly line: number
}

export interface Block extends Body {
  readonly type: string
  readonly labels: readonly string[]
  readonly line: number
}

export interface Body {
  readonly attributes: readonly Attribute[]
  readonly blocks: readonly Block[]
}

/**
 * Reads HCL2 as far as templates for Packer go: blocks, attributes, texts with `${…}`, here-documents, lists, objects,
 * references and calls. Operators, `for`, conditions and `%{…}` are kept as `other`. Throws UserError (exit code 2) with a
 * position for bad syntax.
 */
export function parseHcl(source: SourceText): Body {
  const parser = new Parser(source)
  return parser.body('')
}

const name = /[A-Za-z_][\w-]*/y

class Parser {
  readonly #source: SourceText
  readonly #text: string
  #at = 0

  constructor(source: SourceText) {
    this.#source = source
    this.#text = source.text
  }

  /** Attributes and blocks up to `end`, which is eaten. */
  body(end: '}' | ''): Body {
    const attributes: Attribute[] = []
    const blocks: Block[] = []
    for (;;) {
      this.#space(true)
      if (this.#at >= this.#text.length) {
        if (end !== '') this.#fail(`a block is not closed with '}'`)
        return { attributes, blocks }
      }
      if (this.#peek() === '}' && end === '}') {
        this.#at += 1
        return { attributes, blocks }
      }
      const line = this.#line()
      const word = this.#peek() === '"' ? this.#plainText() : this.#name()
      this.#space(false)
      if (this.#peek() === '=' || this.#peek() === ':') {
        this.#at += 1
        attributes.push({ name: word, value: this.#expression(), line })
        this.#space(false)
        if (this.#peek() === ',') this.#at += 1
        continue
      }
      const labels: string[] = []
      for (; this.#peek() !== '{'; this.#space(false))
        labels.push(this.#peek() === '"' ? this.#plainText() : this.#name())
      this.#at += 1
      blocks.push({ type: word, labels, ...this.body('}'), line })
    }
  }

  /** A value; one that is more than the subset is kept as it is written. */
  #expression(): Expression {
    this.#space(true)
    const start = this.#at
    const line = this.#line()
    const value = this.#primary(line)
    if (value !== undefined) {
      this.#space(false)
      if (this.#at >= this.#text.length || /[\n,\])}]/.test(this.#peek())) return value
    }
    this.#at = start
    return { kind: 'other', text: this.#raw(), line }
  }

  #primary(line: number): Expression | undefined {
    const char = this.#peek()
    if (char === '"') return this.#quoted(line)
    if (char === '[') return this.#list(line)
    if (char === '{') return this.#object(line)
    if (this.#text.startsWith('<<', this.#at)) return this.#hereDocument(line)
    const number = this.#match(/-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/y)
    if (number !== undefined) return { kind: 'scalar', value: Number(number), line }
    const word = this.#match(/[A-Za-z_][\w-]*(?:\.[\w-]+)*/y)
    if (word === undefined) return undefined
    if (word === 'true' || word === 'false') return { kind: 'scalar', value: word === 'true', line }
    if (word === 'null') return { kind: 'scalar', value: null, line }
    if (this.#peek() !== '(') return { kind: 'reference', path: word, line }
    this.#at += 1
    const args = this.#items(')')
    return args === undefined ? undefined : { kind: 'call', name: word, args, line }
  }

  #list(line: number): Expression | undefined {
    this.#at += 1
    const items = this.#items(']')
    return items === undefined ? undefined : { kind: 'list', items, line }
  }

  /** Values with commas between them; undefined for `for` and `...`. */
  #items(end: string): readonly Expression[] | undefined {
    const items: Expression[] = []
    for (;;) {
      this.#space(true)
      if (this.#peek() === end) {
        this.#at += 1
        return items
      }
      if (this.#at >= this.#text.length) this.#fail(`'${end}' is missing`)
      if (/^for\s/.test(this.#text.slice(this.#at, this.#at + 4))) return undefined
      items.push(this.#expression())
      this.#space(true)
      if (this.#peek() === ',') this.#at += 1
      else if (this.#peek() !== end) return undefined
    }
  }

  #object(line: number): Expression | undefined {
    this.#at += 1
    const entries: [string, Expression][] = []
    for (;;) {
      this.#space(true)
      if (this.#peek() === '}') {
        this.#at += 1
        return { kind: 'object', entries, line }
      }
      if (this.#at >= this.#text.length) this.#fail(`'}' is missing`)
      const key = this.#peek() === '"' ? this.#plainText() : this.#match(/[A-Za-z_0-9][\w-]*/y)
      this.#space(false)
      if (key === undefined || !/[=:]/.test(this.#peek())) return undefined
      this.#at += 1
      entries.push([key, this.#expression()])
      this.#space(true)
      if (this.#peek() === ',') this.#at += 1
    }
  }

  #quoted(line: number): Expression {
    this.#at += 1
    const pieces: (string | Expression)[] = []
    let text = ''
    for (;;) {
      const char = this.#peek()
      if (char === '' || char === '\n') this.#fail('a text is not closed')
      if (char === '"') {
        this.#at += 1
        return { kind: 'text', pieces: text === '' ? pieces : [...pieces, text], line }
      }
      const found = this.#interpolation()
      if (found !== undefined) {
        if (typeof found === 'string') text += found
        else {
          if (text !== '') pieces.push(text)
          text = ''
          pieces.push(found)
        }
      } else if (char === '\\') {
        text += this.#escape()
      } else {
        text += char
        this.#at += 1
      }
    }
  }

  /** `${…}`, or the text that `$${` stands for; undefined where none begins here. */
  #interpolation(): Expression | string | undefined {
    const rest = this.#text.slice(this.#at, this.#at + 3)
    if (rest === '$${' || rest === '%%{') {
      this.#at += 3
      return rest.slice(1)
    }
    if (!rest.startsWith('${') && !rest.startsWith('%{')) return undefined
    const line = this.#line()
    const start = this.#at
    this.#at += 2
    if (rest.startsWith('${')) {
      if (this.#peek() === '~') this.#at += 1
      const value = this.#expression()
      this.#space(true)
      if (this.#peek() === '}') {
        this.#at += 1
        return value
      }
      this.#at = start + 2
    }
    this.#brackets('}')
    return { kind: 'other', text: this.#text.slice(start, this.#at), line }
  }

  #escape(): string {
    const unicode = this.#match(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/y)
    if (unicode !== undefined) return String.fromCodePoint(Number.parseInt(unicode.slice(2), 16))
    const char = this.#text[this.#at + 1] ?? ''
    this.#at += 2
    const known = new Map([
      ['n', '\n'],
      ['r', '\r'],
      ['t', '\t'],
      ['"', '"'],
      ['\\', '\\'],
    ]).get(char)
    return known ?? this.#fail(`'\\${char}' is no escape of HCL`)
  }

  #hereDocument(line: number): Expression {
    const head = this.#match(/<<-?[ \t]*[A-Za-z_]\w*[ \t]*\r?\n/y) ?? this.#fail('this is no here-document')
    const end = head.replace(/^<<-?[ \t]*/, '').trim()
    const stop = new RegExp(String.raw`^[ \t]*${end}[ \t]*\r?$`, 'm').exec(this.#text.slice(this.#at))
    if (stop === null) return this.#fail(`the here-document is not closed with ${end}`)
    const limit = this.#at + stop.index
    const body = this.#text.slice(this.#at, limit)
    const margin = head.startsWith('<<-')
      ? Math.min(
          ...body
            .split('\n')
            .filter((entry) => entry.trim() !== '')
            .map((entry) => /^[ \t]*/.exec(entry)?.[0].length ?? 0),
        )
      : 0
    const pieces: (string | Expression)[] = []
    let text = ''
    while (this.#at < limit) {
      if (margin > 0 && (this.#at === 0 || this.#text[this.#at - 1] === '\n')) {
        const skipped = this.#match(new RegExp(String.raw`[ \t]{0,${margin}}`, 'y')) ?? ''
        if (skipped !== '' && this.#at >= limit) break
        if (skipped !== '') continue
      }
      const found = this.#interpolation()
      if (typeof found === 'string') text += found
      else if (found === undefined) {
        text += this.#peek()
        this.#at += 1
      } else {
        if (text !== '') pieces.push(text)
        text = ''
        pieces.push(found)
      }
    }
    this.#at = limit + stop[0].length
    return { kind: 'text', pieces: text === '' ? pieces : [...pieces, text], line }
  }

  /** All up to the end of a value of any kind. */
  #raw(): string {
    const start = this.#at
    while (this.#at < this.#text.length) {
      const char = this.#peek()
      if (/[\n,\])}]/.test(char)) break
      if (char === '"') this.#quoted(this.#line())
      else if (/[[({]/.test(char)) {
        this.#at += 1
        this.#brackets(char === '[' ? ']' : char === '(' ? ')' : '}')
      } else this.#at += 1
    }
    if (this.#at === start) this.#fail('a value is missing')
    return this.#text.slice(start, this.#at).trim()
  }

  #brackets(end: string): void {
    while (this.#at < this.#text.length) {
      const char = this.#peek()
      if (char === '"') {
        this.#quoted(this.#line())
        continue
      }
      this.#at += 1
      if (char === end) return
      if (/[[({]/.test(char)) this.#brackets(char === '[' ? ']' : char === '(' ? ')' : '}')
    }
    this.#fail(`'${end}' is missing`)
  }

  /** A text without interpolation, for keys and labels. */
  #plainText(): string {
    const value = this.#quoted(this.#line())
    const texts = value.kind === 'text' ? value.pieces.filter((piece) => typeof piece === 'string') : []
    if (value.kind !== 'text' || texts.length < value.pieces.length) this.#fail('a plain text is needed')
    return texts.join('')
  }

  #name(): string {
    return this.#match(name) ?? this.#fail(`'${this.#peek()}' is not expected here`)
  }

  /** Blanks and comments; line ends too where they mean nothing. */
  #space(lines: boolean): void {
    for (;;) {
      const rest = this.#text.slice(this.#at, this.#at + 2)
      if (/^[ \t\r]/.test(rest) || (lines && rest.startsWith('\n'))) this.#at += 1
      else if (rest.startsWith('#') || rest === '//')
        while (this.#at < this.#text.length && this.#peek() !== '\n') this.#at += 1
      else if (rest === '/*') {
        const end = this.#text.indexOf('*/', this.#at)
        this.#at = end === -1 ? this.#text.length : end + 2
      } else return
    }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    if (found !== undefined) this.#at += found.length
    return found
  }

  #peek(): string {
    return this.#text[this.#at] ?? ''
  }

  #line(): number {
    return this.#text.slice(0, this.#at).split('\n').length
  }

  #fail(message: string): never {
    const before = this.#text.slice(0, this.#at)
    const location = lineOf(this.#source, before.split('\n').length)
    throw new UserError(`bad HCL: ${message}`, {
      location: { ...location, column: this.#at - before.lastIndexOf('\n') },
      exitCode: exitCodes.usage,
      code: 'import-invalid',
    })
  }
}
