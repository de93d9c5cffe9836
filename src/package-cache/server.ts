import { chmod } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Context } from '../context.ts'
import { messageOf, UserError } from '../errors.ts'
import { Exchanges, type CacheStats } from './exchange.ts'
import { packageFiles } from './files.ts'
import { targetRules } from './target.ts'
import { Upstream } from './upstream.ts'

/** Where to listen, and where guests may be led. */
export interface PackageCacheOptions {
  /** A loopback address; 127.0.0.1 by default. */
  readonly host?: '127.0.0.1' | '::1'
  /** 0, the default, for any free one. */
  readonly port?: number
  /** A unix socket instead, for relays into a guest's network namespace; only its owner may connect. */
  readonly path?: string
  /** For tests: servers on this machine, on any port. */
  readonly allowLoopback?: boolean
  /** Where `http_proxy` and `no_proxy` are looked up; this process's own by default. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** A running HTTP proxy that remembers package files. */
export interface PackageCache extends AsyncDisposable {
  /** 0 where it listens on a unix socket. */
  readonly port: number
  stats(): CacheStats
  /** Removes everything that was served since the start: what failed with it is not to fail with it again. */
  forget(): Promise<void>
}

/**
 * Starts a proxy for the package managers of guests. It keeps files that never change under their URL (package files,
 * indexes by digest) in the cache folder and passes everything else through. Guests need not trust it: their package
 * manager verifies signatures and digests as it does with any mirror. It reaches port 80 only, and nothing on this
 * machine or link. Throws UserError where it cannot listen.
 */
export async function startPackageCache(context: Context, options: PackageCacheOptions = {}): Promise<PackageCache> {
  const rules = targetRules(options.allowLoopback === true)
  const upstream = new Upstream(rules, options.env ?? process.env)
  const files = packageFiles(context.config)
  const maxBytes = context.config.cache.packagesMaxBytes
  const exchanges = new Exchanges({ files, upstream, rules, maxBytes, reporter: context.reporter })
  await files.prune({ maxBytes }).catch(() => [])
  const server = makeServer((request, response) => exchanges.handle(request, response))
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await listen(server, options)
  return {
    port: options.path === undefined ? (server.address() as AddressInfo).port : 0,
    stats: () => exchanges.stats(),
    forget: () => exchanges.forget(),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await exchanges.close()
      upstream.close()
      await closed
    },
  }
}

function makeServer(handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Server {
  const server = createServer({ keepAliveTimeout: 30_000 }, (request, response) => void handle(request, response))
  // Encrypted traffic could go anywhere: package managers are told to do that without this proxy.
  server.on('connect', (_request, socket) => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
  server.on('upgrade', (_request, socket) => socket.destroy())
  server.on('clientError', (_error, socket) => socket.destroy())
  return server
}

async function listen(server: Server, options: PackageCacheOptions): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      if (options.path === undefined) server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve)
      else server.listen(options.path, resolve)
    })
    if (options.path !== undefined) await chmod(options.path, 0o600)
  } catch (error) {
    server.close()
    throw new UserError(`cannot start the package cache: ${messageOf(error)}`, { code: 'listen-failed', cause: error })
  }
}
