import type { Expansion, Word } from './model.ts'

/** Characters that mean nothing but themselves, outside of quotes and inside. */
const plain = /[^\s;&|<>()\\'"$`]+/y
const plainInQuotes = /[^\\$`'"}]+/y

/** Reads words with their quotes and expansions; the commands in substitutions are left to `list`. */
export abstract class WordReader {
  protected at = 0
  protected end: number
  protected depth = 0
  protected readonly expansions: Expansion[] = []
  protected readonly text: string

  constructor(text: string) {
    this.text = text
    this.end = text.length
  }

  /** Reads commands up to the end, or past `closer`. */
  protected abstract list(closer: '' | ')'): void

  /** Reads a part of the text by itself, and goes on where it was. */
  protected within(start: number, end: number, read: () => void): void {
    const { at: savedAt, end: savedEnd } = this
    this.at = start
    this.end = end
    read()
    this.at = savedAt
    this.end = savedEnd
  }

  /** One word from here; empty at a character that cannot begin one, which is then passed. */
  protected word(): Word {
    const offset = this.at
    let text = ''
    let literal = true
    const part = (read: () => boolean) => {
      const start = this.at
      if (read()) literal = false
      text += this.text.slice(start, this.at)
    }
    while (this.at < this.end) {
      text += this.run(plain)
      if (this.at >= this.end) break
      const char = this.text[this.at] ?? ''
      if (/[<>]/.test(char) && this.text[this.at + 1] === '(') {
        part(() => this.substitution())
      } else if (/[\s;&|<>()]/.test(char)) {
        break
      } else if (char === '\\') {
        if (this.text[this.at + 1] !== '\n') text += this.text[this.at + 1] ?? ''
        this.at += 2
      } else if (char === "'" || this.text.startsWith("$'", this.at)) {
        text += this.singleQuoted()
      } else if (char === '"' || this.text.startsWith('$"', this.at)) {
        this.at += char === '"' ? 1 : 2
        const start = this.at
        if (this.quotedPart('"')) literal = false
        text += this.text.slice(start, this.at).replaceAll(/\\([$`"\\\n])/g, (_, escaped: string) => escaped.trim())
        this.at += 1
      } else if (char === '$') {
        part(() => this.dollar())
      } else if (char === '`') {
        part(() => this.backticks())
      } else {
        text += char
        this.at += 1
      }
    }
    this.at = Math.min(this.at, this.end)
    if (this.at === offset) this.at += 1
    return { offset, raw: this.text.slice(offset, this.at), text, literal }
  }

  /** Past `'…'` or `$'…'`; gives what is inside. */
  protected singleQuoted(): string {
    const ansi = this.text[this.at] === '$'
    this.at += ansi ? 2 : 1
    const start = this.at
    while (this.at < this.end && this.text[this.at] !== "'") this.at += ansi && this.text[this.at] === '\\' ? 2 : 1
    const inside = this.text.slice(start, Math.min(this.at, this.end))
    this.at += 1
    return inside
  }

  /** Up to the closing character, or to the end where there is none; true where something is expanded. */
  protected quotedPart(closing: '"' | '}' | ''): boolean {
    let expands = false
    while (this.at < this.end) {
      this.run(plainInQuotes)
      if (this.at >= this.end) break
      const char = this.text[this.at]
      if (char === closing) return expands
      if (char === '\\') this.at += 2
      else if (char === '$') expands = this.dollar() || expands
      else if (char === '`') expands = this.backticks() || expands
      else if (closing === '}' && char === "'") this.singleQuoted()
      else if (closing === '}' && char === '"') {
        this.at += 1
        expands = this.quotedPart('"') || expands
        this.at += 1
      } else this.at += 1
    }
    return expands
  }

  /** Past what a `$` begins; true where that is an expansion. */
  protected dollar(): boolean {
    const offset = this.at
    if (this.takes('$((')) {
      this.arithmetic()
      return true
    }
    if (this.text.startsWith('$(', offset)) return this.substitution()
    if (this.takes('${')) {
      const name = /^[#!]?([A-Za-z_][A-Za-z0-9_]*|\d+|[@*#?$!-])/.exec(this.text.slice(this.at, this.at + 100))?.[1]
      if (name !== undefined) this.expansions.push({ name, offset })
      this.quotedPart('}')
      this.at += 1
      return true
    }
    const name = /^(?:[A-Za-z_][A-Za-z0-9_]*|[\d@*#?$!-])/.exec(this.text.slice(offset + 1, offset + 101))?.[0]
    this.at += 1 + (name?.length ?? 0)
    if (name !== undefined) this.expansions.push({ name, offset })
    return name !== undefined
  }

  /** Past `$(…)`, `<(…)` or `>(…)`. */
  protected substitution(): true {
    this.at += 2
    const { depth } = this
    this.depth += 1
    this.list(')')
    this.depth = depth
    return true
  }

  protected backticks(): true {
    const start = this.at + 1
    this.at = start
    while (this.at < this.end && this.text[this.at] !== '`') this.at += this.text[this.at] === '\\' ? 2 : 1
    const stop = Math.min(this.at, this.end)
    const { depth } = this
    this.depth += 1
    this.within(start, stop, () => this.list(''))
    this.depth = depth
    this.at = stop + 1
    return true
  }

  /** After `((`: past its `))`. */
  protected arithmetic(): void {
    let open = 2
    while (this.at < this.end && open > 0) {
      const char = this.text[this.at]
      if (char === '(') open += 1
      if (char === ')') open -= 1
      this.at += 1
    }
  }

  /** Past all that the sticky pattern matches here. */
  private run(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const length = pattern.exec(this.text)?.[0].length ?? 0
    const start = this.at
    this.at = Math.min(this.end, start + length)
    return this.text.slice(start, this.at)
  }

  protected takes(text: string): boolean {
    if (this.at + text.length > this.end || !this.text.startsWith(text, this.at)) return false
    this.at += text.length
    return true
  }

  protected skipBlanks(): void {
    for (;;) {
      const char = this.text[this.at]
      if (char === ' ' || char === '\t' || char === '\r') this.at += 1
      else if (char === '\\' && this.text[this.at + 1] === '\n') this.at += 2
      else return
    }
  }

  protected skipLine(): void {
    const newline = this.text.indexOf('\n', this.at)
    this.at = newline === -1 ? this.end : Math.min(newline, this.end)
  }
}
