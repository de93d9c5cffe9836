import { NotUnderstood, ShellReader } from './reader.ts'

/** A complete command at the top level of a shell script, with all lines that it takes; lines count from 1. */
export interface Statement {
  readonly firstLine: number
  readonly lastLine: number
  readonly text: string
  /** `text` without the here-documents in it. */
  readonly code: string
  /** The name, where it defines a function and does nothing else. */
  readonly defines?: string
}

/**
 * The commands at the top level of a script for sh or bash, each with its here-documents. Undefined where the script is
 * not understood, so that nobody takes it apart.
 */
export function scanShell(text: string): readonly Statement[] | undefined {
  const scanner = new Scanner(text)
  try {
    return scanner.statements()
  } catch (error) {
    if (error instanceof NotUnderstood) return undefined
    throw error
  }
}

const continuing = new Set(['then', 'else', 'elif', 'do', '!', 'time'])
const closers = new Set(['fi', 'done', 'esac', '}', 'then', 'else', 'elif', 'do'])

class Scanner extends ShellReader {
  statements(): Statement[] {
    const found: Statement[] = []
    const lines = this.text.split('\n')
    while (this.at < this.text.length) {
      this.blanks()
      const start = this.at
      if (this.peek() === '\n') {
        this.newline()
        continue
      }
      if (this.peek() === '#') {
        this.comment()
        continue
      }
      if (start >= this.text.length) break
      const defines = this.#line()
      const firstLine = this.#lineAt(start)
      const lastLine = this.#lineAt(Math.max(start, this.at - 1))
      const text = lines.slice(firstLine - 1, lastLine).join('\n')
      const code = this.#withoutBodies(start, this.at)
      found.push({ firstLine, lastLine, text, code, ...(defines === undefined ? {} : { defines }) })
    }
    if (this.pending.length > 0) throw new NotUnderstood()
    return found
  }

  /** Commands up to the end of the line at the top level; the name where they are one function and nothing else. */
  #line(): string | undefined {
    const name = this.#function()
    const end = this.commands(new Set(['\n']))
    if (end !== '\n' && end !== '') throw new NotUnderstood()
    return name
  }

  /** A function, if one begins here; its name where nothing follows on its line. */
  #function(): string | undefined {
    const start = this.at
    const header = /^(?:function[ \t]+([A-Za-z_][\w-]*)[ \t]*(?:\([ \t]*\))?|([A-Za-z_][\w-]*)[ \t]*\([ \t]*\))/.exec(
      this.text.slice(start, start + 200),
    )
    if (header === null) return undefined
    this.at += header[0].length
    this.skipBreaks()
    const opens = this.peek()
    if (opens !== '(' && !/^\{\s/.test(this.text.slice(this.at, this.at + 2))) {
      this.at = start
      return undefined
    }
    this.at += 1
    const closes = opens === '(' ? ')' : '}'
    this.expect(this.commands(new Set([closes])), closes)
    this.blanks()
    return /^(?:\n|#|$)/.test(this.peek()) ? (header[1] ?? header[2]) : undefined
  }

  #withoutBodies(from: number, to: number): string {
    const inside = this.bodies.filter(([first]) => first >= from && first < to)
    const starts = [from, ...inside.map(([, last]) => last)]
    return starts.map((start, index) => this.text.slice(start, inside[index]?.[0] ?? to)).join('')
  }

  /** Reads commands until one of `ends` stands where a command could; eats it and returns it, or '' at the end. */
  protected override commands(ends: ReadonlySet<string>): string {
    let isStart = true
    let needsMore = false
    while (this.at < this.text.length) {
      this.blanks()
      const char = this.peek()
      if (char === '\n') {
        this.newline()
        if (ends.has('\n') && !needsMore) return '\n'
        isStart = true
        continue
      }
      if (char === '#') {
        this.comment()
        continue
      }
      if (char === ')') {
        if (!ends.has(')')) throw new NotUnderstood()
        this.at += 1
        return ')'
      }
      if (char === ';' || char === '&' || char === '|') {
        const operator =
          /^(?:;;&|;;|;&|;|&&|&>>|&>|&|\|\||\|&|\|)/.exec(this.text.slice(this.at, this.at + 3))?.[0] ?? char
        if (operator.startsWith(';;') || operator === ';&') {
          if (!ends.has(';;')) throw new NotUnderstood()
          this.at += operator.length
          return ';;'
        }
        this.at += operator.length
        if (operator.startsWith('&>')) continue
        needsMore = operator === '&&' || operator === '||' || operator.startsWith('|')
        isStart = true
        continue
      }
      needsMore = false
      if (isStart && this.text.startsWith('((', this.at)) {
        this.at += 2
        this.until('))')
        isStart = false
        continue
      }
      if (char === '(') {
        this.at += 1
        this.blanks()
        // A function's parentheses are followed by its body.
        if (this.peek() === ')') {
          this.at += 1
          this.skipBreaks()
          isStart = true
        } else {
          this.expect(this.commands(new Set([')'])), ')')
          isStart = false
        }
        continue
      }
      if (char === '<' || char === '>') {
        this.redirection()
        continue
      }
      const word = this.word()
      if (!isStart) continue
      if (ends.has(word)) return word
      if (continuing.has(word)) {
        if (closers.has(word)) throw new NotUnderstood()
        continue
      }
      if (closers.has(word)) throw new NotUnderstood()
      isStart = this.#compound(word)
    }
    if (needsMore || !(ends.has('\n') || ends.has(''))) throw new NotUnderstood()
    return ''
  }

  /** Reads the rest of what `word` opens; true where a command comes next all the same. */
  #compound(word: string): boolean {
    if (word === 'case') {
      this.#case()
    } else if (word === 'if') {
      this.expect(this.commands(new Set(['then'])), 'then')
      let end = this.commands(new Set(['fi', 'else', 'elif']))
      while (end !== 'fi') {
        if (end === 'elif') this.expect(this.commands(new Set(['then'])), 'then')
        end = this.commands(end === 'elif' ? new Set(['fi', 'else', 'elif']) : new Set(['fi']))
      }
    } else if (word === 'while' || word === 'until') {
      this.expect(this.commands(new Set(['do'])), 'do')
      this.expect(this.commands(new Set(['done'])), 'done')
    } else if (word === 'for' || word === 'select') {
      this.blanks()
      if (this.text.startsWith('((', this.at)) {
        this.at += 2
        this.until('))')
      }
      this.expect(this.commands(new Set(['do'])), 'do')
      this.expect(this.commands(new Set(['done'])), 'done')
    } else if (word === '{') {
      this.expect(this.commands(new Set(['}'])), '}')
    } else if (word === '[[') {
      this.until(']]')
    } else if (word === 'function') {
      this.blanks()
      this.word()
      this.skipBreaks()
      if (this.text.startsWith('()', this.at)) this.at += 2
      this.skipBreaks()
      return true
    } else if (/^[A-Za-z_]\w*(?:\[[^\]]*\])?\+?=/.test(word)) {
      // What follows an assignment is a command.
      return true
    }
    return false
  }

  #case(): void {
    this.blanks()
    this.word()
    this.skipBreaks()
    this.expect(this.word(), 'in')
    for (;;) {
      this.skipBreaks()
      if (this.peek() === '(') this.at += 1
      this.blanks()
      const pattern = this.word()
      if (pattern === 'esac') return
      for (this.blanks(); this.peek() === '|'; this.blanks()) {
        this.at += 1
        this.blanks()
        this.word()
      }
      if (this.peek() !== ')') throw new NotUnderstood()
      this.at += 1
      if (this.commands(new Set([';;', 'esac'])) === 'esac') return
    }
  }

  #lineAt(offset: number): number {
    return this.text.slice(0, offset).split('\n').length
  }
}
