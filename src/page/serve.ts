import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, messageOf, UserError } from '../errors.ts'
import type { Reporter } from '../report/events.ts'
import type { PageData } from './data.ts'
import { renderPage } from './page.ts'

/** The page as it was when the store had this version. */
export interface PageVersion {
  readonly version: string
  readonly data: PageData
  readonly html: string
  /** What looking and gathering took. */
  readonly seconds: number
}

export interface ServePageOptions {
  /** 0 for any free one. */
  readonly port: number
  /** Seconds between two looks at the store, at least. */
  readonly everySeconds: number
  /** A cheap look: equal exactly while the page would be the same. */
  readonly look: (signal: AbortSignal) => Promise<string>
  readonly gather: (signal: AbortSignal) => Promise<PageData>
  readonly reporter: Reporter
  readonly signal: AbortSignal
}

export interface ServedPage {
  /** `http://127.0.0.1:port/` */
  readonly url: string
  readonly port: number
  /** Resolves when `signal` has fired and nothing is left running. */
  readonly done: Promise<void>
}

const host = '127.0.0.1'
const eventsPath = '/events'
/** Seconds of rest for each second of work. */
const restShare = 5

/**
 * Serves the page to this machine and keeps it up to date until `signal` fires. Throws what the first look or gathering
 * throws; a later failure is a warning, and the page stays as it was.
 */
export async function servePage(options: ServePageOptions): Promise<ServedPage> {
  const { signal, reporter } = options
  let current = await build(options)
  const listeners = new Set<ServerResponse>()
  const server = createServer((request, response) => answer(request, response, current, listeners))
  await listen(server, options.port)
  const { port } = server.address() as AddressInfo
  let lookSeconds = 0
  const follow = async () => {
    while (!signal.aborted) {
      try {
        // A large fleet is looked at less often: following it must not become the store's main work.
        const pause = Math.max(options.everySeconds, restShare * current.seconds, restShare * lookSeconds)
        await sleep(pause * 1000, undefined, { signal })
        const started = performance.now()
        const version = await options.look(signal)
        lookSeconds = (performance.now() - started) / 1000
        if (version === current.version) continue
        current = await build(options)
        reporter.emit({
          type: 'note',
          text: `something new at ${current.data.generatedAt.slice(11, 19)}: page updated`,
        })
        for (const listener of listeners) sendVersion(listener, current.version)
      } catch (error) {
        if (signal.aborted) break
        if (!(error instanceof UserError)) throw error
        reporter.emit({ type: 'warning', text: `the page stays as it was: ${messageOf(error)}` })
      }
    }
  }
  const untilStopped = async () => {
    try {
      await follow()
    } finally {
      await close(server, listeners)
    }
  }
  const done = untilStopped()
  return { url: `http://${host}:${port}/`, port, done }
}

/** Looks before it gathers: what comes in between makes the next look differ. */
async function build({ look, gather, signal }: ServePageOptions): Promise<PageVersion> {
  const started = performance.now()
  const version = await look(signal)
  const data = await gather(signal)
  const html = renderPage(data, { events: eventsPath, version })
  return { version, data, html, seconds: (performance.now() - started) / 1000 }
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  current: PageVersion,
  listeners: Set<ServerResponse>,
): void {
  response.setHeader('cache-control', 'no-store').setHeader('x-content-type-options', 'nosniff')
  const path = (request.url ?? '/').split('?')[0]
  if (!isOwnName(request)) return end(response, 403, 'text/plain', 'this page is for this machine only\n')
  if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405, 'text/plain', 'GET only\n')
  if (path === '/') return end(response, 200, 'text/html; charset=utf-8', current.html)
  if (path === '/data.json') {
    return end(response, 200, 'application/json', `${JSON.stringify(current.data, null, 2)}\n`)
  }
  if (path !== eventsPath) return end(response, 404, 'text/plain', 'there is nothing here\n')
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  listeners.add(response)
  response.on('close', () => listeners.delete(response))
  return sendVersion(response, current.version)
}

/** A foreign site that points its own name to this machine must not read the page through somebody's browser. */
function isOwnName({ headers, socket }: IncomingMessage): boolean {
  return [host, 'localhost'].some((name) => headers.host === `${name}:${socket.localPort}`)
}

function end(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

function sendVersion(response: ServerResponse, version: string): void {
  response.write(`event: version\ndata: ${version}\n\n`)
}

async function close(server: Server, listeners: ReadonlySet<ServerResponse>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  for (const listener of listeners) listener.end()
  server.closeAllConnections()
  await closed
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (!hasCode(error, 'EADDRINUSE') && !hasCode(error, 'EACCES')) return reject(error)
      const what = hasCode(error, 'EACCES') ? 'needs more rights' : 'is in use'
      const hint = 'choose another one with --port, or 0 for any free one'
      return reject(new UserError(`port ${port} of ${host} ${what}`, { code: 'page-port', hint, cause: error }))
    })
    server.listen(port, host, () => resolve())
  })
}
