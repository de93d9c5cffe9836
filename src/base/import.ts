import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, rename, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Context } from '../context.ts'
import { hasCode, InterruptedError, messageOf, UserError } from '../errors.ts'
import { detectDiskFormat, refuseOutsideReferences } from '../image/disk-format.ts'
import { checkImage, imageInfo } from '../image/qemu-img.ts'
import { phase } from '../report/events.ts'
import { formatBytes } from '../report/reporters.ts'
import { lockFile } from '../system/file-lock.ts'
import { needTool } from '../system/tools.ts'
import { isSha256, sha256File, type Sha256 } from '../util/sha256.ts'
import { basesDir, isBaseName, storeBase, workFolder } from './cache.ts'
import { compressDisk } from './compress.ts'
import { describeDisk } from './inspect.ts'
import type { Base } from './model.ts'

export interface ImportBaseOptions {
  /** A path, or an http(s) URL. */
  readonly source: string
  /** What the image's bytes must be; may be left out for a path only. */
  readonly sha256?: string
  readonly name: string
}

/**
 * Takes a qcow2 or raw image into the cache as a base. A qcow2 image is kept as it is, a raw one is written as qcow2.
 * Throws UserError that says both digests when they differ; then and after any interruption the cache is as before.
 */
export async function importBase(options: ImportBaseOptions, context: Context): Promise<Base> {
  const { reporter, signal } = context
  const { source, name } = options
  const expected = checkOptions(options)
  await needTool('qemu-img')
  const isUrl = isHttpUrl(source)
  const root = basesDir(context)
  await using _ = await lockFile(join(root, '.lock'), signal, () =>
    reporter.emit({ type: 'note', text: `waiting for another build in ${root}` }),
  )
  await using work = await workFolder(root, 'import')
  const image = join(work.path, 'image')
  const shown = isUrl ? withoutCredentials(source) : resolve(source)
  await phase(
    reporter,
    isUrl ? `download ${shown}` : `copy ${shown}`,
    () => (isUrl ? download(source, image, context) : copyImage(shown, image)),
    () => ({}),
  )
  const sourceDigest = await phase(reporter, 'check the digest', () => sha256File(image, signal))
  if (expected !== undefined && sourceDigest !== expected) {
    throw new UserError(
      `${shown} has not the digest it should have\n  expected ${expected}\n  found    ${sourceDigest}`,
      {
        hint: 'the image was changed or not fetched whole; take the digest from its publisher, not from this message',
        code: 'digest-mismatch',
      },
    )
  }
  const output = join(work.path, 'output')
  await mkdir(output)
  const target = join(output, 'disk.qcow2')
  await toQcow2(image, target, { shown, workFolder: work.path }, context)
  const info = await imageInfo(target, { signal })
  const described = await describeDisk(target, context)
  // Without await the work folder and the lock would be gone before the disk is in place.
  return await storeBase(root, output, {
    v: 1,
    name,
    digest: await sha256File(target, signal),
    format: 'qcow2',
    sizeBytes: (await stat(target)).size,
    virtualSizeBytes: info.virtualSizeBytes,
    distribution: 'imported',
    builtAt: new Date().toISOString(),
    source: shown,
    sourceDigest,
    ...described,
  })
}

function checkOptions({ source, sha256, name }: ImportBaseOptions): Sha256 | undefined {
  if (!isBaseName(name)) {
    throw new UserError(`'${name}' cannot be the name of a base`, {
      hint: 'take lower-case letters, digits, dots, dashes and underscores, 63 at most, that do not look like a digest',
      exitCode: 2,
    })
  }
  const digest = sha256?.toLowerCase()
  if (digest !== undefined && !isSha256(digest)) {
    throw new UserError(`'${sha256}' is no sha256 digest`, { hint: 'it has 64 hexadecimal digits', exitCode: 2 })
  }
  if (digest === undefined && isHttpUrl(source)) {
    throw new UserError(`an image from the network needs its digest`, {
      hint: 'add --sha256 DIGEST, as its publisher gives it',
      exitCode: 2,
    })
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source) && !isHttpUrl(source)) {
    throw new UserError(`'${source}' is neither a path nor an http(s) URL`, { exitCode: 2 })
  }
  return digest
}

function isHttpUrl(source: string): boolean {
  return /^https?:\/\//i.test(source)
}

function withoutCredentials(source: string): string {
  try {
    const url = new URL(source)
    return `${url.protocol}//${url.host}${url.pathname}`
  } catch {
    throw new UserError(`'${source}' is no URL`, { exitCode: 2 })
  }
}

/** The copy is what is checked and kept, so that nobody can change the image in between. */
async function copyImage(source: string, target: string): Promise<void> {
  // Says what is wrong with missing files, folders and other kinds of images before hundreds of megabytes are copied.
  await detectDiskFormat(source)
  await copyFile(source, target)
}

async function download(source: string, target: string, context: Context): Promise<void> {
  const { reporter, signal } = context
  const shown = withoutCredentials(source)
  const label = `download ${shown}`
  try {
    const response = await fetch(source, { signal })
    if (!response.ok || response.body === null) {
      throw new UserError(`${shown} answers ${response.status}`, { code: 'download-failed' })
    }
    const total = Number(response.headers.get('content-length') ?? 0)
    let received = 0
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length
        const of = total > 0 ? ` of ${formatBytes(total)}` : ''
        reporter.emit({ type: 'phase-progress', phase: label, detail: `${formatBytes(received)}${of}` })
        done(null, chunk)
      },
    })
    await pipeline(Readable.fromWeb(response.body), count, createWriteStream(target), { signal })
  } catch (error) {
    if (signal.aborted) throw new InterruptedError()
    if (error instanceof UserError) throw error
    if (hasCode(error, 'ENOSPC')) throw new UserError(`no space left for ${shown}`, { cause: error })
    const why = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
    throw new UserError(`cannot download ${shown}: ${why}`, { cause: error, code: 'download-failed' })
  }
}

async function toQcow2(
  image: string,
  target: string,
  { shown, workFolder }: { readonly shown: string; readonly workFolder: string },
  context: Context,
): Promise<void> {
  const { reporter, signal } = context
  const format = await detectDiskFormat(image)
  if (format === 'raw') {
    await phase(reporter, 'compress the disk', () => compressDisk(context, { source: image, target, workFolder }))
    return
  }
  await refuseOutsideReferences(image).catch((error: unknown) => {
    // Its path is one in our work folder, which means nothing to the user.
    throw error instanceof UserError
      ? new UserError(error.message.replaceAll(image, shown), error.hint === undefined ? {} : { hint: error.hint })
      : error
  })
  await checkImage(image, { reporter, signal })
  await rename(image, target)
}
