import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, UserError } from '../errors.ts'

const waitLimitMs = 30_000

/**
 * Runs `work` while no other process of this machine holds the same name. The lock is an abstract Unix socket: the
 * kernel hands it to one process and takes it back when that process dies, so that no lock is ever stale. It does not
 * reach across network namespaces (containers) or machines. Throws UserError after 30 s of waiting.
 */
export async function withMachineLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const held = await acquire(name)
  try {
    return await work()
  } finally {
    await new Promise<void>((done) => held.close(() => done()))
  }
}

async function acquire(name: string): Promise<Server> {
  if (process.platform !== 'linux') {
    throw new UserError('a directory can be written as a store on Linux only', {
      code: 'store-failed',
      hint: 'use an s3:// or minio:// store',
    })
  }
  // Abstract names are limited to 107 bytes.
  const path = `\0parbake-lock-${createHash('sha256').update(name).digest('hex')}`
  const limit = performance.now() + waitLimitMs
  for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 20)) {
    const server = await tryListen(path)
    if (server !== undefined) return server
    if (performance.now() > limit) {
      throw new UserError(`another process has been writing ${name} for ${waitLimitMs / 1000} s`, {
        code: 'store-failed',
        hint: 'stop it, or try again',
      })
    }
    await sleep(waitMs * (0.5 + Math.random()))
  }
}

function tryListen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error) => {
      if (hasCode(error, 'EADDRINUSE')) resolve(undefined)
      else reject(error)
    })
    server.listen(path, () => resolve(server))
  })
}
