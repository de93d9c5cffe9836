import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readBody, sendFault, type Answer } from './fault-store.ts'

/** What a test makes of one request; undefined lets it through. */
export type ProxyFault =
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** The true answer with another body, of a length that fits. */
  | { readonly kind: 'body'; readonly change: (body: Buffer) => Buffer }
  /** The true answer, broken off after this many bytes. */
  | { readonly kind: 'cut'; readonly bytes: number }
  /** The true answer, this many bytes of it each second. */
  | { readonly kind: 'drip'; readonly bytesPerSecond: number }
  /** The request is taken, and never answered. */
  | { readonly kind: 'silence' }

export interface FaultProxy extends AsyncDisposable {
  readonly port: number
  fault: ((method: string, key: string) => ProxyFault | undefined) | undefined
}

/** Stands before a real S3 endpoint on loopback, whose signatures it leaves as they are, and breaks as a test wants it to. */
export async function faultProxy(upstreamPort: number): Promise<FaultProxy> {
  const timers = new Set<NodeJS.Timeout>()
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const proxy: FaultProxy = {
    port: (server.address() as AddressInfo).port,
    fault: undefined,
    [Symbol.asyncDispose]: async () => {
      for (const timer of timers) clearInterval(timer)
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? ''
    const key = decodeURIComponent((request.url ?? '').replace(/^\/[^/]*\//, ''))
    const fault = proxy.fault?.(method, key)
    if (fault?.kind === 'silence') return
    const sent = await readBody(request)
    if (fault?.kind === 'answer') return sendFault(response, fault.answer)
    const { status, headers, body } = await upstream(request, sent)
    const changed = fault?.kind === 'body' ? fault.change(body) : body
    const length = { 'content-length': String(changed.length) }
    response.writeHead(status, { ...headers, ...(status === 304 ? {} : length) })
    if (fault?.kind === 'cut') response.write(changed.subarray(0, fault.bytes), () => response.destroy())
    else if (fault?.kind === 'drip') drip(response, changed, fault.bytesPerSecond)
    else response.end(changed)
  }

  function upstream(request: IncomingMessage, body: Buffer) {
    return new Promise<{ status: number; headers: Record<string, string>; body: Buffer }>((resolve, reject) => {
      const { method, url, headers } = request
      const onward = forward({ host: '127.0.0.1', port: upstreamPort, method, path: url, headers }, (got) => {
        readBody(got).then((whole) => {
          const { etag } = got.headers
          resolve({ status: got.statusCode ?? 500, headers: etag === undefined ? {} : { etag }, body: whole })
        }, reject)
      })
      onward.on('error', reject)
      onward.end(body)
    })
  }

  function drip(response: ServerResponse, body: Buffer, bytesPerSecond: number): void {
    let sent = 0
    const timer = setInterval(() => {
      response.write(body.subarray(sent, sent + bytesPerSecond))
      sent += bytesPerSecond
      if (sent >= body.length) response.end()
      if (sent >= body.length || response.destroyed) stop()
    }, 1000)
    const stop = () => {
      clearInterval(timer)
      timers.delete(timer)
    }
    timers.add(timer)
    response.on('close', stop)
  }

  return proxy
}
