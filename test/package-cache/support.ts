import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Config } from '../../src/config.ts'
import type { Context } from '../../src/context.ts'
import { startPackageCache, type PackageCache, type PackageCacheOptions } from '../../src/package-cache/server.ts'
import { tempDir } from '../../src/system/temp.ts'

export interface Origin {
  readonly url: string
  /** Method and path of each request, in order. */
  readonly asked: string[]
  readonly headers: IncomingHttpHeaders[]
}

/** An archive on this machine that is closed at the end of the test. */
export async function startOrigin(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<Origin> {
  const asked: string[] = []
  const headers: IncomingHttpHeaders[] = []
  const server = createServer((incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url}`)
    headers.push(incoming.headers)
    answer(incoming, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, headers }
}

export interface Bench {
  readonly context: Context
  /** The folder of kept files. */
  readonly folder: string
  readonly start: (options?: PackageCacheOptions) => Promise<PackageCache>
}

/** A private cache folder; whatever is started is stopped at the end of the test. */
export async function bench(packagesMaxBytes = 100_000_000): Promise<Bench> {
  const dir = await tempDir('package-cache-test')
  onTestFinished(() => dir[Symbol.asyncDispose]())
  const context: Context = {
    config: { cacheDir: dir.path, cache: { maxBytes: undefined, packagesMaxBytes } } as unknown as Config,
    reporter: { emit: () => {}, close: () => {} },
    signal: new AbortController().signal,
  }
  return {
    context,
    folder: join(dir.path, 'packages'),
    start: async (options) => {
      const cache = await startPackageCache(context, { allowLoopback: true, env: {}, ...options })
      onTestFinished(() => cache[Symbol.asyncDispose]())
      return cache
    },
  }
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: Record<string, string>
}

/** Asks a proxy for a URL; rejects where the answer is cut. */
export function ask(proxy: number | string, url: string, options: AskOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const where = typeof proxy === 'number' ? { host: '127.0.0.1', port: proxy } : { socketPath: proxy }
    const outgoing = request({ ...where, path: url, agent: false, ...options }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
      )
    })
    outgoing.on('error', reject).end()
  })
}
