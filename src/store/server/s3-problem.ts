import { hasCode } from '../../errors.ts'

/** HTTP status and text of every S3 error that this server answers with. */
const problems = {
  AccessDenied: [403, 'Access Denied.'],
  AuthorizationHeaderMalformed: [400, 'The authorization header is malformed.'],
  AuthorizationQueryParametersError: [400, 'The query parameters that sign this URL are malformed.'],
  BadDigest: [400, 'The checksum that was sent does not match the body.'],
  EntityTooLarge: [400, 'The object is larger than a single put may be.'],
  EntityTooSmall: [400, 'A part that is not the last one is smaller than 5 MiB.'],
  IncompleteBody: [400, 'The body does not have the length that was announced.'],
  InternalError: [500, 'The server failed; its log says why.'],
  InvalidAccessKeyId: [403, 'The access key does not exist here.'],
  InvalidArgument: [400, 'An argument is not valid.'],
  InvalidPart: [400, 'A part was not found, or its ETag differs.'],
  InvalidPartOrder: [400, 'The parts are not in ascending order.'],
  InvalidRange: [416, 'The range cannot be satisfied.'],
  InvalidRequest: [400, 'The request is not valid.'],
  MalformedXML: [400, 'The XML is not well-formed or not what was expected.'],
  MethodNotAllowed: [405, 'This method is not allowed here.'],
  MissingContentLength: [411, 'A Content-Length is needed.'],
  NoSuchBucket: [404, 'The bucket does not exist.'],
  NoSuchKey: [404, 'The key does not exist.'],
  NoSuchUpload: [404, 'The multipart upload does not exist; it may have been completed or aborted.'],
  NotImplemented: [501, `This endpoint does not do that; it is parbake's own small one, for a single machine.`],
  PreconditionFailed: [412, 'A precondition does not hold.'],
  RequestTimeTooSkewed: [403, 'The time of the request and the time here differ by more than 15 minutes.'],
  SignatureDoesNotMatch: [403, 'The signature does not match; check the secret key.'],
  StorageFull: [507, 'There is no space left in the store.'],
  XAmzContentSHA256Mismatch: [400, 'The x-amz-content-sha256 header does not match the body.'],
} as const satisfies Record<string, readonly [number, string]>

export type S3Code = keyof typeof problems

/** An answer other than success; becomes S3's error XML. */
export class S3Problem extends Error {
  override readonly name = 'S3Problem'
  readonly code: S3Code
  readonly status: number

  constructor(code: S3Code, message?: string) {
    super(message ?? problems[code][1])
    this.code = code
    this.status = problems[code][0]
  }
}

/** Anything that was thrown as what the client is told. */
export function toS3Problem(error: unknown): S3Problem {
  if (error instanceof S3Problem) return error
  if (hasCode(error, 'ENOSPC') || hasCode(error, 'EDQUOT')) return new S3Problem('StorageFull')
  if (['ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY', 'ENAMETOOLONG'].some((code) => hasCode(error, code))) {
    return new S3Problem(
      'InvalidArgument',
      'One key cannot be the folder of another here, and no part may exceed 255 bytes.',
    )
  }
  return new S3Problem('InternalError')
}
