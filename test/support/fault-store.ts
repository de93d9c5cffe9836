import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'

/** What a test makes the server answer instead of the object; undefined for the object. */
export type Fault = (method: string, key: string, count: number) => Answer | undefined

export interface Answer {
  readonly status: number
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
  /** Announces this many bytes and then breaks the connection after `body`. */
  readonly claimedBytes?: number
  /** Leaves the connection open instead, as if the rest were to come. */
  readonly drips?: true
}

export interface FaultStore extends AsyncDisposable {
  readonly url: string
  /** `METHOD key` in the order in which they came. */
  readonly requests: string[]
  readonly headers: IncomingHttpHeaders[]
  fault: Fault | undefined
}

/** An unauthenticated object store over a folder that breaks as a test wants it to. */
export async function faultStore(folder: string): Promise<FaultStore> {
  const requests: string[] = []
  const headers: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    const answered = readBody(request).then((body) => {
      const key = decodeURIComponent((request.url ?? '').replace(/^\/bucket\//, ''))
      const method = request.method ?? ''
      requests.push(`${method} ${key}`)
      headers.push(request.headers)
      const answer = store.fault?.(method, key, requests.length)
      if (answer !== undefined) return sendFault(response, answer)
      if (method === 'PUT') {
        mkdirSync(dirname(join(folder, key)), { recursive: true })
        writeFileSync(join(folder, key), body)
        return response.end()
      }
      return sendObject(folder, key, request, response)
    })
    // A client that was killed in the middle of its upload.
    answered.catch(() => response.destroy())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const store: FaultStore = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/bucket`,
    requests,
    headers,
    fault: undefined,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
  return store
}

export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

export function sendFault(
  response: ServerResponse,
  { status, body = '', headers = {}, claimedBytes, drips }: Answer,
): void {
  response.writeHead(status, { ...headers, 'content-length': claimedBytes ?? Buffer.byteLength(body) })
  if (claimedBytes === undefined) {
    response.end(body)
  } else {
    response.write(body, () => drips === true || response.destroy())
  }
}

function sendObject(folder: string, key: string, request: IncomingMessage, response: ServerResponse): void {
  let body: Buffer
  try {
    body = readFileSync(join(folder, key))
  } catch {
    response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>')
    return
  }
  const etag = `"${createHash('md5').update(body).digest('hex')}"`
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, { ETag: etag }).end()
  } else {
    response.writeHead(200, { ETag: etag, 'content-length': body.length }).end(body)
  }
}
