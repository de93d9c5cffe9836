import { createHash } from 'node:crypto'
import { chunkStringToSign, sign, trailerStringToSign } from '../sigv4.ts'
import { equalInConstantTime, type SigningContext } from './auth.ts'
import { S3Problem } from './s3-problem.ts'

export interface ChunkedOptions {
  /** Set where every chunk is signed, beginning with the request's own signature. */
  readonly signing?: SigningContext
  readonly trailer: boolean
}

const maxLineBytes = 8192

/**
 * Takes the `aws-chunked` encoding off a body and verifies its chunk signatures. Data is handed out before its chunk's
 * signature was seen, so nothing may be done with it until the end was reached without an error. `trailers` receives the
 * trailing headers.
 */
export async function* decodeAwsChunked(
  source: AsyncIterable<Uint8Array>,
  options: ChunkedOptions,
  trailers: Map<string, string>,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(source)
  try {
    yield* decodeChunks(reader, options, trailers)
  } finally {
    await reader.release()
  }
}

async function* decodeChunks(
  reader: ByteReader,
  options: ChunkedOptions,
  trailers: Map<string, string>,
): AsyncGenerator<Uint8Array> {
  const { signing } = options
  let previous = signing?.signature ?? ''
  for (;;) {
    const header = await reader.line()
    const match = /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(header)
    if (match === null) throw new S3Problem('InvalidRequest', 'A chunk of the body is malformed.')
    const size = Number.parseInt(match[1] ?? '', 16)
    const hash = createHash('sha256')
    for await (const data of reader.bytes(size)) {
      if (signing !== undefined) hash.update(data)
      yield data
    }
    if (signing !== undefined) {
      const expected = sign(
        signing.key,
        chunkStringToSign(signing.timestamp, signing.scope, previous, hash.digest('hex')),
      )
      if (!equalInConstantTime(expected, match[2] ?? '')) throw new S3Problem('SignatureDoesNotMatch')
      previous = expected
    }
    if (size === 0) break
    if ((await reader.line()) !== '') throw new S3Problem('InvalidRequest', 'A chunk of the body is malformed.')
  }
  if (options.trailer) await readTrailers(reader, signing, previous, trailers)
  else await reader.end()
}

async function readTrailers(
  reader: ByteReader,
  signing: SigningContext | undefined,
  previous: string,
  trailers: Map<string, string>,
): Promise<void> {
  let signed = ''
  let signature = ''
  for (let line = await reader.line(); line !== ''; line = await reader.line()) {
    const [name = '', ...value] = line.split(':')
    if (name.toLowerCase() === 'x-amz-trailer-signature') {
      signature = value.join(':').trim()
    } else {
      trailers.set(name.trim().toLowerCase(), value.join(':').trim())
      signed += `${name.trim().toLowerCase()}:${value.join(':').trim()}\n`
    }
  }
  if (signing === undefined) return
  const expected = sign(signing.key, trailerStringToSign(signing.timestamp, signing.scope, previous, signed))
  if (!equalInConstantTime(expected, signature)) throw new S3Problem('SignatureDoesNotMatch')
}

/** Lines and counted bytes out of a stream of chunks of any size. */
class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  #buffer: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  /** Up to the next LF, without line end. */
  async line(): Promise<string> {
    let end = this.#buffer.indexOf(0x0a)
    while (end < 0) {
      if (this.#buffer.length > maxLineBytes) throw new S3Problem('InvalidRequest', 'A chunk of the body is malformed.')
      const more = await this.#next()
      this.#buffer = Buffer.concat([this.#buffer, more])
      end = this.#buffer.indexOf(0x0a)
    }
    const line = this.#buffer.subarray(0, end).toString('latin1')
    this.#buffer = this.#buffer.subarray(end + 1)
    return line.endsWith('\r') ? line.slice(0, -1) : line
  }

  /** Reads the empty line that ends a body, where there is one, and whatever else the client sent. */
  async end(): Promise<void> {
    for (let rest = this.#buffer.length; rest <= 2; rest += this.#buffer.length) {
      const { done, value } = await this.#iterator.next()
      if (done === true) return
      this.#buffer = Buffer.from(value)
    }
    throw new S3Problem('InvalidRequest', 'There is more in the body than its chunks.')
  }

  async *bytes(count: number): AsyncGenerator<Buffer> {
    let left = count
    while (left > 0) {
      if (this.#buffer.length === 0) this.#buffer = await this.#next()
      const data = this.#buffer.subarray(0, left)
      this.#buffer = this.#buffer.subarray(data.length)
      left -= data.length
      yield data
    }
  }

  /** Lets go of the source before its end. */
  async release(): Promise<void> {
    await this.#iterator.return?.()
  }

  async #next(): Promise<Buffer> {
    const { done, value } = await this.#iterator.next()
    if (done === true) throw new S3Problem('IncompleteBody')
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
}
