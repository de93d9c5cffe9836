import { spawn } from 'node:child_process'
import { createServer, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { UserError } from '../../errors.ts'
import { sweptTempDir } from '../../system/temp.ts'
import { Cleanup } from '../../util/cleanup.ts'
import type { ContainerNetwork } from './network.ts'

/** Runs on the router: takes connections to one port and hands them on through a socket file. Ends with its stdin. */
const program = `
const net = require('net')
const [host, port, path] = process.argv.slice(1)
net.createServer({ allowHalfOpen: true }, (a) => {
  const b = net.connect({ path, allowHalfOpen: true })
  for (const [x, y] of [[a, b], [b, a]]) x.on('error', () => y.destroy()).pipe(y)
}).listen(Number(port), host, () => process.stdout.write('ready\\n'))
process.stdin.resume().on('end', () => process.exit())
`

export interface Relay extends AsyncDisposable {
  /** Where the container finds the host's port. */
  readonly url: string
}

/** Lets a container reach one TCP port of the host's loopback, and nothing else of it. */
export async function openRelay(network: ContainerNetwork, port: number): Promise<Relay> {
  await using stack = new Cleanup()
  // Not in the work folder: the path of a socket has at most 107 bytes.
  const folder = stack.use(await sweptTempDir('relay'))
  const path = join(folder.path, 'socket')
  stack.use(await listen(path, port))
  const host = `${network.net}.4`
  const [command, ...args] = network.router(process.execPath, ['-e', program, host, String(port), path])
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  child.stdin.on('error', () => {})
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr = `${stderr}${chunk.toString()}`.slice(-2048)))
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  stack.defer(async () => {
    child.stdin.end()
    child.kill('SIGKILL')
    await closed
  })
  const ready = new Promise<boolean>((resolve) => child.stdout.once('data', () => resolve(true)))
  if (!(await Promise.race([ready, closed.then(() => false)]))) {
    throw new UserError(`the container cannot be given the package cache: ${stderr.trim()}`, { code: 'network-failed' })
  }
  const kept = stack.move()
  return { url: `http://${host}:${port}`, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() }
}

async function listen(path: string, port: number): Promise<AsyncDisposable> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => open.delete(from))
      from.pipe(to)
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
