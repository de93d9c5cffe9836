import { rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { CommitResult, DirectoryFiles } from '../directory-files.ts'
import type { ObjectInfo, PutCondition } from '../object-store.ts'
import { unquoted } from '../s3-common.ts'
import type { Authenticated } from './auth.ts'
import { checkReadConditions, putCondition, requestedRange } from './conditions.ts'
import { listObjects } from './listing.ts'
import { receiveSmall, receiveToFile } from './receive.ts'
import { queryValue, type S3Request } from './request.ts'
import { S3Problem } from './s3-problem.ts'
import type { Uploads } from './uploads.ts'
import { elements, elementText, renderXml, type XmlValue } from './xml.ts'

/** What the handlers of one server share. */
export interface ServerState {
  readonly bucket: string
  readonly files: DirectoryFiles
  readonly uploads: Uploads
}

/** One authenticated request on its way to an answer. */
export interface Call {
  readonly state: ServerState
  readonly request: S3Request
  readonly auth: Authenticated
  readonly response: ServerResponse
}

const maxDocumentBytes = 4 * 1024 * 1024

/** Parts of S3 that would change or reveal something else if their query parameter were ignored. */
const unsupported = [
  ...['acl', 'cors', 'encryption', 'legal-hold', 'lifecycle', 'logging', 'notification', 'object-lock', 'policy'],
  ...['replication', 'restore', 'retention', 'select', 'tagging', 'torrent', 'versions', 'website', 'attributes'],
]

/** Answers one request. */
export async function handle(call: Call): Promise<void> {
  const { request, state, auth } = call
  if (auth.account.readOnly && request.method !== 'GET' && request.method !== 'HEAD')
    throw new S3Problem('AccessDenied')
  if (request.query.some(([name]) => unsupported.includes(name))) throw new S3Problem('NotImplemented')
  const [, bucket = '', ...rest] = request.path.split('/')
  const key = rest.join('/')
  if (bucket === '') return listBuckets(call)
  if (bucket !== state.bucket) throw new S3Problem('NoSuchBucket')
  if (key === '') return handleBucket(call)
  if (!state.files.isKey(key)) {
    const read = request.method === 'GET' || request.method === 'HEAD'
    throw read
      ? new S3Problem('NoSuchKey')
      : new S3Problem('InvalidArgument', 'Keys are made of [A-Za-z0-9._=/-] here.')
  }
  return handleObject(call, key)
}

function listBuckets(call: Call): void {
  if (call.request.method !== 'GET') throw new S3Problem('MethodNotAllowed')
  const bucket = { Name: call.state.bucket, CreationDate: new Date(0).toISOString() }
  const owner = { ID: 'parbake', DisplayName: 'parbake' }
  sendXml(call, renderXml('ListAllMyBucketsResult', { Owner: owner, Buckets: { Bucket: bucket } }))
}

async function handleBucket(call: Call): Promise<void> {
  const { request, state } = call
  const has = (name: string) => queryValue(request, name) !== undefined
  if (request.method === 'HEAD') return send(call, 200, {})
  // Creating the bucket that is there is no error for its owner.
  if (request.method === 'PUT') return send(call, 200, { location: `/${state.bucket}` })
  if (request.method === 'POST' && has('delete')) return deleteMany(call)
  if (request.method !== 'GET') throw new S3Problem('MethodNotAllowed')
  if (has('location')) return sendXml(call, renderXml('LocationConstraint', ''))
  if (has('versioning')) return sendXml(call, renderXml('VersioningConfiguration', ''))
  if (has('uploads')) return listUploads(call)
  return sendXml(call, await listObjects(state.files.root, state.bucket, request))
}

async function listUploads(call: Call): Promise<void> {
  const uploads = await call.state.uploads.list(queryValue(call.request, 'prefix') ?? '')
  const document: XmlValue = {
    Bucket: call.state.bucket,
    IsTruncated: false,
    Upload: uploads.map(({ key, uploadId, startedMs }) => ({
      Key: key,
      UploadId: uploadId,
      Initiated: new Date(startedMs).toISOString(),
    })),
  }
  sendXml(call, renderXml('ListMultipartUploadsResult', document))
}

async function deleteMany(call: Call): Promise<void> {
  const body = await receiveSmall(call.request, call.auth, maxDocumentBytes)
  const keys = elements(body, 'Object').map((object) => elementText(object, 'Key') ?? '')
  if (keys.length === 0 || keys.length > 1000) throw new S3Problem('MalformedXML')
  const quiet = elementText(body, 'Quiet') === 'true'
  for (const key of keys) if (call.state.files.isKey(key)) await call.state.files.remove(key)
  sendXml(call, renderXml('DeleteResult', { Deleted: quiet ? [] : keys.map((Key) => ({ Key })) }))
}

async function handleObject(call: Call, key: string): Promise<void> {
  const { request, state } = call
  const uploadId = queryValue(request, 'uploadId')
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return uploadId === undefined ? sendObject(call, key) : listParts(call, key, uploadId)
    case 'PUT':
      if (request.headers.has('x-amz-copy-source')) throw new S3Problem('NotImplemented')
      return uploadId === undefined ? putObject(call, key) : putPart(call, key, uploadId)
    case 'POST':
      if (queryValue(request, 'uploads') !== undefined) return createUpload(call, key)
      if (uploadId !== undefined) return completeUpload(call, key, uploadId)
      throw new S3Problem('MethodNotAllowed')
    case 'DELETE':
      if (uploadId === undefined) await state.files.remove(key)
      else await state.uploads.abort(await state.uploads.find(uploadId, key))
      return send(call, 204, {})
    default:
      throw new S3Problem('MethodNotAllowed')
  }
}

async function sendObject(call: Call, key: string): Promise<void> {
  const { request, response, state } = call
  const opened = await state.files.open(key)
  if (opened === undefined) throw new S3Problem('NoSuchKey')
  const { info, handle: file } = opened
  try {
    const verdict = checkReadConditions(request, info)
    const headers = objectHeaders(info)
    if (verdict === 'not-modified') return send(call, 304, headers)
    const range = requestedRange(request.headers.get('range'), info.sizeBytes)
    const length = range === undefined ? info.sizeBytes : range.end - range.start + 1
    const partial =
      range === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end}/${info.sizeBytes}` }
    response.writeHead(range === undefined ? 200 : 206, {
      ...headers,
      ...partial,
      'content-type': 'application/octet-stream',
      'content-length': length,
    })
    if (request.method === 'HEAD' || length === 0) response.end()
    else await pipeline(file.createReadStream({ ...range, autoClose: false, highWaterMark: 256 * 1024 }), response)
  } finally {
    await file.close()
  }
}

function objectHeaders(info: ObjectInfo) {
  return {
    etag: `"${info.etag}"`,
    'last-modified': new Date(info.modifiedMs).toUTCString(),
    'accept-ranges': 'bytes',
  }
}

async function putObject(call: Call, key: string): Promise<void> {
  const condition = putCondition(call.request)
  await received(call, async (staged) => {
    const result = await call.state.files.commit(staged, key, condition)
    send(call, 200, { etag: `"${storedEtag(result, condition)}"` })
  })
}

function storedEtag(result: CommitResult, condition: PutCondition | undefined): string {
  if (result.outcome === 'stored') return result.etag
  const gone = result.missing && condition !== undefined && 'etag' in condition
  throw new S3Problem(gone ? 'NoSuchKey' : 'PreconditionFailed')
}

async function putPart(call: Call, key: string, uploadId: string): Promise<void> {
  const upload = await call.state.uploads.find(uploadId, key)
  const number = Number(queryValue(call.request, 'partNumber') ?? '')
  if (!Number.isInteger(number) || number < 1 || number > 10_000) {
    throw new S3Problem('InvalidArgument', 'partNumber must be 1 to 10000.')
  }
  await received(call, async (staged, md5) => {
    await call.state.uploads.addPart(upload, number, staged, md5)
    send(call, 200, { etag: `"${md5}"` })
  })
}

/** Receives the body into a staging file, which is gone afterwards one way or the other. */
async function received(call: Call, use: (staged: string, md5: string) => Promise<void>): Promise<void> {
  const staged = await call.state.files.stagingPath()
  try {
    const { md5 } = await receiveToFile(call.request, call.auth, staged)
    await use(staged, md5)
  } finally {
    await rm(staged, { force: true })
  }
}

async function createUpload(call: Call, key: string): Promise<void> {
  const UploadId = await call.state.uploads.create(key)
  sendXml(call, renderXml('InitiateMultipartUploadResult', { Bucket: call.state.bucket, Key: key, UploadId }))
}

async function listParts(call: Call, key: string, uploadId: string): Promise<void> {
  const parts = await call.state.uploads.parts(await call.state.uploads.find(uploadId, key))
  const document: XmlValue = {
    Bucket: call.state.bucket,
    Key: key,
    UploadId: uploadId,
    IsTruncated: false,
    Part: parts.map(({ number, etag, sizeBytes, modifiedMs }) => ({
      PartNumber: number,
      LastModified: new Date(modifiedMs).toISOString(),
      ETag: `"${etag}"`,
      Size: sizeBytes,
    })),
  }
  sendXml(call, renderXml('ListPartsResult', document))
}

async function completeUpload(call: Call, key: string, uploadId: string): Promise<void> {
  const { request, state } = call
  const upload = await state.uploads.find(uploadId, key)
  const body = await receiveSmall(request, call.auth, maxDocumentBytes)
  const parts = elements(body, 'Part').map((part) => ({
    number: Number(elementText(part, 'PartNumber') ?? ''),
    etag: unquoted(elementText(part, 'ETag')),
  }))
  const condition = putCondition(request)
  const etag = storedEtag(await state.uploads.complete(upload, parts, condition), condition)
  const location = `http://${request.headers.get('host') ?? ''}/${state.bucket}/${key}`
  const document = { Location: location, Bucket: state.bucket, Key: key, ETag: `"${etag}"` }
  sendXml(call, renderXml('CompleteMultipartUploadResult', document))
}

function send(call: Call, status: number, headers: Readonly<Record<string, string>>): void {
  // 204 and 304 have no body by definition, and a length would be taken for the object's.
  const length = status === 200 ? { 'content-length': '0' } : {}
  call.response.writeHead(status, { ...headers, ...length }).end()
}

function sendXml(call: Call, xml: string): void {
  const length = Buffer.byteLength(xml)
  call.response.writeHead(200, { 'content-type': 'application/xml', 'content-length': length }).end(xml)
}
