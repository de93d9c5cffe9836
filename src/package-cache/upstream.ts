import { Agent, request, type IncomingMessage, type OutgoingHttpHeaders, type RequestOptions } from 'node:http'
import { hasCode } from '../errors.ts'
import { guardedLookup, hostOf, upstreamProxy, type TargetRules } from './target.ts'

/** How long an archive may be silent. */
const silenceMs = 120_000

/** Where files come from: archives, directly or by the proxy that the environment names. */
export class Upstream {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 })
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #lookup: ReturnType<typeof guardedLookup>

  constructor(rules: TargetRules, env: Readonly<Record<string, string | undefined>>) {
    this.#lookup = guardedLookup(rules)
    this.#env = env
  }

  /**
   * Sends a request without a body and resolves with the answer's head. The host that is asked for is the URL's, whatever
   * the headers say.
   */
  async ask(method: string, url: URL, headers: OutgoingHttpHeaders): Promise<IncomingMessage> {
    const proxy = upstreamProxy(url, this.#env)
    if (proxy !== undefined) await this.#refuseForbidden(hostOf(url))
    const options = this.#optionsOf(method, url, headers, proxy)
    try {
      return await send(options)
    } catch (error) {
      // An archive may close an idle connection at the moment at which it is used again.
      if (error instanceof StaleConnection) return send({ ...options, agent: false })
      throw error
    }
  }

  #optionsOf(method: string, url: URL, headers: OutgoingHttpHeaders, proxy: URL | undefined): RequestOptions {
    const common = { method, agent: this.#agent, timeout: silenceMs }
    const own = { ...headers, host: url.host }
    return proxy === undefined
      ? {
          ...common,
          host: hostOf(url),
          port: url.port === '' ? 80 : Number(url.port),
          path: `${url.pathname}${url.search}`,
          headers: own,
          lookup: this.#lookup,
        }
      : {
          ...common,
          host: hostOf(proxy),
          port: proxy.port === '' ? 80 : Number(proxy.port),
          path: url.href,
          headers: { ...own, ...proxyAuthorization(proxy) },
        }
  }

  close(): void {
    this.#agent.destroy()
  }

  /** A proxy resolves names itself, and may be the only one who can; what we can see we refuse all the same. */
  #refuseForbidden(host: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#lookup(host, { all: true }, (error) => (error?.code === 'EACCES' ? reject(error) : resolve()))
    })
  }
}

class StaleConnection extends Error {}

function send(options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options)
    let answer: IncomingMessage | undefined
    outgoing.on('timeout', () => (answer ?? outgoing).destroy(new Error(`no answer for ${silenceMs / 1000} s`)))
    outgoing.once('response', (message) => {
      answer = message
      resolve(message)
    })
    // After the head as well, where the answer itself tells its reader.
    outgoing.on('error', (error) => {
      const stale = outgoing.reusedSocket && (hasCode(error, 'ECONNRESET') || hasCode(error, 'EPIPE'))
      reject(stale ? new StaleConnection(error.message, { cause: error }) : error)
    })
    outgoing.end()
  })
}

function proxyAuthorization(proxy: URL): OutgoingHttpHeaders {
  if (proxy.username === '') return {}
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}
