import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { readFile, readlink } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfInterrupted, type MountNamespace } from '../../disk/namespace.ts'
import { UserError } from '../../errors.ts'
import { needTool } from '../../system/tools.ts'
import { cleanLine } from '../../vm/line-log.ts'
import { isNoise, nspawnEnvironment } from './nspawn.ts'

/** How a container ended. */
export interface ContainerEnd {
  /** True where it powered off in order. */
  readonly inOrder: boolean
  /** A signal or an exit code, in words. */
  readonly how: string
}

export interface NspawnProcess extends AsyncDisposable {
  /** Resolves when the container is gone. */
  readonly exited: Promise<ContainerEnd>
  /** Ends everything in the container at once; `exited` says when that is done. */
  kill(): void
  /**
   * Process 1 of the container, as this machine counts, as soon as it has a network of its own. Throws UserError with code
   * `container-ended` where the container does not start.
   */
  initPid(signal: AbortSignal): Promise<number>
}

/** Enters the control groups, then becomes what follows. */
const enterScript = 'for file in $1; do echo $$ >"$file" || exit; done; shift; exec "$@"'

/** Starts systemd-nspawn in a mount namespace. Disposing it ends everything in the container at once. */
export async function startNspawn(
  namespace: MountNamespace,
  args: readonly string[],
  options: {
    readonly procsFiles: readonly string[]
    readonly consoleLog: string
    readonly onLine: (line: string) => void
  },
): Promise<NspawnProcess> {
  const ownProcesses = ['--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--']
  const command = namespace.argv(await needTool('unshare'), [
    ...ownProcesses,
    await needTool('systemd-nspawn'),
    ...args,
  ])
  // Each becomes the next up to unshare, so that the kernel ends that when this process ends. nspawn is the first process
  // of a PID namespace of its own, with which everything in it ends: a container survives the death of a mere nspawn.
  const child = spawn(
    await needTool('setpriv'),
    ['--pdeathsig', 'KILL', 'sh', '-c', enterScript, 'enter', options.procsFiles.join(' '), ...command],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env: { ...process.env, ...nspawnEnvironment } },
  )
  const exited = watch(child, options.consoleLog, options.onLine)
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', () => resolve())
    child.once('error', (error) => reject(new UserError(`systemd-nspawn does not start: ${error.message}`)))
  })
  return {
    exited,
    kill: () => void child.kill('SIGKILL'),
    initPid: (signal) => initPid(child, options.consoleLog, signal),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function initPid(child: ChildProcess, consoleLog: string, signal: AbortSignal): Promise<number> {
  const parent = child.pid ?? 0
  const own = await readlink(`/proc/${parent}/ns/net`).catch(() => '')
  const deadline = performance.now() + 60_000
  while (child.exitCode === null && child.signalCode === null && performance.now() < deadline) {
    throwIfInterrupted(signal)
    const nspawn = await childOf(parent)
    const pid = nspawn === undefined ? undefined : await childOf(nspawn)
    const its = pid === undefined ? own : await readlink(`/proc/${pid}/ns/net`).catch(() => own)
    if (pid !== undefined && its !== own) return pid
    await sleep(5)
  }
  throw new UserError('systemd-nspawn did not start the container', {
    hint: `what it said is in ${consoleLog}`,
    code: 'container-ended',
  })
}

/** The first child of a process. */
async function childOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const first = /^\d+/.exec(text)?.[0]
  return first === undefined ? undefined : Number(first)
}

async function watch(child: ChildProcess, consoleLog: string, onLine: (line: string) => void): Promise<ContainerEnd> {
  const log = createWriteStream(consoleLog, { flags: 'a', mode: 0o600 })
  log.on('error', () => {})
  let partial = ''
  const onChunk = (chunk: Buffer) => {
    log.write(chunk)
    const lines = `${partial}${chunk.toString()}`.split('\n')
    partial = lines.pop() ?? ''
    for (const line of lines.map(cleanLine)) if (!isNoise(line)) onLine(line)
  }
  child.stdout?.on('data', onChunk)
  child.stderr?.on('data', onChunk)
  const end = await new Promise<ContainerEnd>((resolve) => {
    child.once('error', (error) => resolve({ inOrder: false, how: error.message }))
    child.once('close', (code, signal) =>
      resolve({ inOrder: code === 0, how: signal ?? `exit code ${code ?? 'unknown'}` }),
    )
  })
  log.end()
  await finished(log).catch(() => {})
  return end
}
