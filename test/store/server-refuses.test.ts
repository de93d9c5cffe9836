import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { presignUrl } from '../../src/store/presign.ts'
import { serveStore } from '../../src/store/server/serve.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { codeOf, type Embedded, presigning, rawSigned, startEmbedded } from '../support/embedded.ts'
import { type S3Account, signedFetch } from '../support/s3.ts'

let embedded: Embedded
let account: S3Account
beforeAll(async () => {
  embedded = await startEmbedded()
  account = embedded.account
})
afterAll(() => embedded[Symbol.asyncDispose]())

describe('what the embedded endpoint refuses', () => {
  it('anonymous requests', async () => {
    await embedded.put('secret', 'x')
    for (const [method, path] of [
      ['GET', '/parbake/secret'],
      ['GET', '/'],
      ['GET', '/parbake'],
      ['PUT', '/parbake/new'],
      ['DELETE', '/parbake/secret'],
    ] as const) {
      expect(await codeOf(await fetch(account.endpoint + path, { method }))).toBe('403 AccessDenied')
    }
    expect(await (await embedded.get('secret')).text()).toBe('x')
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
    const signed = presignUrl({
      ...presigning(account),
      method: 'GET',
      url: `${embedded.url}/secret`,
      nowMs: Date.now(),
    })
    expect((await fetch(signed)).status).toBe(200)
    expect(await codeOf(await fetch(signed, { method: 'DELETE' }))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await fetch(signed.replace('/secret?', '/other?')))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await fetch(signed.replace('Expires=60', 'Expires=61')))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await fetch(`${signed}&uploadId=1`))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(await fetch(signed, { headers: { 'x-amz-acl': 'public' } }))).toBe('403 AccessDenied')
  })

  it('presigned URLs that are over or not yet due', async () => {
    const at = (offsetMs: number) =>
      presignUrl({ ...presigning(account), method: 'GET', url: `${embedded.url}/secret`, nowMs: Date.now() + offsetMs })
    expect(await codeOf(await fetch(at(-61_000)))).toBe('403 AccessDenied')
    expect(await codeOf(await fetch(at(16 * 60_000)))).toBe('403 AccessDenied')
    expect((await fetch(at(-50_000))).status).toBe(200)
  })

  it('a body that is not the signed one, and keeps what was there', async () => {
    await embedded.put('whole', 'before')
    const hash = sha256('what was signed')
    const answer = await signedFetch(account, {
      method: 'PUT',
      path: '/parbake/whole',
      body: 'something else',
      payloadHash: hash,
    })
    expect(await codeOf(answer)).toBe('400 XAmzContentSHA256Mismatch')
    expect(await codeOf(await embedded.put('whole', 'x', { 'content-md5': Buffer.alloc(16).toString('base64') }))).toBe(
      '400 BadDigest',
    )
    expect(await codeOf(await embedded.put('whole', 'x', { 'x-amz-checksum-crc32': 'AAAAAA==' }))).toBe('400 BadDigest')
    expect(await (await embedded.get('whole')).text()).toBe('before')
    expect(await readdir(join(embedded.directory, '.parbake', 'staging'))).toEqual([])
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
    expect(await (await embedded.get('secret')).text()).toBe('x')
  })

  it('keys that leave the folder or enter its own', async () => {
    const request = async (method: string, path: string) => codeOf(await rawSigned(account, method, path))
    for (const path of [
      '/parbake/../escape',
      '/parbake/a/../../escape',
      '/parbake/%2e%2e/escape',
      '/parbake/.parbake/staging/x',
    ]) {
      expect(await request('PUT', path)).toBe('400 InvalidArgument')
      expect(await request('GET', path)).toBe('404 NoSuchKey')
    }
    await mkdir(join(embedded.directory, 'links'))
    await symlink('/etc/hostname', join(embedded.directory, 'links', 'out'))
    expect((await embedded.get('links/out')).status).toBe(404)
  })

  it('writing by the account that may only read', async () => {
    const as = { ...account, ...embedded.reader }
    expect((await signedFetch(as, { method: 'GET', path: '/parbake/secret' })).status).toBe(200)
    expect(await codeOf(await signedFetch(as, { method: 'PUT', path: '/parbake/secret', body: 'y' }))).toBe(
      '403 AccessDenied',
    )
    expect(await codeOf(await signedFetch(as, { method: 'DELETE', path: '/parbake/secret' }))).toBe('403 AccessDenied')
  })

  it('addresses other than loopback', async () => {
    const credentials = { accessKey: 'a', secretKey: 'b' }
    for (const host of ['0.0.0.0', '::', '10.0.0.1']) {
      await expect(
        serveStore({ directory: embedded.directory, bucket: 'b', host, port: 0, credentials }),
      ).rejects.toMatchObject({
        exitCode: 2,
      })
    }
    const { port } = embedded
    await expect(serveStore({ directory: embedded.directory, bucket: 'b', port, credentials })).rejects.toMatchObject({
      code: 'store-port',
    })
  })

  it('and never logs a signature', () => {
    expect(embedded.logged).toContain('GET /parbake/secret 403')
    expect(embedded.logged.join('\n')).not.toMatch(/Signature|X-Amz/)
  })
})
