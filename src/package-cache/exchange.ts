import type { IncomingMessage, ServerResponse } from 'node:http'
import { rm } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { hasCode, messageOf } from '../errors.ts'
import type { Reporter } from '../report/events.ts'
import { endToEnd, immutableAt, keepableLength, mayKeepAnswer, mayUseCopy, type Immutable } from './cacheable.ts'
import { contentOf, Download } from './download.ts'
import type { FileHead, OpenFile, PackageFiles } from './files.ts'
import { refusalOf, type TargetRules } from './target.ts'
import type { Upstream } from './upstream.ts'

/** What a cache did since it was started. */
export interface CacheStats {
  /** Files that were not downloaded, or not again for a second one who asked at the same time. */
  readonly hits: number
  /** Files that could have been kept, and had to be downloaded. */
  readonly misses: number
  readonly bytesFromCache: number
}

interface Parts {
  readonly files: PackageFiles
  readonly upstream: Upstream
  readonly rules: TargetRules
  readonly maxBytes: number
  readonly reporter: Reporter
}

/** Headers of an answer that a kept copy is given back with. */
const keptHeaders = ['content-type', 'last-modified', 'etag']

/** Answers requests, from the folder or from upstream. */
export class Exchanges {
  readonly #parts: Parts
  /** By URL, from the request until the file is kept; undefined where the answer cannot be kept. */
  readonly #downloads = new Map<string, Promise<Download | undefined>>()
  /** Answers under way. */
  readonly #running = new Set<Promise<unknown>>()
  readonly #active = new Set<Download>()
  readonly #served = new Set<string>()
  /** Grows when all that was served is to be forgotten. */
  #generation = 0
  #stats = { hits: 0, misses: 0, bytesFromCache: 0 }
  #cannotKeep = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  stats(): CacheStats {
    return { ...this.#stats }
  }

  /** Answers one request; never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? ''
    response.on('error', () => {})
    if (method !== 'GET' && method !== 'HEAD') return refuse(response, 405, 'only GET and HEAD are served here')
    const url = URL.canParse(request.url ?? '') ? new URL(request.url ?? '') : undefined
    if (url === undefined) return refuse(response, 400, 'this is a proxy: ask it for whole URLs')
    const refusal = refusalOf(url, this.#parts.rules)
    if (refusal !== undefined) return refuse(response, 403, refusal)
    const work = this.#answer(request, response, url).catch((error: unknown) => fail(response, error))
    this.#running.add(work)
    await work
    this.#running.delete(work)
  }

  /** Removes what was served, and cuts what is being downloaded. */
  async forget(): Promise<void> {
    this.#generation += 1
    await this.#cut()
    await Promise.all([...this.#served].map((path) => rm(path, { force: true })))
    this.#served.clear()
  }

  /** Cuts what is being downloaded and resolves when nothing is written any more. */
  async close(): Promise<void> {
    this.#generation += 1
    this.#parts.upstream.close()
    await this.#cut()
    await Promise.all(this.#running)
  }

  async #cut(): Promise<void> {
    for (const download of this.#active) {
      download.discard()
      download.abort()
      await download.finished
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const immutable = immutableAt(url)
    if (immutable === undefined || !mayUseCopy(request.method ?? '', request.headers)) {
      return this.#pass(request, response, url)
    }
    const kept = await this.#openKept(url.href, immutable)
    if (kept !== undefined) return this.#serve(request, response, kept)
    if (!mayKeepAnswer(request.method ?? '', request.headers)) return this.#pass(request, response, url)
    const starting = this.#downloads.get(url.href)
    if (starting !== undefined) {
      const download = await starting
      if (download === undefined) return this.#pass(request, response, url)
      this.#stats.hits += 1
      this.#stats.bytesFromCache += download.file.head.bytes
      return stream(response, download)
    }
    return this.#download(request, response, url, immutable)
  }

  /** The kept file, if its content is what its URL says it must be. */
  async #openKept(url: string, immutable: Immutable): Promise<OpenFile | undefined> {
    const file = await this.#parts.files.open(url)
    if (file === undefined || immutable.sha256 === undefined) return file
    const hash = createHash('sha256')
    for await (const chunk of contentOf(file)) hash.update(chunk)
    if (hash.digest('hex') === immutable.sha256) return file
    await file.handle.close()
    await rm(file.path, { force: true })
    return undefined
  }

  async #serve(request: IncomingMessage, response: ServerResponse, file: OpenFile): Promise<void> {
    try {
      this.#served.add(file.path)
      this.#stats.hits += 1
      response.writeHead(200, headersOf(file.head))
      if (request.method === 'HEAD') return void response.end()
      this.#stats.bytesFromCache += file.head.bytes
      await pipeline(Readable.from(contentOf(file), { objectMode: false }), response)
    } finally {
      await file.handle.close()
    }
  }

  /** Fetches a file for this and all other requests that come until it is kept. */
  async #download(request: IncomingMessage, response: ServerResponse, url: URL, immutable: Immutable): Promise<void> {
    const generation = this.#generation
    let resolve: (download: Download | undefined) => void = () => {}
    this.#downloads.set(url.href, new Promise((settle) => (resolve = settle)))
    let download: Download | undefined
    try {
      const answer = await this.#parts.upstream.ask('GET', url, endToEnd(request.headers))
      download = await this.#begin(answer, url, immutable)
      if (download === undefined) return await send(response, answer)
      if (generation !== this.#generation) download.discard()
      this.#active.add(download)
      this.#served.add(this.#parts.files.pathOf(url.href))
      this.#stats.misses += 1
      const streaming = stream(response, download)
      resolve(download)
      await streaming
    } finally {
      resolve(undefined)
      // Others may go on reading when the first one has gone.
      await download?.finished
      this.#downloads.delete(url.href)
      if (download !== undefined) this.#active.delete(download)
      if (download?.isKept === true) await this.#parts.files.prune({ maxBytes: this.#parts.maxBytes }).catch(() => {})
    }
  }

  async #begin(answer: IncomingMessage, url: URL, immutable: Immutable): Promise<Download | undefined> {
    const { files, maxBytes, reporter } = this.#parts
    const bytes = keepableLength(answer.statusCode, answer.headers)
    if (bytes === undefined) return undefined
    const headers = Object.fromEntries(
      keptHeaders.flatMap((name) => (typeof answer.headers[name] === 'string' ? [[name, answer.headers[name]]] : [])),
    ) as Record<string, string>
    try {
      if (!(await files.hasRoom(bytes, maxBytes))) return undefined
      return new Download(files, await files.begin({ url: url.href, bytes, headers, ...immutable }), answer)
    } catch (error) {
      // A cache that cannot be written to is no reason to fail a bake.
      if (!this.#cannotKeep) reporter.emit({ type: 'warning', text: `cannot cache packages: ${messageOf(error)}` })
      this.#cannotKeep = true
      return undefined
    }
  }

  async #pass(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const answer = await this.#parts.upstream.ask(request.method ?? 'GET', url, endToEnd(request.headers))
    await send(response, answer)
  }
}

async function stream(response: ServerResponse, download: Download): Promise<void> {
  const content = download.join()
  try {
    response.writeHead(200, headersOf(download.file.head))
    await pipeline(Readable.from(content, { objectMode: false }), response)
  } finally {
    download.leave()
  }
}

async function send(response: ServerResponse, answer: IncomingMessage): Promise<void> {
  response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.headers))
  await pipeline(answer, response)
}

function headersOf(head: FileHead): Record<string, string | number> {
  return { ...head.headers, 'content-length': head.bytes }
}

function refuse(response: ServerResponse, status: number, why: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${why}\n`)
}

/** Before the head an answer that says why; after it nothing but a cut connection shows that content is missing. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent) response.destroy()
  else if (hasCode(error, 'EACCES')) refuse(response, 403, messageOf(error))
  else refuse(response, 502, `cannot fetch this: ${messageOf(error)}`)
}
