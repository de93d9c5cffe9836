import { readFile, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { checkedBody } from './body.ts'
import { conditionalPut } from './conditional-put.ts'
import { type MultipartCalls, multipartThresholdBytes, uploadInParts } from './multipart.ts'
import { getBytes, kept, type ObjectInfo, type ObjectStore, type PutResult } from './object-store.ts'
import type { StoreCredentials } from './open.ts'
import { rangeHeader } from './range.ts'
import { isMissing, unquoted } from './s3-common.ts'
import { guarded, failureOf, storeError } from './store-errors.ts'

// The only warning silenced is that of newer SDKs on Node 20: which SDK runs is our choice, not the user's.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
const {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} = await import('@aws-sdk/client-s3')

export interface S3StoreOptions {
  readonly bucket: string
  readonly prefix: string
  /** undefined for AWS itself. */
  readonly endpoint: string | undefined
  readonly region: string
  /** Without them the SDK looks for its own: shared files, container and instance roles. */
  readonly credentials?: StoreCredentials
}

type Client = InstanceType<typeof S3Client>

/** A store on AWS S3 or a compatible server, by the AWS SDK. */
export function openS3Store(options: S3StoreOptions): ObjectStore {
  return new S3Store(options)
}

class S3Store implements ObjectStore {
  readonly url: string
  readonly #bucket: string
  readonly #prefix: string
  readonly #client: Client
  /** A repeated conditional put would meet its own first try and call it a conflict. */
  readonly #once: Client
  readonly #custom: boolean
  #bucketSeen = false

  constructor(options: S3StoreOptions) {
    this.#bucket = options.bucket
    this.#prefix = options.prefix === '' ? '' : `${options.prefix}/`
    this.#custom = options.endpoint !== undefined
    this.#client = makeClient(options, 3)
    this.#once = makeClient(options, 1)
    const at = options.endpoint === undefined ? '' : `?endpoint=${options.endpoint}`
    this.url = `s3://${options.bucket}${options.prefix === '' ? '' : `/${options.prefix}`}${at}`
  }

  async put(
    key: string,
    body: Uint8Array | string,
    options: Parameters<ObjectStore['put']>[2] = {},
  ): Promise<PutResult> {
    const { condition, signal, contentType } = options
    const bytes = Buffer.from(body as Uint8Array)
    const type = contentType === undefined ? {} : { ContentType: contentType }
    const send = async (client: Client, extra: { IfNoneMatch?: string; IfMatch?: string }) => {
      const command = new PutObjectCommand({ ...this.#at(key), Body: bytes, ...type, ...extra })
      return unquoted((await client.send(command, abortable(signal))).ETag)
    }
    return this.#guarded('write', key, signal, async () => {
      if (condition === undefined) return { outcome: 'stored', etag: await send(this.#client, {}) }
      return conditionalPut({
        condition,
        body: bytes,
        quoteFirst: !this.#custom,
        send: (headers) =>
          send(this.#once, 'if-match' in headers ? { IfMatch: headers['if-match'] } : { IfNoneMatch: '*' }),
        head: () => this.head(key, signal === undefined ? {} : { signal }),
        read: () => getBytes(this, key, signal),
        failureOf,
      })
    })
  }

  async putFile(
    key: string,
    path: string,
    options: Parameters<ObjectStore['putFile']>[2] = {},
  ): Promise<{ readonly etag: string }> {
    const { signal, progress, contentType } = options
    return this.#guarded('write', key, signal, async () => {
      const { size } = await stat(path)
      let etag: string
      if (size < multipartThresholdBytes) {
        const result = await this.put(key, await readFile(path), {
          ...(signal === undefined ? {} : { signal }),
          ...(contentType === undefined ? {} : { contentType }),
        })
        etag = result.outcome === 'stored' ? result.etag : ''
        progress?.(size)
      } else {
        etag = await uploadInParts(path, size, this.#multipart(key, contentType, signal), { signal, progress })
      }
      const stored = await this.head(key)
      if (stored !== undefined && (etag === '' || stored.etag === etag) && stored.sizeBytes !== size) {
        throw new Error(`${stored.sizeBytes} of ${size} bytes arrived`)
      }
      // Ceph 16 does not say the ETag when it completes an upload.
      return { etag: etag === '' ? (stored?.etag ?? '') : etag }
    })
  }

  #multipart(key: string, contentType: string | undefined, signal: AbortSignal | undefined): MultipartCalls {
    const at = this.#at(key)
    const client = this.#client
    return {
      create: async () => {
        const type = contentType === undefined ? {} : { ContentType: contentType }
        const made = await client.send(new CreateMultipartUploadCommand({ ...at, ...type }), abortable(signal))
        return made.UploadId ?? ''
      },
      putPart: async (UploadId, PartNumber, Body) => {
        const put = await client.send(new UploadPartCommand({ ...at, UploadId, PartNumber, Body }), abortable(signal))
        return put.ETag ?? ''
      },
      complete: async (UploadId, etags) => {
        const Parts = etags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }))
        const command = new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts } })
        return unquoted((await client.send(command, abortable(signal))).ETag)
      },
      // Not by the caller's signal, which may be why we are here.
      abort: async (UploadId) => void (await client.send(new AbortMultipartUploadCommand({ ...at, UploadId }))),
    }
  }

  async get(key: string, options: Parameters<ObjectStore['get']>[1] = {}): ReturnType<ObjectStore['get']> {
    const { range, signal } = options
    return this.#guarded('read', key, signal, async () => {
      const input = { ...this.#at(key), ...(range === undefined ? {} : { Range: rangeHeader(range) }) }
      const found = await this.#orMissing(() => this.#client.send(new GetObjectCommand(input), abortable(signal)))
      if (found === undefined) return undefined
      const length = found.ContentLength ?? 0
      const total = Number(/\/(\d+)$/.exec(found.ContentRange ?? '')?.[1] ?? length)
      const toError = (error: unknown) => storeError({ url: this.url, verb: 'read', key, signal }, error)
      const source = found.Body as Readable
      const abort = () => source.destroy(new Error('aborted'))
      signal?.addEventListener('abort', abort, { once: true })
      // A command that reads much has one signal for all of it.
      source.once('close', () => signal?.removeEventListener('abort', abort))
      return { ...infoOf(key, total, found.ETag, found.LastModified), body: checkedBody(source, length, toError) }
    })
  }

  async head(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<ObjectInfo | undefined> {
    return this.#guarded('read', key, options.signal, async () => {
      const command = new HeadObjectCommand(this.#at(key))
      const found = await this.#orMissing(() => this.#client.send(command, abortable(options.signal)))
      return found === undefined ? undefined : infoOf(key, found.ContentLength ?? 0, found.ETag, found.LastModified)
    })
  }

  /** A HEAD has no body to tell a missing object from a missing bucket, so the bucket is asked for once. */
  async #orMissing<T>(send: () => Promise<T>): Promise<T | undefined> {
    try {
      return await send()
    } catch (error) {
      const failure = failureOf(error)
      if (!isMissing(failure)) throw error
      if (failure.code !== 'NoSuchKey' && !this.#bucketSeen) await this.#checkBucket()
      return undefined
    }
  }

  async #checkBucket(): Promise<void> {
    try {
      await this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket }))
    } catch (error) {
      if (failureOf(error).status === 404) throw Object.assign(new Error('no such bucket'), { code: 'NoSuchBucket' })
    }
    this.#bucketSeen = true
  }

  async list(options: Parameters<ObjectStore['list']>[0] = {}): ReturnType<ObjectStore['list']> {
    const { prefix = '', after, limit, leaveOut, signal } = options
    return this.#guarded('list', undefined, signal, async () => {
      const command = new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: `${this.#prefix}${prefix}`,
        MaxKeys: limit ?? 1000,
        ...(after === undefined ? {} : { ContinuationToken: after }),
      })
      const page = await this.#client.send(command, abortable(signal))
      const objects = (page.Contents ?? []).map((entry) =>
        infoOf((entry.Key ?? '').slice(this.#prefix.length), entry.Size ?? 0, entry.ETag, entry.LastModified),
      )
      const next = page.IsTruncated === true ? page.NextContinuationToken : undefined
      return { objects: kept(objects, leaveOut), ...(next === undefined ? {} : { next }) }
    })
  }

  async delete(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#guarded('delete', key, options.signal, () =>
      this.#orMissing(() => this.#client.send(new DeleteObjectCommand(this.#at(key)), abortable(options.signal))),
    )
  }

  close(): void {
    this.#client.destroy()
    this.#once.destroy()
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${key}` }
  }

  #guarded<T>(
    verb: string,
    key: string | undefined,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const action = { url: this.url, verb, signal, ...(key === undefined ? {} : { key }) }
    return guarded(action, work)
  }
}

function makeClient(options: S3StoreOptions, maxAttempts: number): Client {
  const { credentials, endpoint } = options
  return new S3Client({
    region: options.region,
    maxAttempts,
    requestHandler: { connectionTimeout: 10_000, socketTimeout: 60_000 },
    ...(credentials === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: credentials.accessKey,
            secretAccessKey: credentials.secretKey,
            ...(credentials.sessionToken === undefined ? {} : { sessionToken: credentials.sessionToken }),
          },
        }),
    // Servers other than AWS know path style and often not the checksums that the SDK adds by default.
    ...(endpoint === undefined
      ? {}
      : {
          endpoint,
          forcePathStyle: true,
          requestChecksumCalculation: 'WHEN_REQUIRED',
          responseChecksumValidation: 'WHEN_REQUIRED',
        }),
  })
}

function abortable(signal: AbortSignal | undefined) {
  return signal === undefined ? {} : { abortSignal: signal }
}

function infoOf(key: string, sizeBytes: number, etag: string | undefined, modified: Date | undefined): ObjectInfo {
  return { key, sizeBytes, etag: unquoted(etag), modifiedMs: modified?.getTime() ?? 0 }
}
