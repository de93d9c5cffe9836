import type { Readable } from 'node:stream'

/** What a store says about one object. */
export interface ObjectInfo {
  readonly key: string
  readonly sizeBytes: number
  /** Opaque version of the content, without quotes; equal exactly while the content is the same put. */
  readonly etag: string
  /** Milliseconds since the epoch. */
  readonly modifiedMs: number
}

/**
 * When a put may take effect. `absent`: only if the key does not exist (`If-None-Match: *`). `etag`: only if it is
 * still this version (`If-Match`).
 */
export type PutCondition = { readonly absent: true } | { readonly etag: string }

export interface PutOptions {
  readonly condition?: PutCondition
  readonly contentType?: string
  readonly signal?: AbortSignal
}

export interface GetOptions {
  /** Bytes `start` to `end`, both inclusive, as in HTTP. */
  readonly range?: { readonly start: number; readonly end?: number }
  readonly signal?: AbortSignal
}

export interface StoredObject extends ObjectInfo {
  /** Streams the content; must be consumed or destroyed. */
  readonly body: Readable
}

export interface ListPage {
  readonly objects: readonly ObjectInfo[]
  /** Pass to the next call; undefined on the last page. */
  readonly next?: string
}

export interface ListOptions {
  readonly prefix?: string
  /** A `next` of an earlier page. */
  readonly after?: string
  /** At most this many objects, 1 to 1000; 1000 by default. */
  readonly limit?: number
  /** Keys that are of no interest: left out, so that a page may hold fewer, and a store need not look at them. */
  readonly leaveOut?: (key: string) => boolean
  readonly signal?: AbortSignal
}

/** What a conditional put found. */
export type PutResult =
  | { readonly outcome: 'stored'; readonly etag: string }
  /** The condition did not hold; nothing was changed. */
  | { readonly outcome: 'conflict' }

/**
 * The object store as parbake needs it. Keys are relative to the store's prefix and use [A-Za-z0-9._/-] only.
 * Every method throws a UserError with code `store-unreachable`, `store-denied`, `store-no-bucket`, `store-full` or
 * `store-failed` when the store cannot do it; a missing object is not an error.
 */
export interface ObjectStore {
  /** For messages, e.g. `s3://bucket/prefix`; never holds a secret. */
  readonly url: string
  put(key: string, body: Uint8Array | string, options?: PutOptions): Promise<PutResult>
  /**
   * Uploads a file as one object, in parts where it is large, and checks that what arrived has this size. Readers see the
   * old object or the whole new one. `progress` gets the bytes sent so far.
   */
  putFile(
    key: string,
    path: string,
    options?: Omit<PutOptions, 'condition'> & { readonly progress?: (sentBytes: number) => void },
  ): Promise<{ readonly etag: string }>
  get(key: string, options?: GetOptions): Promise<StoredObject | undefined>
  head(key: string, options?: { readonly signal?: AbortSignal }): Promise<ObjectInfo | undefined>
  /** In ascending byte order of the keys. */
  list(options?: ListOptions): Promise<ListPage>
  /** Deleting what is not there is no error. */
  delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void>
  close(): void
}

/** Hands out every object under a prefix, page by page. */
export async function* listAll(
  store: ObjectStore,
  prefix: string,
  signal?: AbortSignal,
  leaveOut?: ListOptions['leaveOut'],
): AsyncGenerator<ObjectInfo> {
  let after: string | undefined
  do {
    const page = await store.list({
      prefix,
      ...(after === undefined ? {} : { after }),
      ...(signal === undefined ? {} : { signal }),
      ...(leaveOut === undefined ? {} : { leaveOut }),
    })
    yield* page.objects
    after = page.next
  } while (after !== undefined)
}

/** The whole content of a small object, or undefined where there is none. */
export async function getBytes(store: ObjectStore, key: string, signal?: AbortSignal): Promise<Buffer | undefined> {
  const object = await store.get(key, signal === undefined ? {} : { signal })
  if (object === undefined) return undefined
  const chunks: Buffer[] = []
  for await (const chunk of object.body) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** What a list was asked for, for stores whose servers cannot leave keys out. */
export function kept(objects: readonly ObjectInfo[], leaveOut: ListOptions['leaveOut']): readonly ObjectInfo[] {
  return leaveOut === undefined ? objects : objects.filter(({ key }) => !leaveOut(key))
}
