import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { presignUrl } from '../../src/store/presign.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { chunkedPut, codeOf, type Embedded, presigning, startEmbedded } from '../support/embedded.ts'
import { type S3Account, signedFetch } from '../support/s3.ts'

const execute = promisify(execFile)

let embedded: Embedded
let account: S3Account
beforeAll(async () => {
  embedded = await startEmbedded()
  account = embedded.account
})
afterAll(() => embedded[Symbol.asyncDispose]())

describe('what the embedded endpoint does', () => {
  it('answers 304 to a reader that has this version', async () => {
    const etag = (await embedded.put('channels/web/stable', 'serial 1')).headers.get('etag') ?? ''
    const same = await embedded.get('channels/web/stable', { 'if-none-match': etag })
    expect([same.status, await same.text(), same.headers.get('etag')]).toEqual([304, '', etag])
    await embedded.put('channels/web/stable', 'serial 2')
    expect((await embedded.get('channels/web/stable', { 'if-none-match': etag })).status).toBe(200)
    expect(await codeOf(await embedded.get('channels/web/stable', { 'if-match': etag }))).toBe('412 PreconditionFailed')
    const modified = (await embedded.get('channels/web/stable')).headers.get('last-modified') ?? ''
    expect((await embedded.get('channels/web/stable', { 'if-modified-since': modified })).status).toBe(304)
  })

  it('groups by delimiter, in pages', async () => {
    for (const key of ['l/a/1', 'l/a/2', 'l/b', 'l/c/1', 'l/c/d/1', 'l/e']) await embedded.put(key, '')
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
    await embedded.put('many/1', '')
    await embedded.put('many/2', '')
    const body = '<Delete><Object><Key>many/1</Key></Object><Object><Key>many/none</Key></Object></Delete>'
    const answer = await signedFetch(account, { method: 'POST', path: '/parbake', query: { delete: '' }, body })
    expect(answer.status).toBe(200)
    expect([(await embedded.get('many/1')).status, (await embedded.get('many/2')).status]).toEqual([404, 200])
  })

  it('takes presigned puts', async () => {
    const url = presignUrl({
      ...presigning(account),
      method: 'PUT',
      url: `${embedded.url}/reports/r.json`,
      nowMs: Date.now(),
    })
    expect((await fetch(url, { method: 'PUT', body: '{}' })).status).toBe(200)
    expect(await (await embedded.get('reports/r.json')).text()).toBe('{}')
  })

  it('works with curl --aws-sigv4', async () => {
    await using folder = await tempDir('curl')
    const file = join(folder.path, 'file')
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
    await curl('--fail', ...unsigned, '-T', file, `${embedded.url}/curl/file.txt`)
    const hash = ['-H', `x-amz-content-sha256: ${sha256('')}`]
    const { stdout } = await curl('--fail', ...hash, `${embedded.url}/curl/file.txt`)
    expect(stdout).toBe('from curl')
    const wrong = await execute('curl', [
      '-sS',
      '--aws-sigv4',
      'aws:amz:us-east-1:s3',
      '--user',
      'TESTKEY:wrong',
      ...hash,
      `${embedded.url}/curl/file.txt`,
    ])
    expect(wrong.stdout).toContain('SignatureDoesNotMatch')
  })

  it('takes signed chunks, and refuses them tampered', async () => {
    const body = randomBytes(100_000)
    expect((await chunkedPut(account, 'chunked', body)).status).toBe(200)
    expect(Buffer.from(await (await embedded.get('chunked')).arrayBuffer()).equals(body)).toBe(true)
    const tampered = await chunkedPut(account, 'chunked', body, (encoded) => {
      encoded[70_000] = (encoded[70_000] ?? 0) ^ 1
      return encoded
    })
    expect(await codeOf(tampered)).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await chunkedPut(account, 'chunked', body, (encoded) => encoded.subarray(0, 80_000)))).toBe(
      '400 IncompleteBody',
    )
    expect(Buffer.from(await (await embedded.get('chunked')).arrayBuffer()).equals(body)).toBe(true)
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
    expect(await (await embedded.get('trailer')).text()).toBe('123456789')
    expect(await codeOf(await send('AAAAAA=='))).toBe('400 BadDigest')
  })

  it('stores nothing of a body that breaks off', async () => {
    const url = presignUrl({ ...presigning(account), method: 'PUT', url: `${embedded.url}/broken`, nowMs: Date.now() })
    const { pathname, search, host } = new URL(url)
    await new Promise<void>((done) => {
      const socket = connect(embedded.port, '127.0.0.1', () => {
        socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\nonly this`)
        setTimeout(() => socket.destroy(), 100)
      })
      socket.on('close', () => done())
    })
    expect((await embedded.get('broken')).status).toBe(404)
  })
})
