import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { createWriteStream, type WriteStream } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { finished } from 'node:stream/promises'
import { UserError } from '../errors.ts'
import { findTool, missingTool, needTool } from '../system/tools.ts'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A running QEMU and its streams. */
export interface QemuProcess {
  readonly pid: number
  /** performance.now() at the start. */
  readonly startedAtMs: number
  readonly exited: Promise<Exit>
  /** What QEMU itself printed to stderr so far, never the guest. */
  stderr(): string
  kill(): void
}

export interface QemuProcessOptions {
  readonly args: readonly string[]
  /** File that gets every byte of the serial console. */
  readonly consoleLog: string
  readonly onConsole: (chunk: Buffer) => void
}

const live = new Set<ChildProcessWithoutNullStreams>()
process.on('exit', () => {
  for (const child of live) child.kill('SIGKILL')
})

/**
 * Starts QEMU so that it cannot outlive this process, even if that is killed with SIGKILL (setpriv asks the kernel for
 * that), and in a session of its own, so that Ctrl-C reaches parbake only and the guest is ended in order.
 */
export async function startQemu(options: QemuProcessOptions): Promise<QemuProcess> {
  const qemu = await needTool('qemu-system-x86_64')
  const setpriv = await findTool('setpriv')
  const argv = setpriv === undefined ? [qemu] : [setpriv, '--pdeathsig', 'KILL', qemu]
  const log = createWriteStream(options.consoleLog, { flags: 'a', mode: 0o600 })
  const startedAtMs = performance.now()
  const child = spawn(argv[0] ?? qemu, [...argv.slice(1), ...options.args], { stdio: 'pipe', detached: true })
  live.add(child)
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = `${stderr}${chunk.toString()}`.slice(-8192)
  })
  child.stdout.on('data', (chunk: Buffer) => {
    log.write(chunk)
    options.onConsole(chunk)
  })
  // An open stdin that nothing is written to: at its end QEMU would close the console.
  child.stdin.on('error', () => {})
  const exited = watchExit(child, log)
  await started(child, log)
  return {
    pid: child.pid ?? 0,
    startedAtMs,
    exited,
    stderr: () => stderr.trim(),
    kill: () => child.kill('SIGKILL'),
  }
}

async function started(child: ChildProcessWithoutNullStreams, log: WriteStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', () => resolve())
    child.once('error', () => reject(missingTool('qemu-system-x86_64')))
    log.once('error', (error) => {
      child.kill('SIGKILL')
      reject(new UserError(`cannot write the console log: ${error.message}`, { cause: error }))
    })
  })
}

/** Resolves when the process is gone, its output was read to the end and the log is on disk. */
function watchExit(child: ChildProcessWithoutNullStreams, log: WriteStream): Promise<Exit> {
  return new Promise((resolve) => {
    const settle = (exit: Exit) => {
      live.delete(child)
      log.end()
      // A full disk has been reported by then, or only the log is short.
      void finished(log)
        .catch(() => {})
        .then(() => resolve(exit))
    }
    child.once('close', (code, signal) => settle({ code, signal }))
    child.once('error', () => {
      if (child.pid === undefined) settle({ code: 127, signal: null })
    })
  })
}

/** A unix socket on which one connection from QEMU is expected. */
export interface ExpectedSocket {
  readonly path: string
  readonly connected: Promise<Socket>
  close(): void
}

/** Listens before QEMU starts and lets QEMU connect, so that nobody has to poll for its sockets. */
export async function expectSocket(path: string): Promise<ExpectedSocket> {
  const server: Server = createServer()
  const connected = new Promise<Socket>((resolve) => {
    server.once('connection', (socket) => {
      server.close()
      resolve(socket)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return { path, connected, close: () => server.close() }
}
