import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { EventEmitter, once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { OpenFile, PackageFiles } from './files.ts'

/** What reads are made of. */
const chunkBytes = 64 * 1024

/** The content of an open file from its beginning. Does not close it. */
export async function* contentOf(file: OpenFile): AsyncGenerator<Buffer> {
  for (let position = 0; position < file.head.bytes;) {
    const chunk = await readAt(file, position, file.head.bytes)
    if (chunk.length === 0) throw new Error('the file is shorter than it says')
    position += chunk.length
    yield chunk
  }
}

async function readAt(file: OpenFile, position: number, end: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, end - position))
  const { bytesRead } = await file.handle.read(buffer, 0, buffer.length, file.offset + position)
  return buffer.subarray(0, bytesRead)
}

/**
 * One download that is written to a file and read by everybody who asked for it, each at his own speed. Ends when it is
 * done, or when nobody reads it any more.
 */
export class Download {
  readonly file: OpenFile
  /** Settles when the file is kept, or removed because it is not what it must be. */
  readonly finished: Promise<void>
  readonly #files: PackageFiles
  readonly #answer: IncomingMessage
  readonly #progress = new EventEmitter().setMaxListeners(0)
  #written = 0
  #readers = 0
  #state: 'running' | 'failed' | 'done' = 'running'
  #isWanted = true
  #closed = false

  constructor(files: PackageFiles, file: OpenFile, answer: IncomingMessage) {
    this.file = file
    this.#files = files
    this.#answer = answer
    this.finished = this.#run()
  }

  /** Once it is done: was it what it must be, and kept? */
  get isKept(): boolean {
    return this.#state === 'done' && this.#isWanted
  }

  /** Lets those who read it have it, but does not keep it. */
  discard(): void {
    this.#isWanted = false
  }

  /** Cuts it; readers see an error. */
  abort(): void {
    this.#answer.destroy()
  }

  /** Counts the caller as a reader from now on, and gives what comes. The stream must be begun or ended. */
  join(): AsyncGenerator<Buffer> {
    this.#readers += 1
    return this.#read()
  }

  /** A reader is gone. */
  leave(): void {
    this.#readers -= 1
    if (this.#readers === 0 && this.#state === 'running') this.abort()
    void this.#closeUnused()
  }

  async *#read(): AsyncGenerator<Buffer> {
    for (let position = 0; position < this.file.head.bytes;) {
      while (position >= this.#written) {
        if (this.#state !== 'running') throw new Error('the download was cut')
        await once(this.#progress, 'progress')
      }
      const chunk = await readAt(this.file, position, this.#written)
      position += chunk.length
      yield chunk
    }
  }

  async #run(): Promise<void> {
    const { head, handle, offset, path } = this.file
    const hash = head.sha256 === undefined ? undefined : createHash('sha256')
    try {
      for await (const chunk of this.#answer as AsyncIterable<Buffer>) {
        hash?.update(chunk)
        await handle.write(chunk, 0, chunk.length, offset + this.#written)
        this.#written += chunk.length
        this.#progress.emit('progress')
      }
      if (this.#written !== head.bytes) throw new Error('the download was cut')
      if (hash !== undefined && hash.digest('hex') !== head.sha256) this.discard()
      if (this.#isWanted) await this.#files.commit(this.file)
      this.#state = 'done'
    } catch {
      this.#state = 'failed'
      this.#answer.destroy()
    }
    if (!this.isKept) await rm(path, { force: true })
    this.#progress.emit('progress')
    await this.#closeUnused()
  }

  /** The file stays open as long as anybody reads or writes it. */
  async #closeUnused(): Promise<void> {
    if (this.#state === 'running' || this.#readers > 0 || this.#closed) return
    this.#closed = true
    await this.file.handle.close()
  }
}
