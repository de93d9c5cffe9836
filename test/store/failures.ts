import { describe, expect, it } from 'vitest'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { openStore } from '../../src/store/open.ts'
import { accountEnv, minioUrl, type S3Account, s3Url } from '../support/s3.ts'

/** What both S3 adapters must say when a server refuses or is not there; its bucket is `parbake`. */
export function failureContract(name: string, server: () => S3Account): void {
  describe.each([
    ['s3', s3Url],
    ['minio', minioUrl],
  ] as const)(`failures: %s:// on ${name}`, (_scheme, urlOf) => {
    const open = (account: S3Account, bucket = 'parbake') =>
      openStore(urlOf(account, bucket, 'p'), { env: accountEnv(account) })
    const everyCall = (store: ObjectStore): readonly (() => Promise<unknown>)[] => [
      () => store.get('k'),
      () => store.head('k'),
      () => store.put('k', 'x'),
      () => store.put('k', 'x', { condition: { absent: true } }),
      () => store.put('k', 'x', { condition: { etag: 'abc' } }),
      () => store.list(),
      () => store.delete('k'),
      () => store.putFile('k', import.meta.filename),
    ]

    it.each([
      ['a wrong secret key', (account: S3Account) => ({ ...account, secretKey: 'wrong' })],
      ['an unknown access key', (account: S3Account) => ({ ...account, accessKey: 'NOBODY' })],
    ])('says store-denied for %s', async (_what, change) => {
      const store = await open(change(server()))
      for (const call of everyCall(store)) {
        await expect(call()).rejects.toMatchObject({ name: 'UserError', code: 'store-denied', exitCode: 1 })
      }
      store.close()
    })

    it('says store-no-bucket', async () => {
      const store = await open(server(), 'no-such-bucket-here')
      for (const call of everyCall(store)) await expect(call()).rejects.toMatchObject({ code: 'store-no-bucket' })
      store.close()
    })

    it('says store-unreachable, and shows no secret', async () => {
      const store = await open({ ...server(), endpoint: 'http://127.0.0.1:1' })
      for (const call of everyCall(store)) {
        const error: unknown = await call().catch((caught: unknown) => caught)
        expect(error).toMatchObject({ name: 'UserError', code: 'store-unreachable' })
        expect(String(error)).not.toContain(server().secretKey)
      }
      store.close()
    })
  })
}
