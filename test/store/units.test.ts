import { describe, expect, it } from 'vitest'
import { openStore } from '../../src/store/open.ts'
import { partSizeOf } from '../../src/store/multipart.ts'
import { storePolicy } from '../../src/store/policy.ts'
import { requestedRange } from '../../src/store/server/conditions.ts'
import { BodyChecksums } from '../../src/store/server/checksums.ts'
import { elements, elementText, renderXml } from '../../src/store/server/xml.ts'
import { classifyStoreFailure } from '../../src/store/store-errors.ts'
import { parseStoreUrl } from '../../src/store/store-url.ts'

describe('parseStoreUrl', () => {
  it.each([
    ['file:///var/lib/store/', { kind: 'directory', directory: '/var/lib/store' }],
    ['s3://bucket', { kind: 's3', bucket: 'bucket', prefix: '', endpoint: undefined, region: undefined }],
    [
      's3://my.bucket/a/b/?endpoint=http://127.0.0.1:9400/&region=eu-west-1',
      { kind: 's3', bucket: 'my.bucket', prefix: 'a/b', endpoint: 'http://127.0.0.1:9400', region: 'eu-west-1' },
    ],
    [
      'minio://host:9000/bucket/pre/fix?tls=false',
      { kind: 'minio', host: 'host', port: 9000, tls: false, bucket: 'bucket', prefix: 'pre/fix', region: undefined },
    ],
    [
      'minio://host/bucket',
      { kind: 'minio', host: 'host', port: 443, tls: true, bucket: 'bucket', prefix: '', region: undefined },
    ],
  ])('reads %s', (url, expected) => expect(parseStoreUrl(url)).toEqual(expected))

  it.each([
    ['nonsense', /is no URL/],
    ['ftp://host/x', /scheme 'ftp'/],
    ['file://host/dir', /absolute path/],
    ['file:///', /absolute path/],
    ['s3:///prefix', /names no bucket/],
    ['s3://Bucket', /not a bucket name/],
    ['s3://bucket:9000/x', /port in place of a bucket/],
    ['s3://bucket?endpoint=localhost:9000', /has the endpoint/],
    ['s3://bucket?endpoint=http://host/path', /has the endpoint/],
    ['s3://bucket?regoin=x', /option 'regoin'/],
    ['s3://bucket/a b', /has the prefix/],
    ['minio://host:9000', /names no bucket/],
    ['minio://host:9000/bucket?tls=no', /neither true nor false/],
    ['s3://key:sesame@bucket', /holds credentials/],
  ])('refuses %s with examples and exit code 2', (url, message) => {
    const error = (() => {
      try {
        return parseStoreUrl(url)
      } catch (caught) {
        return caught
      }
    })()
    expect(error).toMatchObject({ name: 'UserError', exitCode: 2, hint: expect.stringContaining('examples: file:///') })
    expect(String(error)).toMatch(message)
    expect(String(error)).not.toContain('sesame')
  })
})

describe('openStore', () => {
  it.each([
    ['s3://bucket', { AWS_ACCESS_KEY_ID: 'a' }, /AWS_SECRET_ACCESS_KEY is not set/],
    ['minio://h:1/bucket', {}, /no credentials/],
    ['minio://h:1/bucket', { MINIO_SECRET_KEY: 'a' }, /MINIO_ACCESS_KEY is not set/],
  ])('says what is missing for %s with %j', async (url, env, message) => {
    await expect(openStore(url, { env })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(message),
    })
  })
})

describe('classifyStoreFailure', () => {
  it.each([
    [{ status: 403 }, 'store-denied'],
    [{ status: 400, code: 'ExpiredToken' }, 'store-denied'],
    [{ code: 'CredentialsProviderError' }, 'store-denied'],
    [{ code: 'ECONNREFUSED' }, 'store-unreachable'],
    [{ code: 'ENOTFOUND' }, 'store-unreachable'],
    [{ status: 404, code: 'NoSuchBucket' }, 'store-no-bucket'],
    [{ status: 507 }, 'store-full'],
    [{ status: 403, code: 'QuotaExceeded' }, 'store-full'],
    [{ code: 'ENOSPC' }, 'store-full'],
    [{ status: 500 }, 'store-failed'],
    [{}, 'store-failed'],
  ])('%j is %s', (failure, expected) => expect(classifyStoreFailure(failure)).toBe(expected))
})

describe('storePolicy', () => {
  it('lets hosts read what they run, write reports, and nothing else', () => {
    expect(storePolicy('hosts', 'b', { prefix: 'team/x' })).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Sid: 'ReadObjects',
          Effect: 'Allow',
          Action: ['s3:GetObject'],
          Resource: ['bundles', 'agents', 'channels'].map((folder) => `arn:aws:s3:::b/team/x/${folder}/*`),
        },
        {
          Sid: 'WriteObjects',
          Effect: 'Allow',
          Action: ['s3:PutObject'],
          Resource: ['arn:aws:s3:::b/team/x/reports/*'],
        },
      ],
    })
  })

  it('keeps hosts of one recipe apart from all others', () => {
    const resources = storePolicy('hosts', 'b', { recipe: 'web' }).Statement.flatMap(({ Resource }) => Resource)
    expect(resources).toEqual([
      'arn:aws:s3:::b/bundles/web/*',
      'arn:aws:s3:::b/agents/*',
      'arn:aws:s3:::b/channels/web/*',
      'arn:aws:s3:::b/reports/web/*',
    ])
  })

  it.each([
    ['publisher', 'images'],
    ['baker', 'history'],
    ['baker', 'rollouts'],
    ['baker', 'channels'],
    ['baker', 'bundles'],
  ] as const)('does not let the %s write %s', (role, folder) => {
    const writes = storePolicy(role, 'b').Statement.filter((statement) => statement.Action.includes('s3:PutObject'))
    expect(writes).toHaveLength(1)
    expect(writes[0]?.Resource).not.toContain(`arn:aws:s3:::b/${folder}/*`)
  })
})

describe('small parts of the server', () => {
  it.each([
    [undefined, 10, undefined],
    ['bytes=0-3', 10, { start: 0, end: 3 }],
    ['bytes=5-', 10, { start: 5, end: 9 }],
    ['bytes=-3', 10, { start: 7, end: 9 }],
    ['bytes=-30', 10, { start: 0, end: 9 }],
    ['bytes=5-3', 10, undefined],
    ['bytes=0-1,3-4', 10, undefined],
    ['items=0-1', 10, undefined],
  ])('reads the range %s', (header, size, expected) => expect(requestedRange(header, size)).toEqual(expected))

  it.each(['bytes=10-', 'bytes=10-20', 'bytes=-0'])('cannot satisfy %s of 10', (header) => {
    expect(() => requestedRange(header, 10)).toThrow(/range/)
  })

  it.each([
    ['crc32', 'y/Q5Jg=='],
    ['crc32c', '4waSgw=='],
    ['sha256', 'FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU='],
  ])('knows %s of 123456789', (name, value) => {
    const checksums = new BodyChecksums([name])
    checksums.update(Buffer.from('1234'))
    checksums.update(Buffer.from('56789'))
    expect(() => checksums.verify(new Map([[`x-amz-checksum-${name}`, value]]))).not.toThrow()
    expect(() => checksums.verify(new Map([[`x-amz-checksum-${name}`, 'AAAA']]))).toThrow()
    expect(() => checksums.verify(new Map())).toThrow()
  })

  it('writes and reads XML', () => {
    const xml = renderXml('R', { A: 'a<&"\'>', B: [1, 2], C: undefined, D: { E: true } })
    expect(xml).toContain('<A>a&lt;&amp;&quot;&apos;&gt;</A><B>1</B><B>2</B><D><E>true</E></D></R>')
    expect(elementText(xml, 'A')).toBe('a<&"\'>')
    expect(elements(xml, 'B')).toEqual(['1', '2'])
  })

  it.each([
    [1, 16],
    [160_000 * 1024 * 1024, 16],
    [160_001 * 1024 * 1024, 32],
  ])('parts of a file of %i bytes have %i MiB', (size, mib) => {
    expect(partSizeOf(size)).toBe(mib * 1024 * 1024)
    expect(Math.ceil(size / partSizeOf(size))).toBeLessThanOrEqual(10_000)
  })
})
