/** Process exit codes; the README's table is the same list. */
export const exitCodes = {
  ok: 0,
  /** The operation failed: a tool, a store, a VM, a step. */
  failed: 1,
  /** Bad usage, recipe or configuration: nothing was attempted. */
  usage: 2,
  /** Our own bug. */
  bug: 70,
  /** Interrupted by SIGINT or SIGTERM. */
  interrupted: 130,
} as const

/** Where in a user's file something is wrong. `line` and `column` count from 1. */
export interface SourceLocation {
  readonly file: string
  readonly line?: number
  readonly column?: number
  /** The text of that line, printed with a caret under `column`. */
  readonly sourceLine?: string
}

/** One finding about a user's input; several are reported together. */
export interface Problem {
  readonly message: string
  readonly location?: SourceLocation
  /** What to do about it. */
  readonly hint?: string
}

export interface UserErrorOptions {
  readonly hint?: string
  readonly location?: SourceLocation
  readonly cause?: unknown
  /** Defaults to 1; 2 for bad usage, recipe or configuration. */
  readonly exitCode?: 1 | 2
  /** Set where one error stands for several findings. */
  readonly problems?: readonly Problem[]
  /** A stable word for programs, e.g. `store-denied`. */
  readonly code?: string
}

/**
 * An error that a user can do something about. `message` says what is wrong with which thing, `hint` what to do next.
 * Anything thrown that is no UserError is our bug and ends with exit code 70.
 */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly hint: string | undefined
  readonly location: SourceLocation | undefined
  readonly exitCode: 1 | 2
  readonly problems: readonly Problem[]
  readonly code: string | undefined

  constructor(message: string, options: UserErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.hint = options.hint
    this.location = options.location
    this.exitCode = options.exitCode ?? exitCodes.failed
    this.problems = options.problems ?? []
    this.code = options.code
  }
}

/** Thrown when the user's AbortSignal fired; ends with exit code 130. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'

  constructor(message = 'interrupted') {
    super(message)
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** True for errors of Node's own calls with this code, e.g. `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** A problem as it is shown, without trailing newline and without colour. */
export function formatProblem(problem: Problem): string {
  const lines: string[] = []
  const { location } = problem
  if (location !== undefined) {
    const place = [location.file, location.line, location.column].filter((part) => part !== undefined).join(':')
    lines.push(`${place}: ${problem.message}`)
    if (location.sourceLine !== undefined && location.column !== undefined) {
      const source = location.sourceLine.replaceAll('\t', ' ')
      lines.push(`    ${source}`, `    ${' '.repeat(location.column - 1)}^`)
    }
  } else {
    lines.push(problem.message)
  }
  if (problem.hint !== undefined) {
    lines.push(`  ${problem.hint}`)
  }
  return lines.join('\n')
}

/** The text of an error as it is shown on stderr, without trailing newline and without colour. */
export function formatUserError(error: UserError): string {
  const own = formatProblem({
    message: error.message,
    ...(error.location === undefined ? {} : { location: error.location }),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  })
  return [...error.problems.map(formatProblem), own].join('\n')
}
