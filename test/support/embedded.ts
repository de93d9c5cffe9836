import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { serveStore } from '../../src/store/server/serve.ts'
import { amzTimestamp, chunkStringToSign, scopeText, sign, signingKey, stringToSign } from '../../src/store/sigv4.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { type S3Account, signedFetch } from './s3.ts'

/** The embedded endpoint in this process, with its bucket `parbake` in a folder of its own. */
export interface Embedded extends AsyncDisposable {
  readonly account: S3Account
  /** May read only. */
  readonly reader: { readonly accessKey: string; readonly secretKey: string }
  readonly directory: string
  readonly port: number
  /** `http://127.0.0.1:port/parbake` */
  readonly url: string
  readonly logged: readonly string[]
  put(key: string, body: string | Uint8Array, headers?: Record<string, string>): Promise<Response>
  get(key: string, headers?: Record<string, string>): Promise<Response>
}

export async function startEmbedded(): Promise<Embedded> {
  const dir = await tempDir('embedded')
  const credentials = { accessKey: 'TESTKEY', secretKey: 'test/secret+key' }
  const reader = { accessKey: 'READER', secretKey: 'reader-secret' }
  const logged: string[] = []
  const served = await serveStore({
    directory: dir.path,
    bucket: 'parbake',
    port: 0,
    credentials,
    readOnlyCredentials: reader,
    log: (line) => logged.push(line),
  })
  const account = { endpoint: new URL(served.url).origin, ...credentials }
  return {
    account,
    reader,
    directory: dir.path,
    port: served.port,
    url: served.url,
    logged,
    put: (key, body, headers = {}) => signedFetch(account, { method: 'PUT', path: `/parbake/${key}`, body, headers }),
    get: (key, headers = {}) => signedFetch(account, { method: 'GET', path: `/parbake/${key}`, headers }),
    [Symbol.asyncDispose]: async () => {
      await served.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

/** Status and S3 error code of an answer, e.g. `403 AccessDenied`. */
export async function codeOf(answer: Response): Promise<string> {
  return `${answer.status} ${/<Code>(.*)<\/Code>/.exec(await answer.text())?.[1] ?? ''}`.trim()
}

/** What presignUrl needs besides method, URL and time; lasts 60 s. */
export function presigning(account: S3Account) {
  return { accessKey: account.accessKey, secretKey: account.secretKey, region: 'us-east-1', expiresSeconds: 60 }
}

/** One request whose path no client library normalises. */
export async function rawSigned(account: S3Account, method: string, path: string): Promise<Response> {
  const timestamp = amzTimestamp(Date.now())
  const scope = { date: timestamp.slice(0, 8), region: 'us-east-1', service: 's3' }
  const payloadHash = createHash('sha256').digest('hex')
  const host = new URL(account.endpoint).host
  const headers = { host, 'x-amz-content-sha256': payloadHash, 'x-amz-date': timestamp }
  const parts = { method, path: decodeURIComponent(path), query: [], headers: Object.entries(headers), payloadHash }
  const signature = sign(signingKey(account.secretKey, scope), stringToSign(parts, timestamp, scope))
  const authorization = `AWS4-HMAC-SHA256 Credential=${account.accessKey}/${scopeText(scope)}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=${signature}`
  const lines = [
    `${method} ${path} HTTP/1.1`,
    ...Object.entries({ ...headers, authorization }).map(([name, value]) => `${name}: ${value}`),
  ]
  const text = await new Promise<string>((resolve, reject) => {
    let received = ''
    const socket = connect(Number(new URL(account.endpoint).port), '127.0.0.1', () =>
      socket.write(`${lines.join('\r\n')}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
    )
    socket.on('data', (data) => (received += data.toString()))
    socket.on('end', () => resolve(received))
    socket.on('error', reject)
  })
  return new Response(text.split('\r\n\r\n').slice(1).join(''), { status: Number(text.split(' ')[1]) })
}

/** A put whose body is in signed chunks; `change` tampers with what is sent. */
export async function chunkedPut(
  account: S3Account,
  key: string,
  body: Buffer,
  change = (encoded: Buffer) => encoded,
): Promise<Response> {
  const timestamp = amzTimestamp(Date.now())
  const scope = { date: timestamp.slice(0, 8), region: 'us-east-1', service: 's3' }
  const payloadHash = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
  const headers = {
    host: new URL(account.endpoint).host,
    'x-amz-content-sha256': payloadHash,
    'x-amz-date': timestamp,
    'x-amz-decoded-content-length': String(body.length),
  }
  const secret = signingKey(account.secretKey, scope)
  const path = `/parbake/${key}`
  let previous = sign(
    secret,
    stringToSign({ method: 'PUT', path, query: [], headers: Object.entries(headers), payloadHash }, timestamp, scope),
  )
  const authorization = `AWS4-HMAC-SHA256 Credential=${account.accessKey}/${scopeText(scope)}, SignedHeaders=${Object.keys(headers).join(';')}, Signature=${previous}`
  const pieces: Buffer[] = []
  for (const chunk of [body.subarray(0, 65_536), body.subarray(65_536), Buffer.alloc(0)]) {
    previous = sign(secret, chunkStringToSign(timestamp, scope, previous, sha256(chunk)))
    pieces.push(Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`), chunk, Buffer.from('\r\n'))
  }
  return fetch(account.endpoint + path, {
    method: 'PUT',
    headers: { ...headers, authorization },
    body: change(Buffer.concat(pieces)),
  })
}
