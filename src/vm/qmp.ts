import type { Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import { UserError } from '../errors.ts'

/** An event that QEMU sends by itself, e.g. SHUTDOWN or JOB_STATUS_CHANGE. */
export interface QmpEvent {
  readonly event: string
  readonly data?: Readonly<Record<string, unknown>>
}

interface QmpMessage extends Partial<QmpEvent> {
  readonly QMP?: unknown
  readonly id?: number
  readonly return?: unknown
  readonly error?: { readonly class: string; readonly desc: string }
}

interface Waiter {
  readonly command: string
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** A QMP session over a connected socket: commands in, answers and events out. */
export class QmpClient {
  readonly #socket: Socket
  readonly #pending = new Map<number, Waiter>()
  readonly #listeners = new Set<(event: QmpEvent) => void>()
  #nextId = 1
  #buffer = ''
  #ended = false
  #greeted: () => void = () => {}
  /** Resolves when the session is over, normally because QEMU is gone. */
  readonly closed: Promise<void>

  private constructor(socket: Socket) {
    this.#socket = socket
    const decoder = new StringDecoder('utf8')
    socket.on('data', (chunk: Buffer) => this.#receive(decoder.write(chunk)))
    // An error is followed by close, where all that waits is told.
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#end()
        resolve()
      })
    })
  }

  /** Waits for QEMU's greeting and leaves negotiation mode. Rejects when the socket closes first. */
  static async start(socket: Socket): Promise<QmpClient> {
    const client = new QmpClient(socket)
    await new Promise<void>((resolve, reject) => {
      client.#greeted = resolve
      socket.once('close', () => reject(new UserError('QEMU closed its control socket', { code: 'qmp-closed' })))
    })
    await client.execute('qmp_capabilities')
    return client
  }

  /** Runs one command and returns what QEMU returned. Throws UserError with QEMU's own description when it refuses. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#ended) return Promise.reject(closedError(command))
    const id = this.#nextId
    this.#nextId += 1
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { command, resolve, reject })
      this.#socket.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }), id })}\n`)
    })
  }

  /** Calls `listener` for every event from now on; returns the function that stops that. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(text: string): void {
    this.#buffer += text
    const lines = this.#buffer.split('\n')
    this.#buffer = lines.pop() ?? ''
    for (const line of lines) {
      if (line.trim() !== '') this.#dispatch(JSON.parse(line) as QmpMessage)
    }
  }

  #dispatch(message: QmpMessage): void {
    if (message.QMP !== undefined) {
      this.#greeted()
    } else if (message.event !== undefined) {
      const event: QmpEvent = { event: message.event, ...(message.data && { data: message.data }) }
      for (const listener of this.#listeners) listener(event)
    } else if (message.id !== undefined) {
      this.#answer(message.id, message)
    }
  }

  #answer(id: number, message: QmpMessage): void {
    const waiter = this.#pending.get(id)
    this.#pending.delete(id)
    if (message.error === undefined) {
      waiter?.resolve(message.return)
    } else {
      waiter?.reject(new UserError(`QEMU refused '${waiter.command}': ${message.error.desc}`, { code: 'qmp-refused' }))
    }
  }

  #end(): void {
    this.#ended = true
    for (const waiter of this.#pending.values()) waiter.reject(closedError(waiter.command))
    this.#pending.clear()
  }
}

function closedError(command: string): UserError {
  return new UserError(`QEMU closed its control socket before it answered '${command}'`, { code: 'qmp-closed' })
}
