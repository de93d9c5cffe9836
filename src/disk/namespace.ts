import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { InterruptedError, UserError } from '../errors.ts'
import { run, type RunOptions, type RunResult } from '../system/run.ts'
import { missingTool, needTool } from '../system/tools.ts'

/**
 * A mount namespace of its own: what is mounted in it is nobody else's, and gone with the last process in it, even if this
 * process is killed with SIGKILL.
 */
export interface MountNamespace extends AsyncDisposable {
  /** A process in it that does nothing but hold it. */
  readonly pid: number
  /**
   * An absolute path in it as this process opens it. Never resolve it (`realpath`, `losetup` do): the kernel shows the
   * link in it as `/`.
   */
  path(path: string): string
  /** The argv that runs a command in it. */
  argv(command: string, args: readonly string[]): readonly [string, ...string[]]
  /** Runs a command in it. Errors as those of `run`. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<RunResult>
}

export interface NamespaceOptions {
  /** A process whose mounts are there to begin with; left out: this process. */
  readonly from?: number
  /** Also a network namespace, with nothing but a loopback in it. */
  readonly network?: boolean
}

/** Opens a mount namespace. Needs root. Throws UserError where the kernel refuses. */
export async function openNamespace(context: Context, options: NamespaceOptions = {}): Promise<MountNamespace> {
  context.signal.throwIfAborted()
  const nsenter = await needTool('nsenter')
  const unshare = await needTool('unshare')
  const from = options.from === undefined ? [] : [nsenter, `--mount=/proc/${options.from}/ns/mnt`, '--']
  const own = [unshare, '--mount', ...(options.network === true ? ['--net'] : []), '--propagation', 'private', '--']
  // It ends at the end of its stdin. In a session of its own, or Ctrl-C would pull the mounts away under the clean-up.
  const [command, ...args] = [...from, ...own, 'sh', '-c', 'echo ready; exec cat >/dev/null']
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  child.stdin.on('error', () => {})
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  await holderReady(child, closed)
  const pid = child.pid ?? 0
  const argv = (name: string, rest: readonly string[]) =>
    [nsenter, `--mount=/proc/${pid}/ns/mnt`, '--', name, ...rest] as const
  return {
    pid,
    path: (path) => join(`/proc/${pid}/root`, path),
    argv,
    run: (name, rest, runOptions) => {
      const [first, ...others] = argv(name, rest)
      return run(first, others, runOptions)
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end()
      await closed
    },
  }
}

/** Resolves when the holder is in its namespaces. */
async function holderReady(child: ChildProcess, closed: Promise<void>): Promise<void> {
  let stderr = ''
  let missing = false
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.once('error', () => (missing = true))
  const ready = new Promise<boolean>((resolve) => child.stdout?.once('data', () => resolve(true)))
  if (await Promise.race([ready, closed.then(() => false)])) return
  if (missing) throw missingTool('unshare', 'keep mounts apart')
  throw new UserError(`cannot open a mount namespace: ${stderr.trim()}`, {
    hint: 'this needs root',
    code: 'namespace-refused',
  })
}

/** Throws InterruptedError where the user has asked to stop. */
export function throwIfInterrupted(signal: AbortSignal): void {
  if (signal.aborted) throw new InterruptedError()
}
