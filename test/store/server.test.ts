import { execFile, spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { presignUrl } from '../../src/store/presign.ts'
import { loadServeCredentials } from '../../src/store/server/credentials.ts'
import { serveStore, type ServedStore } from '../../src/store/server/serve.ts'
import { amzTimestamp, chunkStringToSign, scopeText, sign, signingKey, stringToSign } from '../../src/store/sigv4.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { type S3Account, signedFetch } from '../support/s3.ts'

const execute = promisify(execFile)
const serveScript = join(import.meta.dirname, '../support/serve.ts')

let dir: TempDir
let served: ServedStore
let account: S3Account
const reader = { accessKey: 'READER', secretKey: 'reader-secret' }
const logged: string[] = []
beforeAll(async () => {
  dir = await tempDir('server')
  const credentials = { accessKey: 'TESTKEY', secretKey: 'test/secret+key' }
  served = await serveStore({
    directory: dir.path,
    bucket: 'parbake',
    port: 0,
    credentials,
    readOnlyCredentials: reader,
    log: (line) => logged.push(line),
  })
  account = { endpoint: new URL(served.url).origin, ...credentials }
})
afterAll(async () => {
  await served.close()
  await dir[Symbol.asyncDispose]()
})

async function codeOf(answer: Response): Promise<string> {
  return `${answer.status} ${/<Code>(.*)<\/Code>/.exec(await answer.text())?.[1] ?? ''}`.trim()
}
const put = (key: string, body: string, headers: Record<string, string> = {}) =>
  signedFetch(account, { method: 'PUT', path: `/parbake/${key}`, body, headers })
const get = (key: string, headers: Record<string, string> = {}) =>
  signedFetch(account, { method: 'GET', path: `/parbake/${key}`, headers })

describe('what the embedded endpoint refuses', () => {
  it('anonymous requests', async () => {
    await put('secret', 'x')
    for (const [method, path] of [
      ['GET', '/parbake/secret'],
      ['GET', '/'],
      ['GET', '/parbake'],
      ['PUT', '/parbake/new'],
      ['DELETE', '/parbake/secret'],
    ] as const) {
      expect(await codeOf(await fetch(account.endpoint + path, { method }))).toBe('403 AccessDenied')
    }
    expect(await (await get('secret')).text()).toBe('x')
  })

  it('wrong keys, tampered and old signatures', async () => {
    const request = { method: 'GET', path: '/parbake/secret' }
    expect(await codeOf(await signedFetch({ ...account, accessKey: 'NOBODY' }, request))).toBe('403 InvalidAccessKeyId')
    expect(await codeOf(await signedFetch({ ...account, secretKey: 'x' }, request))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await signedFetch(account, { ...request, signature: '0'.repeat(64) }))).toBe(
      '403 SignatureDoesNotMatch',
    )
    expect(await codeOf(await signedFetch(account, { ...request, signature: '' }))).toBe('403 SignatureDoesNotMatch')
    for (const skewMs of [-16 * 60_000, 16 * 60_000]) {
      expect(await codeOf(await signedFetch(account, { ...request, nowMs: Date.now() + skewMs }))).toBe(
        '403 RequestTimeTooSkewed',
      )
    }
  })

  it('a signature used for another request', async () => {
    const signed = presignUrl({ ...presigning(), method: 'GET', url: `${served.url}/secret`, nowMs: Date.now() })
    expect((await fetch(signed)).status).toBe(200)
    expect(await codeOf(await fetch(signed, { method: 'DELETE' }))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await fetch(signed.replace('/secret?', '/other?')))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await fetch(signed.replace('Expires=60', 'Expires=61')))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await fetch(`${signed}&uploadId=1`))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await fetch(signed, { headers: { 'x-amz-acl': 'public' } }))).toBe('403 AccessDenied')
  })

  it('presigned URLs that are over or not yet due', async () => {
    const at = (offsetMs: number) =>
      presignUrl({ ...presigning(), method: 'GET', url: `${served.url}/secret`, nowMs: Date.now() + offsetMs })
    expect(await codeOf(await fetch(at(-61_000)))).toBe('403 AccessDenied')
    expect(await codeOf(await fetch(at(16 * 60_000)))).toBe('403 AccessDenied')
    expect((await fetch(at(-50_000))).status).toBe(200)
  })

  it('a body that is not the signed one, and keeps what was there', async () => {
    await put('whole', 'before')
    const hash = sha256('what was signed')
    const answer = await signedFetch(account, {
      method: 'PUT',
      path: '/parbake/whole',
      body: 'something else',
      payloadHash: hash,
    })
    expect(await codeOf(answer)).toBe('400 XAmzContentSHA256Mismatch')
    expect(await codeOf(await put('whole', 'x', { 'content-md5': Buffer.alloc(16).toString('base64') }))).toBe(
      '400 BadDigest',
    )
    expect(await codeOf(await put('whole', 'x', { 'x-amz-checksum-crc32': 'AAAAAA==' }))).toBe('400 BadDigest')
    expect(await (await get('whole')).text()).toBe('before')
    expect(await readdir(join(dir.path, '.parbake', 'staging'))).toEqual([])
  })

  it('what it cannot do, rather than something else', async () => {
    const ask = async (
      method: string,
      path: string,
      query: Record<string, string>,
      headers: Record<string, string> = {},
    ) => codeOf(await signedFetch(account, { method, path, query, headers }))
    expect(await ask('PUT', '/parbake/secret', { acl: '' })).toBe('501 NotImplemented')
    expect(await ask('PUT', '/parbake/copy', {}, { 'x-amz-copy-source': '/parbake/secret' })).toBe('501 NotImplemented')
    expect(await ask('PUT', '/parbake/secret', {}, { 'if-none-match': '"abc"' })).toBe('501 NotImplemented')
    expect(await ask('DELETE', '/parbake', {})).toBe('405 MethodNotAllowed')
    expect(await ask('GET', '/other/secret', {})).toBe('404 NoSuchBucket')
    expect(await ask('POST', '/parbake/secret', { uploadId: '../../x' })).toBe('404 NoSuchUpload')
    expect(await (await get('secret')).text()).toBe('x')
  })

  it('keys that leave the folder or enter its own', async () => {
    const request = async (method: string, path: string) => codeOf(await rawSigned(method, path))
    for (const path of [
      '/parbake/../escape',
      '/parbake/a/../../escape',
      '/parbake/%2e%2e/escape',
      '/parbake/.parbake/staging/x',
    ]) {
      expect(await request('PUT', path)).toBe('400 InvalidArgument')
      expect(await request('GET', path)).toBe('404 NoSuchKey')
    }
    await mkdir(join(dir.path, 'links'))
    await symlink('/etc/hostname', join(dir.path, 'links', 'out'))
    expect((await get('links/out')).status).toBe(404)
  })

  it('writing by the account that may only read', async () => {
    const as = { ...account, ...reader }
    expect((await signedFetch(as, { method: 'GET', path: '/parbake/secret' })).status).toBe(200)
    expect(await codeOf(await signedFetch(as, { method: 'PUT', path: '/parbake/secret', body: 'y' }))).toBe(
      '403 AccessDenied',
    )
    expect(await codeOf(await signedFetch(as, { method: 'DELETE', path: '/parbake/secret' }))).toBe('403 AccessDenied')
  })

  it('addresses other than loopback', async () => {
    const credentials = { accessKey: 'a', secretKey: 'b' }
    for (const host of ['0.0.0.0', '::', '10.0.0.1']) {
      await expect(serveStore({ directory: dir.path, bucket: 'b', host, port: 0, credentials })).rejects.toMatchObject({
        exitCode: 2,
      })
    }
    const { port } = served
    await expect(serveStore({ directory: dir.path, bucket: 'b', port, credentials })).rejects.toMatchObject({
      code: 'store-port',
    })
  })

  it('and never logs a signature', () => {
    expect(logged).toContain('GET /parbake/secret 403')
    expect(logged.join('\n')).not.toMatch(/Signature|X-Amz/)
  })
})

describe('what the embedded endpoint does', () => {
  it('answers 304 to a reader that has this version', async () => {
    const etag = (await put('channels/web/stable', 'serial 1')).headers.get('etag') ?? ''
    const same = await get('channels/web/stable', { 'if-none-match': etag })
    expect([same.status, await same.text(), same.headers.get('etag')]).toEqual([304, '', etag])
    await put('channels/web/stable', 'serial 2')
    expect((await get('channels/web/stable', { 'if-none-match': etag })).status).toBe(200)
    expect(await codeOf(await get('channels/web/stable', { 'if-match': etag }))).toBe('412 PreconditionFailed')
    const modified = (await get('channels/web/stable')).headers.get('last-modified') ?? ''
    expect((await get('channels/web/stable', { 'if-modified-since': modified })).status).toBe(304)
  })

  it('groups by delimiter, in pages', async () => {
    for (const key of ['l/a/1', 'l/a/2', 'l/b', 'l/c/1', 'l/c/d/1', 'l/e']) await put(key, '')
    const list = async (query: Record<string, string>) => {
      const answer = await signedFetch(account, {
        method: 'GET',
        path: '/parbake',
        query: { 'list-type': '2', ...query },
      })
      const xml = await answer.text()
      const found = [...xml.matchAll(/<(?:Key|Contents><Key|CommonPrefixes><Prefix)>([^<]*)</g)].map(
        (match) => match[1],
      )
      return { found, next: /<NextContinuationToken>(.*)</.exec(xml)?.[1]?.split('<')[0] }
    }
    expect(new Set((await list({ prefix: 'l/', delimiter: '/' })).found)).toEqual(
      new Set(['l/a/', 'l/b', 'l/c/', 'l/e']),
    )
    const seen: (string | undefined)[] = []
    let token: string | undefined
    do {
      const page = await list({
        prefix: 'l/',
        delimiter: '/',
        'max-keys': '1',
        ...(token === undefined ? {} : { 'continuation-token': token }),
      })
      expect(page.found).toHaveLength(1)
      seen.push(...page.found)
      token = page.next
    } while (token !== undefined)
    expect(seen).toEqual(['l/a/', 'l/b', 'l/c/', 'l/e'])
    expect((await list({ prefix: 'l/', 'start-after': 'l/c/1' })).found).toEqual(['l/c/d/1', 'l/e'])
    expect((await list({ 'max-keys': '0' })).found).toEqual([])
  })

  it('deletes many at once', async () => {
    await put('many/1', '')
    await put('many/2', '')
    const body = '<Delete><Object><Key>many/1</Key></Object><Object><Key>many/none</Key></Object></Delete>'
    const answer = await signedFetch(account, { method: 'POST', path: '/parbake', query: { delete: '' }, body })
    expect(answer.status).toBe(200)
    expect([(await get('many/1')).status, (await get('many/2')).status]).toEqual([404, 200])
  })

  it('takes presigned puts', async () => {
    const url = presignUrl({ ...presigning(), method: 'PUT', url: `${served.url}/reports/r.json`, nowMs: Date.now() })
    expect((await fetch(url, { method: 'PUT', body: '{}' })).status).toBe(200)
    expect(await (await get('reports/r.json')).text()).toBe('{}')
  })

  it('works with curl --aws-sigv4', async () => {
    const file = join(dir.path, '..', `curl-${randomBytes(4).toString('hex')}`)
    await writeFile(file, 'from curl')
    const curl = (...args: string[]) =>
      execute('curl', [
        '-sS',
        '--aws-sigv4',
        'aws:amz:us-east-1:s3',
        '--user',
        `${account.accessKey}:${account.secretKey}`,
        ...args,
      ])
    const unsigned = ['-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD']
    await curl('--fail', ...unsigned, '-T', file, `${served.url}/curl/file.txt`)
    const hash = ['-H', `x-amz-content-sha256: ${sha256('')}`]
    const { stdout } = await curl('--fail', ...hash, `${served.url}/curl/file.txt`)
    expect(stdout).toBe('from curl')
    const wrong = await execute('curl', [
      '-sS',
      '--aws-sigv4',
      'aws:amz:us-east-1:s3',
      '--user',
      'TESTKEY:wrong',
      ...hash,
      `${served.url}/curl/file.txt`,
    ])
    expect(wrong.stdout).toContain('SignatureDoesNotMatch')
  })

  it('takes signed chunks, and refuses them tampered', async () => {
    const body = randomBytes(100_000)
    expect((await chunkedPut('chunked', body)).status).toBe(200)
    expect(Buffer.from(await (await get('chunked')).arrayBuffer()).equals(body)).toBe(true)
    const tampered = await chunkedPut('chunked', body, (encoded) => {
      encoded[70_000] = (encoded[70_000] ?? 0) ^ 1
      return encoded
    })
    expect(await codeOf(tampered)).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await chunkedPut('chunked', body, (encoded) => encoded.subarray(0, 80_000)))).toBe(
      '400 IncompleteBody',
    )
    expect(Buffer.from(await (await get('chunked')).arrayBuffer()).equals(body)).toBe(true)
  })

  it('takes unsigned chunks with a checksum in the trailer, and refuses a wrong one', async () => {
    const send = (crc: string) =>
      signedFetch(account, {
        method: 'PUT',
        path: '/parbake/trailer',
        payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        headers: {
          'content-encoding': 'aws-chunked',
          'x-amz-decoded-content-length': '9',
          'x-amz-trailer': 'x-amz-checksum-crc32',
        },
        body: `4\r\n1234\r\n5\r\n56789\r\n0\r\nx-amz-checksum-crc32:${crc}\r\n\r\n`,
      })
    expect((await send('y/Q5Jg==')).status).toBe(200)
    expect(await (await get('trailer')).text()).toBe('123456789')
    expect(await codeOf(await send('AAAAAA=='))).toBe('400 BadDigest')
  })

  it('stores nothing of a body that breaks off', async () => {
    const url = presignUrl({ ...presigning(), method: 'PUT', url: `${served.url}/broken`, nowMs: Date.now() })
    const { pathname, search, host } = new URL(url)
    await new Promise<void>((done) => {
      const socket = connect(served.port, '127.0.0.1', () => {
        socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\nonly this`)
        setTimeout(() => socket.destroy(), 100)
      })
      socket.on('close', () => done())
    })
    expect((await get('broken')).status).toBe(404)
  })
})

describe('multipart uploads', () => {
  const start = async (key: string) => {
    const answer = await signedFetch(account, { method: 'POST', path: `/parbake/${key}`, query: { uploads: '' } })
    return /<UploadId>(.*)<\/UploadId>/.exec(await answer.text())?.[1] ?? ''
  }
  const part = async (key: string, uploadId: string, partNumber: number, body: Buffer) => {
    const query = { partNumber: String(partNumber), uploadId }
    return (
      (await signedFetch(account, { method: 'PUT', path: `/parbake/${key}`, query, body })).headers.get('etag') ?? ''
    )
  }
  const complete = (key: string, uploadId: string, etags: readonly (readonly [number, string])[], headers = {}) => {
    const parts = etags.map(([number, etag]) => `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag></Part>`)
    const body = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
    return signedFetch(account, { method: 'POST', path: `/parbake/${key}`, query: { uploadId }, body, headers })
  }
  const big = Buffer.alloc(5 * 1024 * 1024, 'a')

  it('are invisible until complete, and checked', async () => {
    const uploadId = await start('mp/x')
    const first = await part('mp/x', uploadId, 1, Buffer.alloc(10, 'z'))
    const replaced = await part('mp/x', uploadId, 1, big)
    const last = await part('mp/x', uploadId, 2, Buffer.from('end'))
    expect((await get('mp/x')).status).toBe(404)
    expect(
      await codeOf(
        await complete('mp/x', uploadId, [
          [1, first],
          [2, last],
        ]),
      ),
    ).toBe('400 InvalidPart')
    expect(
      await codeOf(
        await complete('mp/x', uploadId, [
          [2, last],
          [1, replaced],
        ]),
      ),
    ).toBe('400 InvalidPartOrder')
    expect(await codeOf(await complete('mp/other', uploadId, [[1, replaced]]))).toBe('404 NoSuchUpload')
    expect(
      (
        await complete(
          'mp/x',
          uploadId,
          [
            [1, replaced],
            [2, last],
          ],
          { 'if-none-match': '*' },
        )
      ).status,
    ).toBe(200)
    expect((await get('mp/x')).headers.get('content-length')).toBe(String(big.length + 3))
    expect(await codeOf(await complete('mp/x', uploadId, [[1, replaced]]))).toBe('404 NoSuchUpload')
  })

  it('refuse small parts before the last, and respect conditions', async () => {
    const uploadId = await start('mp/x')
    const small = await part('mp/x', uploadId, 1, Buffer.from('small'))
    const last = await part('mp/x', uploadId, 2, Buffer.from('end'))
    expect(
      await codeOf(
        await complete('mp/x', uploadId, [
          [1, small],
          [2, last],
        ]),
      ),
    ).toBe('400 EntityTooSmall')
    expect(await codeOf(await complete('mp/x', uploadId, [[2, last]], { 'if-none-match': '*' }))).toBe(
      '412 PreconditionFailed',
    )
    expect((await signedFetch(account, { method: 'DELETE', path: '/parbake/mp/x', query: { uploadId } })).status).toBe(
      204,
    )
    expect(await readdir(join(dir.path, '.parbake', 'uploads'))).toEqual([])
  })
})

describe('kill -9', () => {
  it('loses no acknowledged put and tears none', async () => {
    await using folder = await tempDir('kill')
    const keys = { accessKey: 'KILLKEY', secretKey: 'kill-secret' }
    const content = (version: number) =>
      Buffer.alloc(200_000 + version, createHmac('md5', 'v').update(String(version)).digest())
    // Each writer has a key of its own, so that its versions arrive in order.
    const acknowledged = [0, 0, 0]
    for (let round = 0; round < 4; round++) {
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', serveScript, folder.path, keys.accessKey, keys.secretKey],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      const exited = new Promise<void>((done) => child.once('exit', () => done()))
      const endpoint = await new Promise<string>((resolve, reject) => {
        child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim()))
        child.once('exit', () => reject(new Error('the server did not start')))
      })
      const server = { endpoint, ...keys }
      let puts = 0
      const check = async (writer: number) => {
        const answer = await signedFetch(server, { method: 'GET', path: `/parbake/k${writer}` })
        const found = Buffer.from(await answer.arrayBuffer())
        const version = found.length - 200_000
        expect(found.equals(content(version))).toBe(true)
        expect(version).toBeGreaterThanOrEqual(acknowledged[writer] ?? 0)
        // The put under way when the server died may have taken effect.
        acknowledged[writer] = version
      }
      // Several at a time, so that some put is always under way when the server dies.
      const write = async (writer: number) => {
        if (round > 0) await check(writer)
        while (!child.killed) {
          const version = (acknowledged[writer] ?? 0) + 1
          const request = { method: 'PUT', path: `/parbake/k${writer}`, body: content(version) }
          const answer = await signedFetch(server, request).catch(() => undefined)
          if (answer?.status === 200) acknowledged[writer] = version
          if (++puts === 60) child.kill('SIGKILL')
        }
      }
      await Promise.all([write(0), write(1), write(2)])
      await exited
    }
    expect(Math.min(...acknowledged)).toBeGreaterThan(20)
  }, 120_000)
})

describe('loadServeCredentials', () => {
  it('makes keys once, private, even for two at a time', async () => {
    await using folder = await tempDir('keys')
    const state = join(folder.path, 'state')
    const [first, second] = await Promise.all([loadServeCredentials(state), loadServeCredentials(state)])
    expect(first).toEqual(second)
    expect(await loadServeCredentials(state)).toEqual(first)
    const file = join(state, 'embedded-store.json')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(state)).toEqual(['embedded-store.json'])
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(first)
    await writeFile(file, '{}')
    await expect(loadServeCredentials(state)).rejects.toMatchObject({ name: 'UserError' })
  })
})

function presigning() {
  return { accessKey: account.accessKey, secretKey: account.secretKey, region: 'us-east-1', expiresSeconds: 60 }
}

/** One request whose path no client library normalises. */
async function rawSigned(method: string, path: string): Promise<Response> {
  const timestamp = amzTimestamp(Date.now())
  const scope = { date: timestamp.slice(0, 8), region: 'us-east-1', service: 's3' }
  const payloadHash = sha256('')
  const host = `127.0.0.1:${served.port}`
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
    const socket = connect(served.port, '127.0.0.1', () =>
      socket.write(`${lines.join('\r\n')}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`),
    )
    socket.on('data', (data) => (received += data.toString()))
    socket.on('end', () => resolve(received))
    socket.on('error', reject)
  })
  return new Response(text.split('\r\n\r\n').slice(1).join(''), { status: Number(text.split(' ')[1]) })
}

async function chunkedPut(key: string, body: Buffer, change = (encoded: Buffer) => encoded): Promise<Response> {
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
