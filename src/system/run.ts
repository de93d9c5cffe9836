import { execa, type Options as ExecaOptions } from 'execa'
import { InterruptedError, UserError } from '../errors.ts'
import type { Reporter } from '../report/events.ts'
import { shQuote } from '../util/sh-quote.ts'

export interface RunOptions {
  readonly signal?: AbortSignal
  readonly reporter?: Reporter
  readonly cwd?: string
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  /** Milliseconds; the command is killed then. */
  readonly timeoutMs?: number
  /** Called for every line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void
  /** Called for stdout as it comes, cut anywhere: for progress that ends in carriage returns. */
  readonly onText?: (text: string) => void
  /** What the command is for, as in "needed to build a base": used in errors. */
  readonly purpose?: string
  /** Return non-zero exits instead of throwing. */
  readonly allowFailure?: boolean
}

export interface RunResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
  readonly durationMs: number
}

/** One argument as a person would type it in a shell. */
export function shellQuote(argument: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(argument) ? argument : shQuote(argument)
}

/**
 * Runs an outside command from an argv, never through a shell, and is the only file that imports execa. Throws
 * UserError when it cannot be started, fails or runs out of time, with the end of what it printed; InterruptedError
 * when the signal fired (the command is killed, after 5 s with SIGKILL).
 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const line = [command, ...args].map(shellQuote).join(' ')
  options.reporter?.emit({ type: 'command', line })
  const child = execa(command, args, execaOptions(options))
  if (options.onLine !== undefined) {
    const { onLine } = options
    void follow(child.iterable({ from: 'all' }), onLine)
  }
  if (options.onText !== undefined) {
    const { onText } = options
    child.stdout?.on('data', (chunk: Buffer) => onText(chunk.toString()))
  }
  const result = await child
  if (options.signal?.aborted === true) throw new InterruptedError()
  const stdout = String(result.stdout ?? '')
  const stderr = String(result.stderr ?? '')
  if (result.exitCode !== undefined && (result.exitCode === 0 || options.allowFailure === true)) {
    return { exitCode: result.exitCode, stdout, stderr, durationMs: result.durationMs }
  }
  const why = options.purpose === undefined ? '' : `, which is needed to ${options.purpose}`
  if (result.code === 'ENOENT') {
    throw new UserError(`'${command}' was not found${why}`, {
      hint: `install it, or run 'parbake doctor' to see everything that is missing`,
      code: 'tool-missing',
    })
  }
  const reason = result.timedOut
    ? `ran longer than ${(options.timeoutMs ?? 0) / 1000} s`
    : result.signal === undefined
      ? `failed with exit code ${result.exitCode ?? 'unknown'}`
      : `was killed by ${result.signal}`
  const tail = lastLines(stderr === '' ? stdout : stderr, 15)
  throw new UserError(`${line}\n  ${reason}${why}${tail === '' ? '' : `:\n${tail}`}`, { code: 'command-failed' })
}

function execaOptions(options: RunOptions) {
  return {
    reject: false,
    all: true,
    stdin: options.input === undefined ? 'ignore' : 'pipe',
    forceKillAfterDelay: 5000,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  } satisfies ExecaOptions
}

async function follow(lines: AsyncIterable<unknown>, onLine: (line: string) => void): Promise<void> {
  try {
    for await (const line of lines) onLine(String(line))
  } catch {
    // The command's own failure is reported by its result.
  }
}

/** The last `count` lines of a text, indented by two. */
export function lastLines(text: string, count: number): string {
  const lines = text.trimEnd().split('\n')
  return lines[0] === '' && lines.length === 1
    ? ''
    : lines
        .slice(-count)
        .map((line) => `  ${line}`)
        .join('\n')
}
