/** One word of a shell command. Offsets count characters from the beginning of the script. */
export interface Word {
  readonly offset: number
  /** As written, quotes included. */
  readonly raw: string
  /** Without quotes; expansions and substitutions stay as they are written. */
  readonly text: string
  /** Nothing in it is expanded or substituted, so that `text` is what the command gets, but for globs. */
  readonly literal: boolean
}

export interface Redirect {
  /** `>`, `>>`, `<`, `<<`, `2>` comes as `>` with `fd` 2. */
  readonly operator: string
  readonly fd: string | undefined
  /** The file, or the delimiter of a here-document. */
  readonly target: Word
}

export interface Assignment {
  readonly name: string
  readonly value: Word
}

/** A simple command. `for` and `case` stand in the list by their first line, `[[` by its words; other keywords do not. */
export interface Command {
  readonly offset: number
  readonly assignments: readonly Assignment[]
  /** The name and its arguments. */
  readonly words: readonly Word[]
  readonly redirects: readonly Redirect[]
  /** Commands of one pipeline have the same number. */
  readonly pipeline: number
  /** It reads what the command before it in the pipeline writes. */
  readonly pipedIn: boolean
  /** Compound commands and substitutions around it. */
  readonly depth: number
}

/** A variable that is expanded somewhere. */
export interface Expansion {
  readonly name: string
  readonly offset: number
}

export interface ShellScript {
  /** In the order of the text, those in substitutions and functions too. */
  readonly commands: readonly Command[]
  readonly functions: ReadonlySet<string>
  readonly expansions: readonly Expansion[]
  /** Offsets of `&` that put something into the background. */
  readonly backgrounds: readonly number[]
}
