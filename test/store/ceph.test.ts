import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStore } from '../../src/store/open.ts'
import { presignUrl } from '../../src/store/presign.ts'
import { type Ceph, cephSkipped, startCeph } from '../support/ceph.ts'
import { accountEnv, minioUrl, s3Url } from '../support/s3.ts'
import { storeContract } from './contract.ts'
import { failureContract } from './failures.ts'

describe.skipIf(cephSkipped)('Ceph RGW', () => {
  let ceph: Ceph
  beforeAll(async () => {
    ceph = await startCeph()
    await ceph.createBucket('parbake')
  }, 120_000)
  afterAll(() => ceph?.stop(), 30_000)

  storeContract('s3:// on Ceph', (place) => openStore(s3Url(ceph, 'parbake', place), { env: accountEnv(ceph) }))
  storeContract('minio:// on Ceph', (place) => openStore(minioUrl(ceph, 'parbake', place), { env: accountEnv(ceph) }))
  failureContract('Ceph', () => ceph)

  it('takes our presigned URLs, and refuses them tampered or expired', async () => {
    const request = { accessKey: ceph.accessKey, secretKey: ceph.secretKey, region: 'us-east-1', expiresSeconds: 60 }
    const url = `${ceph.endpoint}/parbake/presigned/a=b.txt`
    const put = await fetch(presignUrl({ ...request, method: 'PUT', url, nowMs: Date.now() }), {
      method: 'PUT',
      body: 'hi',
    })
    expect(put.status).toBe(200)
    const get = presignUrl({ ...request, method: 'GET', url, nowMs: Date.now() })
    expect(await (await fetch(get)).text()).toBe('hi')
    expect((await fetch(get.replace('a%3Db', 'other'))).status).toBe(403)
    expect((await fetch(presignUrl({ ...request, method: 'GET', url, nowMs: Date.now() - 120_000 }))).status).toBe(403)
  })
})
