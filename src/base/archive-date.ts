import { InterruptedError, messageOf, UserError } from '../errors.ts'
import type { BaseDefinition } from './definition.ts'

/**
 * Unix seconds of the newest of the archives' release files: the date that a base built from them bears, so that two
 * builds from the same archives bear the same. Throws UserError where an archive cannot be reached, before anything
 * else is done. Undefined for archives that are not served by HTTP.
 */
export async function archiveDate(definition: BaseDefinition, signal: AbortSignal): Promise<number | undefined> {
  const urls = [
    `${definition.mirror}/dists/${definition.suite}/Release`,
    `${definition.mirror}/dists/${definition.suite}-updates/Release`,
    `${definition.securityMirror}/dists/${definition.suite}-security/Release`,
  ].filter((url) => url.startsWith('http'))
  const dates = await Promise.all(urls.map((url) => releaseDate(url, signal)))
  return dates.length === 0 ? undefined : Math.max(...dates)
}

async function releaseDate(url: string, signal: AbortSignal): Promise<number> {
  const hint = 'check the network, or name another mirror: --mirror URL or PARBAKE_DEBIAN_MIRROR'
  let text: string
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(30_000)]) })
    text = await response.text()
    if (!response.ok) throw new UserError(`${url} answers ${response.status}`, { hint, code: 'mirror-failed' })
  } catch (error) {
    if (signal.aborted) throw new InterruptedError()
    if (error instanceof UserError) throw error
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
    throw new UserError(`cannot reach ${url}: ${cause}`, { hint, cause: error, code: 'mirror-unreachable' })
  }
  const seconds = parseReleaseDate(text)
  if (seconds === undefined) throw new UserError(`${url} is no release file of a Debian archive`, { hint })
  return seconds
}

/** Unix seconds of the Date field of a Release file. */
export function parseReleaseDate(text: string): number | undefined {
  const date = /^Date: (.+)$/m.exec(text)?.[1]
  const milliseconds = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000)
}
