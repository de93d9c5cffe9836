import { open } from 'node:fs/promises'

/** Files from this size on go up in parts. */
export const multipartThresholdBytes = 16 * 1024 * 1024

const parallelParts = 3
const maxParts = 10_000

/** The calls of one S3 client that a multipart upload needs. */
export interface MultipartCalls {
  create(): Promise<string>
  /** `number` counts from 1; resolves with the part's ETag. */
  putPart(uploadId: string, number: number, body: Buffer): Promise<string>
  /** Resolves with the object's ETag. */
  complete(uploadId: string, etags: readonly string[]): Promise<string>
  abort(uploadId: string): Promise<void>
}

export interface MultipartOptions {
  readonly signal?: AbortSignal | undefined
  readonly progress?: ((sentBytes: number) => void) | undefined
}

/** Bytes per part: 16 MiB, more where that would take over 10,000 parts. */
export function partSizeOf(sizeBytes: number): number {
  const least = Math.ceil(sizeBytes / maxParts)
  const unit = multipartThresholdBytes
  return Math.max(unit, Math.ceil(least / unit) * unit)
}

/**
 * Uploads a file in parts, three at a time, each read into memory when its turn comes. Whatever goes wrong, the upload
 * is aborted on the server, so that no unseen parts are left to pay for, and the first error thrown.
 */
export async function uploadInParts(
  path: string,
  sizeBytes: number,
  calls: MultipartCalls,
  options: MultipartOptions = {},
): Promise<string> {
  const uploadId = await calls.create()
  try {
    const etags = await uploadParts(path, sizeBytes, uploadId, calls, options)
    options.signal?.throwIfAborted()
    return await calls.complete(uploadId, etags)
  } catch (error) {
    // The first error is the one that matters, and an abort may fail for the same reason.
    await calls.abort(uploadId).catch(() => undefined)
    throw error
  }
}

async function uploadParts(
  path: string,
  sizeBytes: number,
  uploadId: string,
  calls: MultipartCalls,
  options: MultipartOptions,
): Promise<string[]> {
  const partSize = partSizeOf(sizeBytes)
  const count = Math.ceil(sizeBytes / partSize)
  const etags: string[] = Array.from({ length: count })
  let next = 0
  let sent = 0
  let failed = false
  const file = await open(path, 'r')
  const worker = async () => {
    while (next < count && !failed) {
      options.signal?.throwIfAborted()
      const index = next++
      const start = index * partSize
      const body = await readExactly(file, start, Math.min(partSize, sizeBytes - start), path)
      etags[index] = await calls.putPart(uploadId, index + 1, body)
      sent += body.length
      options.progress?.(sent)
    }
  }
  try {
    const workers = Array.from({ length: Math.min(parallelParts, count) }, () =>
      worker().catch((error: unknown) => {
        failed = true
        throw error
      }),
    )
    const results = await Promise.allSettled(workers)
    // All workers have ended before the abort, so that no part arrives after it.
    const broken = results.find((result) => result.status === 'rejected')
    if (broken !== undefined) throw broken.reason
    return etags
  } finally {
    await file.close()
  }
}

async function readExactly(
  file: Awaited<ReturnType<typeof open>>,
  start: number,
  length: number,
  path: string,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, start + filled)
    if (bytesRead === 0) throw new Error(`${path} became shorter while it was read`)
    filled += bytesRead
  }
  return buffer
}
