import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { hasCode, UserError } from '../errors.ts'
import { checkedBody } from './body.ts'
import { DirectoryFiles } from './directory-files.ts'
import { walkDirectory } from './directory-list.ts'
import type { ListPage, ObjectInfo, ObjectStore, PutCondition, PutResult, StoredObject } from './object-store.ts'
import { clampRange } from './range.ts'
import { guarded, storeError } from './store-errors.ts'
import { writeSynced } from './write-synced.ts'

/**
 * A store in a folder of this machine, made when first written. Safe among processes of one machine; not over network
 * file systems, whose rename and link may not be atomic. A key cannot be another key's folder.
 */
export function openDirectoryStore(directory: string): ObjectStore {
  return new DirectoryStore(directory)
}

class DirectoryStore implements ObjectStore {
  readonly url: string
  readonly #files: DirectoryFiles

  constructor(directory: string) {
    this.url = pathToFileURL(directory).href
    this.#files = new DirectoryFiles(directory)
  }

  put(key: string, body: Uint8Array | string, options: Parameters<ObjectStore['put']>[2] = {}): Promise<PutResult> {
    return this.#guarded('write', key, options.signal, () =>
      this.#putStream(key, single(body), options.signal, options.condition),
    )
  }

  putFile(
    key: string,
    path: string,
    options: Parameters<ObjectStore['putFile']>[2] = {},
  ): Promise<{ readonly etag: string }> {
    return this.#guarded('write', key, options.signal, async () => {
      const { size } = await stat(path)
      const source = exactly(size, path, createReadStream(path), options.progress)
      const result = await this.#putStream(key, source, options.signal)
      if (result.outcome !== 'stored') throw new Error('the directory changed while it was written')
      return { etag: result.etag }
    })
  }

  async #putStream(
    key: string,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
    condition?: PutCondition,
  ): Promise<PutResult> {
    const staged = await this.#files.stagingPath()
    try {
      await writeSynced(staged, source, signal)
      const result = await this.#files.commit(staged, key, condition)
      return result.outcome === 'stored' ? result : { outcome: 'conflict' }
    } finally {
      await rm(staged, { force: true })
    }
  }

  get(key: string, options: Parameters<ObjectStore['get']>[1] = {}): Promise<StoredObject | undefined> {
    const { signal } = options
    return this.#guarded('read', key, signal, async () => {
      const opened = await this.#files.open(key)
      if (opened === undefined) return undefined
      const { info, handle } = opened
      const range = clampRange(options.range ?? { start: 0 }, info.sizeBytes)
      if (range === undefined && options.range !== undefined) {
        await handle.close()
        throw new Error(`the range starts after the end (${info.sizeBytes} bytes)`)
      }
      const source = handle.createReadStream({ ...range, ...(signal === undefined ? {} : { signal }) })
      const expected = range === undefined ? 0 : range.end - range.start + 1
      const toError = (error: unknown) => storeError({ url: this.url, verb: 'read', key, signal }, error)
      return { ...info, body: checkedBody(source, expected, toError) }
    })
  }

  head(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<ObjectInfo | undefined> {
    return this.#guarded('read', key, options.signal, () => this.#files.stat(key))
  }

  list(options: Parameters<ObjectStore['list']>[0] = {}): Promise<ListPage> {
    const { limit = 1000, after = '', prefix = '', leaveOut, signal } = options
    return this.#guarded('list', undefined, signal, async () => {
      const objects: ObjectInfo[] = []
      for await (const info of walkDirectory(this.#files.root, {
        after,
        prefix,
        ...(leaveOut === undefined ? {} : { leaveOut }),
      })) {
        signal?.throwIfAborted()
        if (objects.length === limit) return { objects, next: objects.at(-1)?.key ?? '' }
        objects.push(info)
      }
      return { objects }
    })
  }

  delete(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#guarded('delete', key, options.signal, () => this.#files.remove(key))
  }

  close(): void {
    // Holds nothing between calls.
  }

  #guarded<T>(
    verb: string,
    key: string | undefined,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const action = { url: this.url, verb, signal, ...(key === undefined ? {} : { key }) }
    return guarded(action, work, (error) => explainFolderClash(error, key))
  }
}

async function* single(body: Uint8Array | string): AsyncGenerator<Uint8Array> {
  yield typeof body === 'string' ? Buffer.from(body) : body
}

async function* exactly(
  size: number,
  path: string,
  source: AsyncIterable<Uint8Array>,
  progress: ((sentBytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let sent = 0
  for await (const chunk of source) {
    yield chunk
    sent += chunk.length
    progress?.(sent)
  }
  if (sent !== size) throw new Error(`${path} changed while it was read`)
}

function explainFolderClash(error: unknown, key: string | undefined): unknown {
  if (key === undefined || !['ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY'].some((code) => hasCode(error, code)))
    return error
  return new UserError(`'${key}' cannot be stored: one key is the folder of another in a directory store`, {
    code: 'store-failed',
    cause: error,
  })
}
