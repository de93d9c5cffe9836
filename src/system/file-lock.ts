import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { InterruptedError, UserError } from '../errors.ts'
import { needTool } from './tools.ts'

/** How long a lock may be busy before the wait is announced. */
const announceAfterMs = 300

/**
 * Takes an exclusive lock between processes, waiting for whoever has it. The lock is the kernel's (flock), held by a
 * small child that ends with this process, so that there is no stale lock, not even after SIGKILL. `onWait` is called
 * once if another process has it.
 */
export async function lockFile(path: string, signal: AbortSignal, onWait: () => void): Promise<AsyncDisposable> {
  signal.throwIfAborted()
  await mkdir(dirname(path), { recursive: true })
  const flock = await needTool('flock')
  // Its own session: Ctrl-C must not free the lock before the clean-up is done. It ends at the end of its stdin.
  const child = spawn(flock, ['--exclusive', path, 'sh', '-c', 'echo locked && exec cat > /dev/null'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  })
  child.stdin.on('error', () => {})
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  const abandon = () => child.kill('SIGKILL')
  const announce = setTimeout(onWait, announceAfterMs)
  signal.addEventListener('abort', abandon)
  try {
    const locked = new Promise<boolean>((resolve) => child.stdout.once('data', () => resolve(true)))
    if (!(await Promise.race([locked, closed.then(() => false)]))) {
      if (signal.aborted) throw new InterruptedError()
      throw new UserError(`cannot lock ${path}: ${stderr.trim()}`, { code: 'lock-failed' })
    }
  } finally {
    clearTimeout(announce)
    signal.removeEventListener('abort', abandon)
  }
  return {
    [Symbol.asyncDispose]: async () => {
      child.stdin.end()
      await closed
    },
  }
}
