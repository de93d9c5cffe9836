import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openStore } from '../../src/store/open.ts'
import { serveStore, type ServedStore } from '../../src/store/server/serve.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { accountEnv, minioUrl, type S3Account, s3Url } from '../support/s3.ts'
import { storeContract } from './contract.ts'
import { failureContract } from './failures.ts'

let dir: TempDir
let served: ServedStore
let account: S3Account
beforeAll(async () => {
  dir = await tempDir('embedded')
  const credentials = { accessKey: 'TESTKEY', secretKey: 'test/secret+key' }
  served = await serveStore({ directory: dir.path, bucket: 'parbake', port: 0, credentials })
  account = { endpoint: new URL(served.url).origin, ...credentials }
})
afterAll(async () => {
  await served.close()
  await dir[Symbol.asyncDispose]()
})

storeContract('s3:// on the embedded endpoint', (place) =>
  openStore(s3Url(account, 'parbake', place), { env: accountEnv(account) }),
)
storeContract('minio:// on the embedded endpoint', (place) =>
  openStore(minioUrl(account, 'parbake', place), { env: accountEnv(account) }),
)
failureContract('the embedded endpoint', () => account)

it('keeps nothing of interrupted and finished uploads', async () => {
  expect(await readdir(join(dir.path, '.parbake', 'uploads'))).toEqual([])
  expect(await readdir(join(dir.path, '.parbake', 'staging'))).toEqual([])
})
