import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { UserError } from '../errors.ts'
import { checkedBody } from './body.ts'
import { DirectoryFiles } from './directory-files.ts'
import { walkDirectory } from './directory-list.ts'
import type { ObjectInfo, ObjectStore, PutCondition, PutResult } from './object-store.ts'
import { clampRange } from './range.ts'
import { checkKey, storeError } from './store-errors.ts'
import { writeSynced } from './write-synced.ts'

/**
 * A store in a folder of this machine, made when first written. Safe among processes of one machine; not over network
 * file systems, whose rename and link may not be atomic. A key cannot be another key's folder.
 */
export function openDirectoryStore(directory: string): ObjectStore {
  const files = new DirectoryFiles(directory)
  const url = pathToFileURL(directory).href
  const guarded = async <T>(
    verb: string,
    key: string | undefined,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ) => {
    const action = { url, verb, signal, ...(key === undefined ? {} : { key }) }
    try {
      if (key !== undefined) checkKey(url, key)
      signal?.throwIfAborted()
      return await work()
    } catch (error) {
      throw storeError(action, explainFolderClash(error, key))
    }
  }
  const putStream = async (
    key: string,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
    condition?: PutCondition,
  ): Promise<PutResult> => {
    const staged = await files.stagingPath()
    try {
      await writeSynced(staged, source, signal)
      const result = await files.commit(staged, key, condition)
      return result.outcome === 'stored' ? result : { outcome: 'conflict' }
    } finally {
      await rm(staged, { force: true })
    }
  }
  return {
    url,
    put: (key, body, options = {}) =>
      guarded('write', key, options.signal, () => putStream(key, one(body), options.signal, options.condition)),
    putFile: (key, path, options = {}) =>
      guarded('write', key, options.signal, async () => {
        const { size } = await stat(path)
        const source = counted(createReadStream(path), options.progress)
        const result = await putStream(key, source, options.signal)
        const stored = await files.stat(key)
        if (result.outcome !== 'stored' || (stored?.etag === result.etag && stored.sizeBytes !== size)) {
          throw new Error(`${path} changed while it was read`)
        }
        return { etag: result.etag }
      }),
    get: (key, options = {}) =>
      guarded('read', key, options.signal, async () => {
        const opened = await files.open(key)
        if (opened === undefined) return undefined
        const { info, handle } = opened
        const range = clampRange(options.range ?? { start: 0 }, info.sizeBytes)
        if (range === undefined && options.range !== undefined) {
          await handle.close()
          throw new UserError(`range starts after the end of ${key} (${info.sizeBytes} bytes)`, {
            code: 'store-failed',
          })
        }
        const span = range ?? { start: 0, end: Infinity }
        const source = handle.createReadStream({
          ...span,
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        })
        const expected = range === undefined ? 0 : range.end - range.start + 1
        const action = { url, verb: 'read', key, signal: options.signal }
        return { ...info, body: checkedBody(source, expected, (error) => storeError(action, error)) }
      }),
    head: (key, options = {}) => guarded('read', key, options.signal, () => files.stat(key)),
    list: (options = {}) =>
      guarded('list', undefined, options.signal, async () => {
        const { limit = 1000, after, prefix } = options
        const objects: ObjectInfo[] = []
        const walk = walkDirectory(directory, {
          ...(after === undefined ? {} : { after }),
          ...(prefix === undefined ? {} : { prefix }),
        })
        for await (const info of walk) {
          options.signal?.throwIfAborted()
          if (objects.length === limit) return { objects, next: objects.at(-1)?.key ?? '' }
          objects.push(info)
        }
        return { objects }
      }),
    delete: (key, options = {}) => guarded('delete', key, options.signal, () => files.remove(key)),
    close: () => undefined,
  }
}

async function* one(body: Uint8Array | string): AsyncGenerator<Uint8Array> {
  yield typeof body === 'string' ? Buffer.from(body) : body
}

async function* counted(
  source: AsyncIterable<Uint8Array>,
  progress: ((sentBytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let sent = 0
  for await (const chunk of source) {
    yield chunk
    sent += chunk.length
    progress?.(sent)
  }
}

function explainFolderClash(error: unknown, key: string | undefined): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (key === undefined || (code !== 'ENOTDIR' && code !== 'EISDIR' && code !== 'EEXIST' && code !== 'ENOTEMPTY'))
    return error
  return new UserError(`'${key}' cannot be stored: one key is the folder of another in a directory store`, {
    code: 'store-failed',
    cause: error,
  })
}
