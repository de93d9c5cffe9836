import { AsyncLocalStorage } from 'node:async_hooks'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'

const idleTimeoutMs = 60_000

/** The minio client's calls take no signal: this carries it to where its requests are made. */
export const currentSignal = new AsyncLocalStorage<AbortSignal | undefined>()

/** The `request` of Node's http or https, ended by `currentSignal` and after a minute of silence. */
export function makeRequest(tls: boolean): typeof http.request {
  const request = (options: http.RequestOptions, onAnswer: (answer: IncomingMessage) => void) => {
    const signal = currentSignal.getStore()
    const made = (tls ? https : http).request({ ...options, ...(signal === undefined ? {} : { signal }) }, onAnswer)
    made.setTimeout(idleTimeoutMs, () =>
      made.destroy(Object.assign(new Error(`no answer for ${idleTimeoutMs / 1000} s`), { code: 'ETIMEDOUT' })),
    )
    return made
  }
  // The client calls it in this one way only.
  return request as typeof http.request
}
