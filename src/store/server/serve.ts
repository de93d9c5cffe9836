import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hasCode, messageOf, UserError } from '../../errors.ts'
import { DirectoryFiles } from '../directory-files.ts'
import { type Account, authenticate, type ServerCredentials } from './auth.ts'
import { handle, type ServerState } from './handlers.ts'
import { readRequest } from './request.ts'
import { type S3Problem, toS3Problem } from './s3-problem.ts'
import { Uploads } from './uploads.ts'
import { renderXml } from './xml.ts'

export interface ServeOptions {
  /** Holds the bucket's objects as plain files; a `file://` store on it sees the same. */
  readonly directory: string
  readonly bucket: string
  /** A loopback address; 127.0.0.1 by default. */
  readonly host?: string
  /** 0 for any free one. */
  readonly port: number
  readonly credentials: ServerCredentials
  /** A second account that may read and list only. */
  readonly readOnlyCredentials?: ServerCredentials
  /** Gets one line per request: method, path, status. */
  readonly log?: (line: string) => void
}

export interface ServedStore {
  readonly port: number
  /** `http://host:port/bucket` */
  readonly url: string
  /** Ends connections and waits for what is being written. */
  close(): Promise<void>
}

/**
 * Serves a folder as an S3 bucket to this machine (and to guests on QEMU's user network, which reach the host's
 * loopback as 10.0.2.2). No substitute for a real object store: one bucket, loopback only, no TLS, no versions.
 */
export async function serveStore(options: ServeOptions): Promise<ServedStore> {
  const host = options.host ?? '127.0.0.1'
  requireLoopback(host)
  const files = new DirectoryFiles(options.directory)
  const state: ServerState = { bucket: options.bucket, files, uploads: new Uploads(files) }
  await files.prepare()
  await state.uploads.prepare()
  const running = new Set<Promise<void>>()
  const accept = (raw: IncomingMessage, response: ServerResponse) => {
    const work = answer(raw, response, state, accountsOf(options), options.log).finally(() => running.delete(work))
    running.add(work)
  }
  const server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 3600_000 }, accept)
  // Without this Node asks for the body before we have looked at the signature.
  server.on('checkContinue', accept)
  await listen(server, options.port, host)
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}/${options.bucket}`,
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()))
      server.closeAllConnections()
      await closed
      await Promise.allSettled(running)
    },
  }
}

function accountsOf(options: ServeOptions): readonly Account[] {
  const reader = options.readOnlyCredentials
  const full = { ...options.credentials, readOnly: false }
  return reader === undefined ? [full] : [full, { ...reader, readOnly: true }]
}

async function answer(
  raw: IncomingMessage,
  response: ServerResponse,
  state: ServerState,
  accounts: readonly Account[],
  log: ((line: string) => void) | undefined,
): Promise<void> {
  const requestId = randomBytes(8).toString('hex').toUpperCase()
  response.setHeader('x-amz-request-id', requestId).setHeader('server', 'parbake')
  const awaited = raw.headers.expect?.toLowerCase() === '100-continue'
  try {
    const request = readRequest(raw)
    const auth = authenticate(request, accounts, Date.now())
    if (awaited) response.writeContinue()
    await handle({ state, request, auth, response })
  } catch (error) {
    const problem = toS3Problem(error)
    if (problem.code === 'InternalError') log?.(`error: ${messageOf(error)}`)
    // A body that was held back may still come: no further request on this connection.
    if (awaited) response.shouldKeepAlive = false
    // A client that is still sending does not read our answer before it is done.
    raw.resume()
    sendProblem(raw, response, problem, requestId)
  }
  const path = (raw.url ?? '').split('?')[0]
  log?.(`${raw.method} ${path} ${response.statusCode}`)
}

function sendProblem(raw: IncomingMessage, response: ServerResponse, problem: S3Problem, requestId: string): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const resource = (raw.url ?? '').split('?')[0] ?? ''
  const xml = renderXml('Error', {
    Code: problem.code,
    Message: problem.message,
    Resource: resource,
    RequestId: requestId,
  })
  response.writeHead(problem.status, { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(xml) })
  response.end(raw.method === 'HEAD' ? undefined : xml)
}

function requireLoopback(host: string): void {
  if (host === '::1' || host === 'localhost' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)) return
  throw new UserError(`the embedded store cannot listen on ${host}`, {
    exitCode: 2,
    code: 'store-not-loopback',
    hint: 'it is for one machine and listens on 127.0.0.1 only; for several machines use S3, MinIO or Ceph',
  })
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (!hasCode(error, 'EADDRINUSE') && !hasCode(error, 'EACCES')) return reject(error)
      const what = hasCode(error, 'EACCES') ? 'needs more rights' : 'is in use'
      const hint = 'choose another one with --port, or 0 for any free one'
      return reject(new UserError(`port ${port} of ${host} ${what}`, { code: 'store-port', hint, cause: error }))
    })
    server.listen(port, host, () => resolve())
  })
}
