import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { codeOf, type Embedded, startEmbedded } from '../support/embedded.ts'
import { type S3Account, signedFetch } from '../support/s3.ts'

let embedded: Embedded
let account: S3Account
beforeAll(async () => {
  embedded = await startEmbedded()
  account = embedded.account
})
afterAll(() => embedded[Symbol.asyncDispose]())

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
    expect((await embedded.get('mp/x')).status).toBe(404)
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
    expect((await embedded.get('mp/x')).headers.get('content-length')).toBe(String(big.length + 3))
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
    expect(await readdir(join(embedded.directory, '.parbake', 'uploads'))).toEqual([])
  })
})
