import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Family, readProc } from './processes.ts'

/** How a program was run to its end. */
export interface Measured {
  /** From just before the start until it has ended, all that it printed included. */
  readonly seconds: number
  /** The most memory, in MiB, that it and its descendants held at one time: proportional set size, sampled. */
  readonly peakMiB: number
  readonly exitCode: number | null
  readonly stdout: string
}

export interface MeasureOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Takes all that it prints, by appending. */
  readonly log: string
  readonly signal: AbortSignal
  /** Seconds after which it is stopped and the bench fails. */
  readonly limitSeconds?: number
  /** Time between the two signals that stop it; 30 s. */
  readonly graceMs?: number
}

const sampleMs = 1000

/**
 * Runs one program as a whole and measures it. It leads a process group of its own, which is stopped (SIGINT, then SIGKILL)
 * when the signal fires or the time is over. Throws where it fails, with the end of what it printed.
 */
export async function measure(
  command: string,
  args: readonly string[],
  { env, cwd, log, signal, limitSeconds = 3600, graceMs = 30_000 }: MeasureOptions,
): Promise<Measured> {
  signal.throwIfAborted()
  const output = createWriteStream(log, { flags: 'a' })
  output.write(`+ ${command} ${args.join(' ')}\n`)
  const start = performance.now()
  const child = spawn(command, args, { cwd, env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const stdout: Buffer[] = []
  const tail: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  for (const stream of [child.stdout, child.stderr]) {
    stream.pipe(output, { end: false })
    stream.on('data', (chunk: Buffer) => {
      tail.push(chunk)
      if (tail.length > 50) tail.shift()
    })
  }
  const over = AbortSignal.any([signal, AbortSignal.timeout(limitSeconds * 1000)])
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code))
  })
  const stop = () => void stopGroup(child.pid, ended, graceMs)
  over.addEventListener('abort', stop)
  const memory = new MemoryWatch(child.pid)
  try {
    const exitCode = await ended
    const seconds = (performance.now() - start) / 1000
    signal.throwIfAborted()
    if (over.aborted) throw new Error(`${command} ran longer than ${limitSeconds} s`)
    if (exitCode !== 0) {
      const text = Buffer.concat(tail).toString('utf8').split('\n').slice(-25).join('\n')
      throw new Error(`${command} ${args.join(' ')} ended with ${exitCode}; the end of what it printed:\n${text}`)
    }
    return { seconds, peakMiB: memory.peakMiB, exitCode, stdout: Buffer.concat(stdout).toString('utf8') }
  } finally {
    over.removeEventListener('abort', stop)
    memory.stop()
    output.end()
  }
}

/** Asks a process group to end as a person would, and insists after a while. */
async function stopGroup(leader: number | undefined, ended: Promise<unknown>, graceMs: number): Promise<void> {
  if (leader === undefined) return
  const kill = (name: NodeJS.Signals) => {
    try {
      process.kill(-leader, name)
    } catch {
      // Gone already.
    }
  }
  kill('SIGINT')
  await Promise.race([ended.catch(() => undefined), sleep(graceMs, undefined, { ref: false })])
  kill('SIGKILL')
}

/** Samples the memory of a program and of all that came from it. */
class MemoryWatch {
  #peakKiB = 0
  #stopped = false

  constructor(root: number | undefined) {
    if (root !== undefined) void this.#watch(new Family(root))
  }

  get peakMiB(): number {
    return this.#peakKiB / 1024
  }

  stop(): void {
    this.#stopped = true
  }

  async #watch(family: Family): Promise<void> {
    while (!this.#stopped) {
      const sum = family.look().reduce((total, pid) => total + pssKiB(pid), 0)
      this.#peakKiB = Math.max(this.#peakKiB, sum)
      await sleep(sampleMs, undefined, { ref: false })
    }
  }
}

/** Proportional set size: shared pages count once over all who share them. */
function pssKiB(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0)
}
