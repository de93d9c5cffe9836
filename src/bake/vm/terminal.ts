import { createConnection, type Socket } from 'node:net'
import { UserError } from '../../errors.ts'
import { findTool } from '../../system/tools.ts'
import { shQuote } from '../../util/sh-quote.ts'

/** Where the guest's shell is, and what its terminal looks like. */
export const guestTerminal = 'ttyS1'

/** Ctrl-], as telnet and virsh have it: for a guest that no longer listens. */
const leaveKey = 0x1d

/** The streams of the user's side: this process's own, or a test's. */
export interface UserSide {
  readonly input: NodeJS.ReadStream | (NodeJS.ReadableStream & { readonly isTTY?: false })
  readonly output: NodeJS.WritableStream & { readonly rows?: number; readonly columns?: number }
}

/** The driver's argument for a shell on the guest's terminal, with the size and kind of the user's. Pure. */
export function terminalArgument(
  size: { readonly rows?: number; readonly columns?: number },
  term = process.env['TERM'],
): string {
  const kind = term !== undefined && /^[A-Za-z0-9._+-]+$/.test(term) ? term : 'linux'
  return `${guestTerminal} ${size.rows ?? 24} ${size.columns ?? 80} ${kind}`
}

/** Connects to the guest's terminal. Throws UserError where another one is connected or the machine is gone. */
export async function connectTerminal(path: string): Promise<Socket> {
  const socket = createConnection(path)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve())
    socket.once('error', (error) =>
      reject(
        new UserError(`the terminal of the guest is gone: ${error.message}`, { code: 'bake-failed', cause: error }),
      ),
    )
  })
  socket.on('error', () => {})
  return socket
}

/**
 * Joins the user's streams with the guest's terminal until `ended` resolves, the connection closes or the user presses
 * Ctrl-]. Input that is no terminal is followed by `exit`. What is typed is held back until the shell has said something:
 * a serial port that nobody has opened loses it.
 */
export async function joinTerminal(socket: Socket, user: UserSide, ended: Promise<void>): Promise<void> {
  const { input, output } = user
  const terminal = 'isTTY' in input && input.isTTY === true ? input : undefined
  let leave: () => void = () => {}
  const left = new Promise<void>((resolve) => (leave = resolve))
  const onInput = (chunk: Buffer | string) => {
    const bytes = Buffer.from(chunk)
    const end = terminal === undefined ? -1 : bytes.indexOf(leaveKey)
    socket.write(end === -1 ? bytes : bytes.subarray(0, end))
    if (end !== -1) leave()
  }
  const onEnd = () => socket.write('\nexit\n')
  const listen = () => {
    input.on('data', onInput)
    input.once('end', onEnd)
    input.resume()
  }
  socket.once('close', () => leave())
  socket.on('data', (chunk: Buffer) => output.write(chunk))
  socket.once('data', listen)
  terminal?.setRawMode(true)
  try {
    await Promise.race([ended, left])
  } finally {
    terminal?.setRawMode(false)
    socket.off('data', listen)
    input.off('data', onInput)
    input.off('end', onEnd)
    input.pause()
    socket.destroy()
  }
}

/** A command line that joins any other terminal with the guest's. Node is always there, socat is nicer. */
export async function terminalCommand(path: string): Promise<string> {
  if ((await findTool('socat')) !== undefined) return `socat -,raw,echo=0,escape=0x1d UNIX-CONNECT:${shQuote(path)}`
  const program =
    'const s=require("net").connect(process.argv[1]);s.pipe(process.stdout);s.on("close",()=>process.exit());' +
    `process.stdin.on("data",(d)=>d.includes(${leaveKey})?process.exit():s.write(d))`
  return `(stty raw -echo; ${shQuote(process.execPath)} -e ${shQuote(program)} ${shQuote(path)}; stty sane)`
}
