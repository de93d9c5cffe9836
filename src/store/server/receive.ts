import { createHash } from 'node:crypto'
import { writeSynced } from '../write-synced.ts'
import type { Authenticated } from './auth.ts'
import { decodeAwsChunked } from './aws-chunked.ts'
import { BodyChecksums } from './checksums.ts'
import type { S3Request } from './request.ts'
import { S3Problem } from './s3-problem.ts'

export const maxPutBytes = 5 * 1024 ** 3

export interface Received {
  readonly sizeBytes: number
  /** Hex. */
  readonly md5: string
}

/**
 * Streams a request's body into a new file, synced, and verifies what the client said about it: length, signed digest,
 * chunk signatures, Content-MD5, checksums. Throws S3Problem where anything differs; the caller removes the file.
 */
export async function receiveToFile(request: S3Request, auth: Authenticated, path: string): Promise<Received> {
  const verified = new VerifiedBody(request, auth)
  await writeSynced(path, verified.read())
  return verified.result()
}

/** The same for a small body that is wanted in memory. */
export async function receiveSmall(request: S3Request, auth: Authenticated, maxBytes: number): Promise<string> {
  const verified = new VerifiedBody(request, auth)
  if (verified.expectedBytes > maxBytes) throw new S3Problem('EntityTooLarge')
  const chunks: Uint8Array[] = []
  for await (const chunk of verified.read()) chunks.push(chunk)
  verified.result()
  return Buffer.concat(chunks).toString('utf8')
}

class VerifiedBody {
  readonly expectedBytes: number
  readonly #request: S3Request
  readonly #auth: Authenticated
  readonly #md5 = createHash('md5')
  readonly #sha256 = createHash('sha256')
  readonly #checksums: BodyChecksums
  /** Headers, and trailing headers as they come. */
  readonly #sent: Map<string, string>
  #received = 0

  constructor(request: S3Request, auth: Authenticated) {
    this.#request = request
    this.#auth = auth
    this.#sent = new Map(request.headers)
    this.expectedBytes = announcedLength(request, auth)
    this.#checksums = new BodyChecksums(announcedChecksums(request))
  }

  async *read(): AsyncGenerator<Uint8Array> {
    const { payload, signing } = this.#auth
    // Destroying the request would take the connection with it, and with that our answer.
    const body: AsyncIterable<Uint8Array> = this.#request.raw.iterator({ destroyOnReturn: false })
    const source: AsyncIterable<Uint8Array> =
      payload.kind === 'chunked'
        ? decodeAwsChunked(body, { trailer: payload.trailer, ...(payload.signed ? { signing } : {}) }, this.#sent)
        : body
    for await (const chunk of source) {
      this.#received += chunk.length
      if (this.#received > this.expectedBytes) throw new S3Problem('IncompleteBody')
      this.#md5.update(chunk)
      if (payload.kind === 'sha256') this.#sha256.update(chunk)
      this.#checksums.update(chunk)
      yield chunk
    }
  }

  result(): Received {
    const { payload } = this.#auth
    if (this.#received !== this.expectedBytes) throw new S3Problem('IncompleteBody')
    if (payload.kind === 'sha256' && this.#sha256.digest('hex') !== payload.sha256) {
      throw new S3Problem('XAmzContentSHA256Mismatch')
    }
    const md5 = this.#md5.digest()
    const contentMd5 = this.#sent.get('content-md5')
    if (contentMd5 !== undefined && contentMd5 !== md5.toString('base64')) throw new S3Problem('BadDigest')
    this.#checksums.verify(this.#sent)
    return { sizeBytes: this.#received, md5: md5.toString('hex') }
  }
}

function announcedLength(request: S3Request, auth: Authenticated): number {
  const name = auth.payload.kind === 'chunked' ? 'x-amz-decoded-content-length' : 'content-length'
  const text = request.headers.get(name)
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw new S3Problem('MissingContentLength', `${name} is needed.`)
  const length = Number(text)
  if (length > maxPutBytes) throw new S3Problem('EntityTooLarge')
  return length
}

/** Names of `x-amz-checksum-…` in the headers and in the announced trailer. */
function announcedChecksums(request: S3Request): Set<string> {
  const trailing = (request.headers.get('x-amz-trailer') ?? '').split(',').map((name) => name.trim().toLowerCase())
  const prefix = 'x-amz-checksum-'
  const names = [...request.headers.keys(), ...trailing].filter((name) => name.startsWith(prefix))
  const settings = new Set(['mode', 'algorithm', 'type'])
  return new Set(names.map((name) => name.slice(prefix.length)).filter((name) => !settings.has(name)))
}
