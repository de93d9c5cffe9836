import { walkDirectory } from '../directory-list.ts'
import type { ObjectInfo } from '../object-store.ts'
import { uriEncode } from '../sigv4.ts'
import { queryValue, type S3Request } from './request.ts'
import { S3Problem } from './s3-problem.ts'
import { renderXml } from './xml.ts'

/** Sorts after every key with the text before it as prefix: no key has this character. */
const afterAll = '~'

interface Page {
  readonly objects: readonly ObjectInfo[]
  readonly commonPrefixes: readonly string[]
  /** Where the next page goes on; undefined on the last one. */
  readonly last: string | undefined
}

/** ListObjectsV2, and ListObjects where the request does not ask for `list-type=2`. */
export async function listObjects(root: string, bucket: string, request: S3Request): Promise<string> {
  const value = (name: string) => queryValue(request, name) ?? ''
  const v2 = value('list-type') === '2'
  const [prefix, delimiter, limit] = [value('prefix'), value('delimiter'), maxKeys(value('max-keys'))]
  const token = queryValue(request, 'continuation-token')
  const after = v2 ? (token === undefined ? value('start-after') : decodeToken(token)) : value('marker')
  const page = await readPage(root, prefix, delimiter, after, limit)
  const shown = value('encoding-type') === 'url' ? (text: string) => uriEncode(text, true) : (text: string) => text
  const next = page.last
  return renderXml('ListBucketResult', {
    Name: bucket,
    Prefix: shown(prefix),
    ...(delimiter === '' ? {} : { Delimiter: shown(delimiter) }),
    MaxKeys: limit,
    ...(value('encoding-type') === 'url' ? { EncodingType: 'url' } : {}),
    IsTruncated: next !== undefined,
    ...(v2
      ? {
          KeyCount: page.objects.length + page.commonPrefixes.length,
          ...(token === undefined ? {} : { ContinuationToken: token }),
          ...(value('start-after') === '' ? {} : { StartAfter: shown(value('start-after')) }),
          ...(next === undefined ? {} : { NextContinuationToken: encodeToken(next) }),
        }
      : { Marker: shown(value('marker')), ...(next === undefined ? {} : { NextMarker: shown(next) }) }),
    Contents: page.objects.map((info) => ({
      Key: shown(info.key),
      LastModified: new Date(info.modifiedMs).toISOString(),
      ETag: `"${info.etag}"`,
      Size: info.sizeBytes,
      StorageClass: 'STANDARD',
    })),
    CommonPrefixes: page.commonPrefixes.map((each) => ({ Prefix: shown(each) })),
  })
}

async function readPage(root: string, prefix: string, delimiter: string, after: string, limit: number): Promise<Page> {
  const objects: ObjectInfo[] = []
  const commonPrefixes: string[] = []
  let last = after
  let from: string | undefined = after
  while (from !== undefined) {
    const start: string = from
    from = undefined
    for await (const info of walkDirectory(root, { prefix, after: start })) {
      if (objects.length + commonPrefixes.length >= limit) {
        return { objects, commonPrefixes, last: limit === 0 ? undefined : last }
      }
      const end = delimiter === '' ? -1 : info.key.indexOf(delimiter, prefix.length)
      if (end < 0) {
        objects.push(info)
        last = info.key
      } else {
        const group = info.key.slice(0, end + delimiter.length)
        // A client's own start-after or marker may lie inside the group, or name it.
        if (!after.startsWith(group)) commonPrefixes.push(group)
        last = group + afterAll
        from = last
        break
      }
    }
  }
  return { objects, commonPrefixes, last: undefined }
}

function maxKeys(text: string): number {
  if (text === '') return 1000
  if (!/^\d{1,9}$/.test(text)) throw new S3Problem('InvalidArgument', 'max-keys is no number.')
  return Math.min(Number(text), 1000)
}

function encodeToken(last: string): string {
  return Buffer.from(last).toString('base64url')
}

function decodeToken(token: string): string {
  const last = Buffer.from(token, 'base64url').toString()
  if (last === '' || encodeToken(last) !== token) {
    throw new S3Problem('InvalidArgument', 'The continuation token is not valid.')
  }
  return last
}
