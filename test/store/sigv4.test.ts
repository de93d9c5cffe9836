import { describe, expect, it } from 'vitest'
import { presignUrl } from '../../src/store/presign.ts'
import {
  amzTimestamp,
  type CanonicalParts,
  canonicalQuery,
  chunkStringToSign,
  emptySha256,
  parseAmzTimestamp,
  sign,
  signingKey,
  stringToSign,
  uriEncode,
} from '../../src/store/sigv4.ts'
import { sha256 } from '../../src/util/sha256.ts'

// The examples of the Amazon S3 API reference, "Authenticating Requests (AWS Signature Version 4)".
const secretKey = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
const timestamp = '20130524T000000Z'
const scope = { date: '20130524', region: 'us-east-1', service: 's3' }
const key = signingKey(secretKey, scope)
const host = ['host', 'examplebucket.s3.amazonaws.com'] as const
const date = ['x-amz-date', timestamp] as const
const putHash = sha256('Welcome to Amazon S3.')

describe('SigV4 by the published examples', () => {
  const cases: readonly (readonly [string, CanonicalParts, string])[] = [
    [
      'GET object with a range',
      {
        method: 'GET',
        path: '/test.txt',
        query: [],
        headers: [host, ['range', 'bytes=0-9'], ['x-amz-content-sha256', emptySha256], date],
        payloadHash: emptySha256,
      },
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ],
    [
      'PUT object with $ in its key',
      {
        method: 'PUT',
        path: '/test$file.text',
        query: [],
        headers: [
          ['date', 'Fri, 24 May 2013 00:00:00 GMT'],
          host,
          ['x-amz-content-sha256', putHash],
          date,
          ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
        ],
        payloadHash: putHash,
      },
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    ],
    [
      'GET bucket lifecycle',
      {
        method: 'GET',
        path: '/',
        query: [['lifecycle', '']],
        headers: [host, ['x-amz-content-sha256', emptySha256], date],
        payloadHash: emptySha256,
      },
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    ],
    [
      'list objects',
      {
        method: 'GET',
        path: '/',
        query: [
          ['prefix', 'J'],
          ['max-keys', '2'],
        ],
        headers: [date, ['x-amz-content-sha256', emptySha256], host],
        payloadHash: emptySha256,
      },
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ],
  ]
  it.each(cases)('%s', (_name, parts, expected) => {
    expect(sign(key, stringToSign(parts, timestamp, scope))).toBe(expected)
  })

  it('signs chunks', () => {
    const seed = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9'
    const first = sign(key, chunkStringToSign(timestamp, scope, seed, sha256('a'.repeat(65_536))))
    const second = sign(key, chunkStringToSign(timestamp, scope, first, sha256('a'.repeat(1024))))
    const last = sign(key, chunkStringToSign(timestamp, scope, second, emptySha256))
    expect(first).toBe('ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648')
    expect(second).toBe('0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497')
    expect(last).toBe('b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9')
  })
})

describe('presignUrl', () => {
  const request = {
    method: 'GET',
    url: 'https://examplebucket.s3.amazonaws.com/test.txt',
    accessKey: 'AKIAIOSFODNN7EXAMPLE',
    secretKey,
    region: 'us-east-1',
    expiresSeconds: 86_400,
    nowMs: Date.UTC(2013, 4, 24),
  } as const

  it('gives the published URL', () => {
    expect(presignUrl(request)).toBe(
      'https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256' +
        '&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z' +
        '&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
        '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    )
  })

  it('carries a session token, signed', () => {
    const url = new URL(presignUrl({ ...request, sessionToken: 'tok/en+1=' }))
    expect(url.searchParams.get('X-Amz-Security-Token')).toBe('tok/en+1=')
    expect(url.searchParams.get('X-Amz-Signature')).not.toBe(
      new URL(presignUrl(request)).searchParams.get('X-Amz-Signature'),
    )
  })

  it.each([0, -1, 1.5, 604_801])('refuses to sign for %d s', (expiresSeconds) => {
    expect(() => presignUrl({ ...request, expiresSeconds })).toThrow(/cannot last/)
  })
})

describe('encoding', () => {
  it.each([
    ['a b', 'a%20b'],
    ["!'()*", '%21%27%28%29%2A'],
    ['a/b', 'a%2Fb'],
    ['~-._', '~-._'],
    ['ü', '%C3%BC'],
  ])('encodes %j', (text, expected) => expect(uriEncode(text)).toBe(expected))

  it('sorts the query by encoded name, then value', () => {
    const query = [
      ['b', '2'],
      ['a', '2'],
      ['a', '1'],
      ['A', '0'],
    ] as const
    expect(canonicalQuery(query)).toBe('A=0&a=1&a=2&b=2')
  })

  it('reads its own time stamps and no others', () => {
    const ms = Date.UTC(2026, 10, 20, 10, 0, 1)
    expect(amzTimestamp(ms)).toBe('20261120T100001Z')
    expect(parseAmzTimestamp('20261120T100001Z')).toBe(ms)
    expect(parseAmzTimestamp('2026-11-20T10:00:01Z')).toBeUndefined()
  })
})
