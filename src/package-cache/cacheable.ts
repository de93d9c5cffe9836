/** A file whose content never changes under its URL, as far as its publisher keeps to the rules of its kind. */
export interface Immutable {
  /** What its content must be, where the URL says so. */
  readonly sha256?: string
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * Is this URL one of a package file or of an index named by its digest? Anything else, as InRelease or a Packages file
 * under its plain name, changes in place. A query may stand for anything.
 */
export function immutableAt(url: URL): Immutable | undefined {
  if (url.search !== '') return undefined
  const path = url.pathname
  const digest = /\/by-hash\/SHA256\/([0-9a-f]{64})$/.exec(path)?.[1]
  if (digest !== undefined) return { sha256: digest }
  return /\/pool\/.+\.(?:deb|udeb|ddeb)$/.test(path) || /\/[^/]+\.(?:rpm|apk)$/.test(path) ? {} : undefined
}

/** May a kept copy answer this request? Not where the answer may depend on who asks. */
export function mayUseCopy(method: string, headers: Headers): boolean {
  return (method === 'GET' || method === 'HEAD') && !['authorization', 'cookie'].some((name) => name in headers)
}

/** May the answer to this request be kept? Only a whole and unconditional one. */
export function mayKeepAnswer(method: string, headers: Headers): boolean {
  const partial = ['range', 'if-range', 'if-modified-since', 'if-none-match', 'if-match', 'if-unmodified-since']
  return method === 'GET' && mayUseCopy(method, headers) && !partial.some((name) => name in headers)
}

/** Bytes of an answer that can be kept: one that is whole, of known length and not encoded. Undefined for any other. */
export function keepableLength(status: number | undefined, headers: Headers): number | undefined {
  const length = headers['content-length']
  if (status !== 200 || typeof length !== 'string' || !/^\d{1,15}$/.test(length)) return undefined
  const encoded = 'content-encoding' in headers || 'transfer-encoding' in headers
  return encoded || 'set-cookie' in headers ? undefined : Number(length)
}

const hopByHop = [
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade'],
]

/** Headers without those that are about one connection only (RFC 9110, 7.6.1). */
export function endToEnd(headers: Headers): Record<string, string | string[]> {
  const named = String(headers['connection'] ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined || hopByHop.includes(name) || named.includes(name)
        ? []
        : [[name, typeof value === 'string' ? value : [...value]]],
    ),
  )
}
