import type { Assignment, Command, Redirect, ShellScript, Word } from './model.ts'
import { WordReader } from './words.ts'

/** Longest first. */
const redirectOperators = ['&>>', '<<-', '<<<', '&>', '<<', '<&', '<>', '>>', '>&', '>|', '<', '>'] as const

const openers: ReadonlySet<string> = new Set(['if', 'while', 'until', '{'])
const closers: ReadonlySet<string> = new Set(['fi', 'done', '}'])
const separators: ReadonlySet<string> = new Set(['then', 'elif', 'else', 'do', '!', 'time'])

/**
 * The commands of a POSIX or bash script. Never fails: what is no shell at all gives commands that mean nothing. Knows
 * quotes, comments, here-documents, pipelines, substitutions at any depth, `case`, functions, `[[`, arrays and arithmetic;
 * aliases and `eval` are not followed.
 */
export function readShell(text: string): ShellScript {
  return new Reader(text).script()
}

interface Draft {
  offset: number
  assignments: Assignment[]
  words: Word[]
  redirects: Redirect[]
}

interface HereDocument {
  readonly delimiter: string
  readonly stripTabs: boolean
  readonly expands: boolean
}

function newDraft(): Draft {
  return { offset: 0, assignments: [], words: [], redirects: [] }
}

function isBlank({ assignments, words, redirects }: Draft): boolean {
  return assignments.length + words.length + redirects.length === 0
}

class Reader extends WordReader {
  private pipelines = 0
  private readonly pending: HereDocument[] = []
  private readonly commands: Command[] = []
  private readonly functions = new Set<string>()
  private readonly backgrounds: number[] = []

  script(): ShellScript {
    this.list('')
    const { functions, expansions, backgrounds } = this
    return {
      commands: this.commands.toSorted((a, b) => a.offset - b.offset),
      functions,
      expansions: expansions.toSorted((a, b) => a.offset - b.offset),
      backgrounds,
    }
  }

  /** Reads commands up to the end, or past `closer`. */
  protected override list(closer: '' | ')'): void {
    const frames: ('(' | 'case')[] = []
    let pipeline = this.nextPipeline()
    let pipedIn = false
    let draft = newDraft()
    const finish = (next: 'pipe' | 'other') => {
      if (!isBlank(draft)) {
        this.commands.push({ ...draft, pipeline, pipedIn, depth: this.depth })
      }
      if (next === 'other') pipeline = this.nextPipeline()
      pipedIn = next === 'pipe'
      draft = newDraft()
    }
    for (;;) {
      this.skipBlanks()
      if (this.at >= this.end) {
        finish('other')
        return
      }
      if (isBlank(draft)) draft.offset = this.at
      const isEmpty = draft.words.length + draft.assignments.length === 0
      const char = this.text[this.at] ?? ''
      const isOperator = char === ';' || char === '&' || char === '|'
      if (char === '#') {
        this.skipLine()
      } else if (char === '\n') {
        // A pipeline goes on in the next line.
        if (!(pipedIn && isBlank(draft))) finish('other')
        this.newline()
      } else if (isOperator && (this.takes(';;&') || this.takes(';;') || this.takes(';&'))) {
        finish('other')
        if (frames.at(-1) === 'case' && this.patterns()) frames.pop()
      } else if (isOperator && (this.takes('&&') || this.takes('||') || this.takes(';'))) {
        finish('other')
      } else if (isOperator && (this.takes('|&') || this.takes('|'))) {
        finish('pipe')
      } else if (this.readsRedirect(draft)) {
        continue
      } else if (char === '&') {
        this.backgrounds.push(this.at)
        this.at += 1
        finish('other')
      } else if (char === ')') {
        finish('other')
        this.at += 1
        if (frames.at(-1) === '(') {
          frames.pop()
          this.depth -= 1
        } else if (closer === ')') {
          return
        }
      } else if (isEmpty && this.takes('((')) {
        this.arithmetic()
      } else if (char === '(') {
        if (this.readsFunction(draft)) {
          draft = newDraft()
        } else {
          this.at += 1
          if (isEmpty) {
            frames.push('(')
            this.depth += 1
          } else {
            this.arrayItems()
          }
        }
      } else {
        const word = this.word()
        if (isEmpty && word.raw === 'esac' && frames.at(-1) === 'case') {
          frames.pop()
          this.depth = Math.max(0, this.depth - 1)
        } else if (isEmpty && this.keyword(word)) draft = newDraft()
        else if (this.readsAssignment(word, draft)) continue
        else draft.words.push(word)
        if (draft.words.length === 1 && word.raw === '[[') this.testWords(draft)
        if (draft.words.length === 1 && (word.raw === 'for' || word.raw === 'select')) this.depth += 1
        if (draft.words[0]?.raw === 'case' && word.raw === 'in' && draft.words.length === 3) {
          finish('other')
          this.depth += 1
          if (!this.patterns()) frames.push('case')
        }
      }
    }
  }

  private nextPipeline(): number {
    this.pipelines += 1
    return this.pipelines
  }

  /** True where the word is a keyword that only separates commands. */
  private keyword(word: Word): boolean {
    const { raw } = word
    if (openers.has(raw)) this.depth += 1
    else if (closers.has(raw)) this.depth = Math.max(0, this.depth - 1)
    else if (raw === 'function') {
      this.skipBlanks()
      this.functions.add(this.word().text)
      this.skipBlanks()
      if (this.takes('(')) {
        this.skipBlanks()
        this.takes(')')
      }
    } else if (!separators.has(raw)) return false
    return true
  }

  /** `name()`; the name is the draft's only word. */
  private readsFunction(draft: Draft): boolean {
    const [name] = draft.words
    if (name === undefined || draft.words.length > 1) return false
    const match = /^\([ \t]*\)/.exec(this.text.slice(this.at, this.at + 20))
    if (match === null) return false
    this.at += match[0].length
    this.functions.add(name.text)
    return true
  }

  private readsAssignment(word: Word, draft: Draft): boolean {
    const match = draft.words.length > 0 ? null : /^([A-Za-z_][A-Za-z0-9_]*)(?:\[[^\]]*\])?\+?=/.exec(word.raw)
    if (match === null) return false
    const length = match[0].length
    if (word.raw.length === length && this.takes('(')) this.arrayItems()
    const value = {
      offset: word.offset + length,
      raw: word.raw.slice(length),
      text: word.text.slice(length),
      literal: word.literal,
    }
    draft.assignments.push({ name: match[1] ?? '', value })
    return true
  }

  private arrayItems(): void {
    while (this.at < this.end) {
      this.skipBlanks()
      const char = this.text[this.at]
      if (char === ')') break
      if (char === '#') this.skipLine()
      else if (char === '\n' || /[;&|<>(]/.test(char ?? '')) this.at += 1
      else this.word()
    }
    this.at += 1
  }

  /** After `[[`: operators mean comparisons until `]]`. */
  private testWords(draft: Draft): void {
    while (this.at < this.end) {
      this.skipBlanks()
      if (/[\n;&|<>()]/.test(this.text[this.at] ?? '')) {
        this.at += 1
        continue
      }
      if (this.at >= this.end) return
      const word = this.word()
      draft.words.push(word)
      if (word.raw === ']]') return
    }
  }

  /** Past the next patterns of a `case`, or past its `esac`: true then. */
  private patterns(): boolean {
    for (;;) {
      this.skipBlanks()
      const char = this.text[this.at]
      if (this.at >= this.end) return true
      if (char === '\n') this.newline()
      else if (char === '#') this.skipLine()
      else break
    }
    this.takes('(')
    while (this.at < this.end) {
      this.skipBlanks()
      if (this.takes(')')) return false
      if (/[\n;&|<>(]/.test(this.text[this.at] ?? '')) {
        this.at += 1
        continue
      }
      if (this.word().raw === 'esac') {
        this.depth = Math.max(0, this.depth - 1)
        return true
      }
    }
    return true
  }

  private readsRedirect(draft: Draft): boolean {
    const start = this.at
    if (!/[\d{<>&]/.test(this.text[start] ?? '')) return false
    const fd = /^(?:\d+|\{\w+\})(?=[<>])/.exec(this.text.slice(start, start + 20))?.[0]
    this.at += fd?.length ?? 0
    // Process substitutions are words.
    const operator = /^[<>]\(/.test(this.text.slice(this.at, this.at + 2))
      ? undefined
      : redirectOperators.find((candidate) => this.takes(candidate))
    if (operator === undefined) {
      this.at = start
      return false
    }
    this.skipBlanks()
    const target = this.word()
    if (operator === '<<' || operator === '<<-') {
      const expands = !/['"\\]/.test(target.raw)
      this.pending.push({ delimiter: target.text, stripTabs: operator === '<<-', expands })
    }
    draft.redirects.push({ operator, fd, target })
    return true
  }

  /** Past a line end and the here-documents that begin there. */
  private newline(): void {
    this.at += 1
    for (const { delimiter, stripTabs, expands } of this.pending.splice(0)) {
      const start = this.at
      let bodyEnd = this.end
      while (this.at < this.end) {
        const lineStart = this.at
        this.skipLine()
        const line = this.text.slice(lineStart, this.at)
        this.at += 1
        if ((stripTabs ? line.replace(/^\t+/, '') : line) === delimiter) {
          bodyEnd = lineStart
          break
        }
      }
      this.at = Math.min(this.at, this.end)
      if (expands) this.within(start, bodyEnd, () => this.quotedPart(''))
    }
  }
}
