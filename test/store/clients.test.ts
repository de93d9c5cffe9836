import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { Client } from 'minio'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { type Embedded, startEmbedded } from '../support/embedded.ts'

// The clients as others would use them on the endpoint: nothing set but where it is and the keys.
let embedded: Embedded
let dir: TempDir
beforeAll(async () => {
  embedded = await startEmbedded()
  dir = await tempDir('clients')
})
afterAll(async () => {
  await embedded[Symbol.asyncDispose]()
  await dir[Symbol.asyncDispose]()
})

describe('the AWS SDK as it comes', () => {
  const connect = () =>
    new S3Client({
      endpoint: embedded.account.endpoint,
      region: 'eu-central-1',
      forcePathStyle: true,
      credentials: { accessKeyId: embedded.account.accessKey, secretAccessKey: embedded.account.secretKey },
    })

  it('puts with its default checksums, streams, lists and deletes', async () => {
    const client = connect()
    const Bucket = 'parbake'
    await client.send(new PutObjectCommand({ Bucket, Key: 'sdk/plain', Body: 'plain' }))
    const streamed = randomBytes(3_000_000)
    const Body = Readable.from([streamed.subarray(0, 1_000_000), streamed.subarray(1_000_000)])
    const ContentLength = streamed.length
    await client.send(new PutObjectCommand({ Bucket, Key: 'sdk/streamed', Body, ContentLength }))
    const got = await client.send(new GetObjectCommand({ Bucket, Key: 'sdk/streamed' }))
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(streamed)).toBe(true)
    const listed = await client.send(new ListObjectsCommand({ Bucket, Prefix: 'sdk/', MaxKeys: 1, Delimiter: '/' }))
    expect([listed.Contents?.[0]?.Key, listed.IsTruncated, listed.NextMarker]).toEqual(['sdk/plain', true, 'sdk/plain'])
    const Objects = [{ Key: 'sdk/plain' }, { Key: 'sdk/streamed' }]
    const deleted = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }))
    expect(deleted.Deleted?.map((each) => each.Key)).toEqual(['sdk/plain', 'sdk/streamed'])
    expect((await embedded.get('sdk/plain')).status).toBe(404)
    client.destroy()
  })

  it('uploads in parts by lib-storage', async () => {
    const client = connect()
    const bytes = randomBytes(12 * 1024 * 1024 + 1)
    const params = { Bucket: 'parbake', Key: 'sdk/parts', Body: Readable.from([bytes]) }
    await new Upload({ client, params, partSize: 5 * 1024 * 1024 }).done()
    expect(Buffer.from(await (await embedded.get('sdk/parts')).arrayBuffer()).equals(bytes)).toBe(true)
    client.destroy()
  })
})

describe('the minio client as it comes', () => {
  const connect = () => {
    const { accessKey, secretKey } = embedded.account
    return new Client({
      endPoint: '127.0.0.1',
      port: embedded.port,
      useSSL: false,
      accessKey,
      secretKey,
      partSize: 5 * 1024 * 1024,
    })
  }

  it('uploads and downloads files, in parts too, and removes them', async () => {
    const client = connect()
    expect(await client.bucketExists('parbake')).toBe(true)
    expect(await client.bucketExists('another')).toBe(false)
    for (const size of [0, 1000, 12 * 1024 * 1024 + 1]) {
      const path = join(dir.path, `file-${size}`)
      const bytes = randomBytes(size)
      await writeFile(path, bytes)
      await client.fPutObject('parbake', `minio/f${size}`, path)
      await client.fGetObject('parbake', `minio/f${size}`, `${path}.back`)
      expect((await readFile(`${path}.back`)).equals(bytes)).toBe(true)
    }
    const names: (string | undefined)[] = []
    for await (const item of client.listObjects('parbake', 'minio/', true)) names.push((item as { name?: string }).name)
    expect(names).toEqual(['minio/f0', 'minio/f1000', `minio/f${12 * 1024 * 1024 + 1}`])
    await client.removeObjects('parbake', names as string[])
    expect((await embedded.get('minio/f0')).status).toBe(404)
  })

  it('makes presigned URLs that work', async () => {
    await embedded.put('minio/presigned', 'hello')
    const url = await connect().presignedGetObject('parbake', 'minio/presigned', 60)
    expect(await (await fetch(url)).text()).toBe('hello')
  })
})
