import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'minio'
import { checkedBody } from './body.ts'
import { conditionalPut } from './conditional-put.ts'
import { type MultipartCalls, multipartThresholdBytes, uploadInParts } from './multipart.ts'
import { getBytes, kept, type ObjectInfo, type ObjectStore, type PutResult } from './object-store.ts'
import type { StoreCredentials } from './open.ts'
import { rangeHeader } from './range.ts'
import { currentSignal, makeRequest } from './request-signal.ts'
import { isMissing, isTransient, unquoted } from './s3-common.ts'
import { uriEncode } from './sigv4.ts'
import { guarded, failureOf, type StoreFailure, storeError } from './store-errors.ts'

export interface MinioStoreOptions {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly bucket: string
  readonly prefix: string
  readonly region: string
  readonly credentials: StoreCredentials
}

interface Request {
  readonly method: string
  readonly key?: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly expect?: readonly number[]
  /** False where a repetition would meet its own first try. */
  readonly repeatable?: boolean
}

/** A store on MinIO or a compatible server, by the minio client. */
export function openMinioStore(options: MinioStoreOptions): ObjectStore {
  return new MinioStore(options)
}

class MinioStore implements ObjectStore {
  readonly url: string
  readonly #bucket: string
  readonly #prefix: string
  readonly #client: Client
  readonly #agent: http.Agent
  readonly #tls: boolean
  #bucketSeen = false

  constructor(options: MinioStoreOptions) {
    const { host, port, tls, bucket, prefix, credentials } = options
    this.#bucket = bucket
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.#tls = tls
    this.#agent = tls ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true })
    this.url = `minio://${host}:${port}/${bucket}${prefix === '' ? '' : `/${prefix}`}`
    this.#client = new Client({
      endPoint: host.replaceAll(/^\[|\]$/g, ''),
      port,
      useSSL: tls,
      // Given, so that the client does not ask for the bucket's region first.
      region: options.region,
      accessKey: credentials.accessKey,
      secretKey: credentials.secretKey,
      ...(credentials.sessionToken === undefined ? {} : { sessionToken: credentials.sessionToken }),
      transportAgent: this.#agent,
      transport: { request: makeRequest(tls) },
      // It repeats conditional puts as well, and writes to the console.
      retryOptions: { disableRetry: true },
    })
  }

  async put(
    key: string,
    body: Uint8Array | string,
    options: Parameters<ObjectStore['put']>[2] = {},
  ): Promise<PutResult> {
    const { condition, signal, contentType = 'application/octet-stream' } = options
    const bytes = Buffer.from(body as Uint8Array)
    const send = async (extra: Readonly<Record<string, string>>): Promise<string> => {
      const headers = { 'content-type': contentType, ...this.#md5(bytes), ...extra }
      const answer = await this.#call({ method: 'PUT', key, body: bytes, headers, repeatable: condition === undefined })
      return unquoted(answer.headers.etag)
    }
    return this.#guarded('write', key, signal, async () => {
      if (condition === undefined) return { outcome: 'stored', etag: await send({}) }
      return conditionalPut({
        condition,
        body: bytes,
        quoteFirst: false,
        send,
        head: () => this.head(key),
        read: () => getBytes(this, key, signal),
        failureOf: minioFailure,
      })
    })
  }

  async putFile(
    key: string,
    path: string,
    options: Parameters<ObjectStore['putFile']>[2] = {},
  ): Promise<{ readonly etag: string }> {
    const { signal, progress, contentType = 'application/octet-stream' } = options
    return this.#guarded('write', key, signal, async () => {
      const { size } = await stat(path)
      let etag: string
      if (size < multipartThresholdBytes) {
        const body = await readFile(path)
        const headers = { 'content-type': contentType, ...this.#md5(body) }
        etag = unquoted((await this.#call({ method: 'PUT', key, body, headers })).headers.etag)
        progress?.(size)
      } else {
        etag = await uploadInParts(path, size, this.#multipart(key, contentType), { signal, progress })
      }
      const stored = await this.head(key)
      if (stored !== undefined && (etag === '' || stored.etag === etag) && stored.sizeBytes !== size) {
        throw new Error(`${stored.sizeBytes} of ${size} bytes arrived`)
      }
      // Ceph 16 does not say the ETag when it completes an upload.
      return { etag: etag === '' ? (stored?.etag ?? '') : etag }
    })
  }

  /** The client's own fPutObject would join an unfinished upload of somebody else, and never aborts. */
  #multipart(key: string, contentType: string): MultipartCalls {
    const name = `${this.#prefix}${key}`
    return {
      create: () => this.#client.initiateNewMultipartUpload(this.#bucket, name, { 'content-type': contentType }),
      putPart: async (uploadId, number, body) => {
        const query = `partNumber=${number}&uploadId=${uriEncode(uploadId)}`
        const answer = await this.#call({ method: 'PUT', key, query, body, headers: this.#md5(body) })
        return unquoted(answer.headers.etag)
      },
      complete: async (uploadId, etags) => {
        const parts = etags.map((etag, index) => ({ part: index + 1, etag }))
        const done = await this.#client.completeMultipartUpload(this.#bucket, name, uploadId, parts)
        return unquoted(done.etag)
      },
      // Not by the caller's signal, which may be why we are here.
      abort: (uploadId) =>
        currentSignal.run(undefined, () => this.#client.abortMultipartUpload(this.#bucket, name, uriEncode(uploadId))),
    }
  }

  async get(key: string, options: Parameters<ObjectStore['get']>[1] = {}): ReturnType<ObjectStore['get']> {
    const { range, signal } = options
    return this.#guarded('read', key, signal, async () => {
      const headers = range === undefined ? {} : { range: rangeHeader(range) }
      const answer = await this.#orMissing(() => this.#request({ method: 'GET', key, headers, expect: [200, 206] }))
      if (answer === undefined) return undefined
      const length = Number(answer.headers['content-length'] ?? 0)
      const total = Number(/\/(\d+)$/.exec(answer.headers['content-range'] ?? '')?.[1] ?? length)
      const toError = (error: unknown) => storeError({ url: this.url, verb: 'read', key, signal }, error)
      return { ...infoOf(key, total, answer), body: checkedBody(answer, length, toError) }
    })
  }

  async head(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<ObjectInfo | undefined> {
    return this.#guarded('read', key, options.signal, async () => {
      const answer = await this.#orMissing(() => this.#call({ method: 'HEAD', key }))
      return answer === undefined ? undefined : infoOf(key, Number(answer.headers['content-length'] ?? 0), answer)
    })
  }

  /** A HEAD has no body to tell a missing object from a missing bucket, so the bucket is asked for once. */
  async #orMissing<T>(send: () => Promise<T>): Promise<T | undefined> {
    try {
      return await send()
    } catch (error) {
      const failure = minioFailure(error)
      if (!isMissing(failure)) throw error
      if (failure.code !== 'NoSuchKey' && !this.#bucketSeen) await this.#checkBucket()
      return undefined
    }
  }

  async #checkBucket(): Promise<void> {
    try {
      await this.#call({ method: 'HEAD' })
    } catch (error) {
      if (isMissing(minioFailure(error))) throw Object.assign(new Error('no such bucket'), { code: 'NoSuchBucket' })
    }
    this.#bucketSeen = true
  }

  async list(options: Parameters<ObjectStore['list']>[0] = {}): ReturnType<ObjectStore['list']> {
    const { prefix = '', after = '', limit = 1000, leaveOut, signal } = options
    return this.#guarded('list', undefined, signal, async () => {
      const from = `${this.#prefix}${prefix}`
      const page = await retried(() => this.#client.listObjectsV2Query(this.#bucket, from, after, '', limit, ''))
      const objects = page.objects.flatMap((entry): ObjectInfo[] =>
        entry.name === undefined
          ? []
          : [
              {
                key: entry.name.slice(this.#prefix.length),
                sizeBytes: entry.size,
                etag: unquoted(entry.etag),
                modifiedMs: entry.lastModified.getTime(),
              },
            ],
      )
      return { objects: kept(objects, leaveOut), ...(page.isTruncated ? { next: page.nextContinuationToken } : {}) }
    })
  }

  async delete(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#guarded('delete', key, options.signal, () =>
      this.#orMissing(() => this.#call({ method: 'DELETE', key, expect: [200, 204] })),
    )
  }

  close(): void {
    this.#agent.destroy()
  }

  /** A request whose answer's body is of no interest. */
  async #call(request: Request): Promise<IncomingMessage> {
    const answer = await this.#request(request)
    answer.resume()
    return answer
  }

  #request(request: Request): Promise<IncomingMessage> {
    const { method, key, query, headers, body, expect = [200] } = request
    const send = () =>
      this.#client.makeRequestAsync(
        {
          method,
          bucketName: this.#bucket,
          headers: { ...headers },
          ...(key === undefined ? {} : { objectName: `${this.#prefix}${key}` }),
          ...(query === undefined ? {} : { query }),
        },
        body,
        [...expect],
      )
    return request.repeatable === false ? send() : retried(send)
  }

  /** Over TLS the client does not sign the body, so its digest goes along. */
  #md5(body: Buffer): Readonly<Record<string, string>> {
    return this.#tls ? { 'content-md5': createHash('md5').update(body).digest('base64') } : {}
  }

  #guarded<T>(
    verb: string,
    key: string | undefined,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const action = { url: this.url, verb, signal, ...(key === undefined ? {} : { key }) }
    return guarded(action, () => currentSignal.run(signal ?? currentSignal.getStore(), work), withStatus)
  }
}

/** Tries three times where a repetition may help. */
async function retried<T>(send: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send()
    } catch (error) {
      const stopped = attempt === 3 || currentSignal.getStore()?.aborted === true
      if (stopped || !isTransient(minioFailure(error))) throw error
      await sleep(100 * 4 ** (attempt - 1) * (0.5 + Math.random()))
    }
  }
}

/** The client throws some statuses away except in its message. */
function minioFailure(error: unknown): StoreFailure {
  const failure = failureOf(error)
  const status = /Retryable HTTP status: (\d+)/.exec(failure.message ?? '')?.[1]
  return status === undefined ? failure : { ...failure, status: Number(status) }
}

function withStatus(error: unknown): unknown {
  const { status } = minioFailure(error)
  return status !== undefined && error instanceof Error ? Object.assign(error, { statusCode: status }) : error
}

function infoOf(key: string, sizeBytes: number, answer: IncomingMessage): ObjectInfo {
  const modified = Date.parse(answer.headers['last-modified'] ?? '')
  return { key, sizeBytes, etag: unquoted(answer.headers.etag), modifiedMs: Number.isNaN(modified) ? 0 : modified }
}
