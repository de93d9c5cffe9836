/** Thrown where a script is none that this reader understands. */
export class NotUnderstood extends Error {}

interface HereDocument {
  readonly end: string
  readonly stripTabs: boolean
}

/** Goes through the text of a script: words with their quotes and substitutions, redirections, here-documents. */
export abstract class ShellReader {
  protected readonly text: string
  protected at = 0
  protected readonly pending: HereDocument[] = []
  /** Offsets at which here-documents begin and end. */
  protected readonly bodies: (readonly [from: number, to: number])[] = []

  constructor(text: string) {
    this.text = text
  }

  /** Reads commands until one of `ends` stands where a command could; eats it and returns it, or '' at the end. */
  protected abstract commands(ends: ReadonlySet<string>): string

  protected redirection(): void {
    const rest = this.text.slice(this.at)
    const here = /^<<(-?)[ \t]*(?!<)/.exec(rest)
    if (rest.startsWith('<<<')) {
      this.at += 3
    } else if (here !== null) {
      this.at += here[0].length
      const raw = this.word()
      this.pending.push({ end: raw.replaceAll(/['"\\]/g, ''), stripTabs: here[1] === '-' })
    } else if (/^[<>]\(/.test(rest)) {
      this.at += 2
      this.expect(this.commands(new Set([')'])), ')')
    } else {
      this.at += /^(?:>>|>&|<&|>\||<>|<|>)/.exec(rest)?.[0].length ?? 1
    }
  }

  /** A word with all its quotes and substitutions, as written. */
  protected word(): string {
    const start = this.at
    while (this.at < this.text.length) {
      const char = this.peek()
      if (/[\s;&|<>)]/.test(char)) break
      if (char === '(') {
        // An array, or a pattern of bash; a function's parentheses are no part of its name.
        if (this.at === start || !/[=?*+@!]$/.test(this.text.slice(start, this.at))) break
        this.at += 1
        this.parentheses()
      } else {
        this.piece(char)
      }
    }
    if (this.at === start) throw new NotUnderstood()
    return this.text.slice(start, this.at)
  }

  /** One character, or what it quotes or substitutes. */
  protected piece(char: string): void {
    if (char === '\\') this.at += 2
    else if (char === "'") this.quote("'")
    else if (char === '"') this.doubleQuote()
    else if (char === '`') this.quote('`')
    else if (char === '$') this.dollar()
    else this.at += 1
  }

  protected dollar(): void {
    const rest = this.text.slice(this.at, this.at + 3)
    if (rest === '$((') {
      this.at += 3
      this.until('))')
    } else if (rest.startsWith('$(')) {
      this.at += 2
      this.expect(this.commands(new Set([')'])), ')')
    } else if (rest.startsWith('${')) {
      this.at += 2
      this.until('}')
    } else if (rest.startsWith("$'")) {
      this.at += 1
      this.quote("'", true)
    } else {
      this.at += 1
    }
  }

  protected doubleQuote(): void {
    this.at += 1
    while (this.at < this.text.length) {
      const char = this.peek()
      if (char === '"') {
        this.at += 1
        return
      }
      if (char === "'") this.at += 1
      else this.piece(char)
    }
    throw new NotUnderstood()
  }

  protected quote(mark: string, escapes = mark === '`'): void {
    this.at += 1
    while (this.at < this.text.length) {
      const char = this.peek()
      this.at += escapes && char === '\\' ? 2 : 1
      if (char === mark) return
    }
    throw new NotUnderstood()
  }

  /** Up to and with `end`, quotes and substitutions apart. */
  protected until(end: string): void {
    let depth = 0
    while (this.at < this.text.length) {
      if (depth === 0 && this.text.startsWith(end, this.at)) {
        this.at += end.length
        return
      }
      const char = this.peek()
      if (end === '))' && char === '(') depth += 1
      if (end === '))' && char === ')') depth -= 1
      this.piece(char)
    }
    throw new NotUnderstood()
  }

  protected parentheses(): void {
    for (let depth = 1; depth > 0;) {
      if (this.at >= this.text.length) throw new NotUnderstood()
      const char = this.peek()
      if (char === '(') depth += 1
      if (char === ')') depth -= 1
      this.piece(char)
    }
  }

  /** Blanks and continued lines. */
  protected blanks(): void {
    for (;;) {
      if (/[ \t\r]/.test(this.peek())) this.at += 1
      else if (this.text.startsWith('\\\n', this.at)) this.at += 2
      else return
    }
  }

  protected comment(): void {
    while (this.at < this.text.length && this.peek() !== '\n') this.at += 1
  }

  protected skipBreaks(): void {
    for (;;) {
      this.blanks()
      if (this.peek() === '\n') this.newline()
      else if (this.peek() === '#') this.comment()
      else return
    }
  }

  /** The end of a line, and the here-documents that begin after it. */
  protected newline(): void {
    this.at += 1
    const start = this.at
    const pending = this.pending.splice(0)
    for (const { end, stripTabs } of pending) {
      for (;;) {
        if (this.at >= this.text.length) throw new NotUnderstood()
        const stop = this.text.indexOf('\n', this.at)
        const line = this.text.slice(this.at, stop === -1 ? undefined : stop)
        this.at = stop === -1 ? this.text.length : stop + 1
        if ((stripTabs ? line.replace(/^\t+/, '') : line) === end) break
      }
    }
    if (pending.length > 0) this.bodies.push([start, this.at])
  }

  protected expect(found: string, wanted: string): void {
    if (found !== wanted) throw new NotUnderstood()
  }

  protected peek(): string {
    return this.text[this.at] ?? ''
  }
}
