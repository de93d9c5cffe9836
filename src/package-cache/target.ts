import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

/** Where a guest may be led. */
export interface TargetRules {
  /** For tests: servers on this machine, on any port. */
  readonly allowLoopback: boolean
  /** This machine's own addresses: a guest is cut off from its services. */
  ownAddresses(): readonly string[]
}

const loopback = blockList([
  ['127.0.0.0', 8],
  ['::1', 128],
])

/** Link-local addresses hold the metadata services of clouds; the rest is what no archive has. */
const forbidden = blockList([
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 3],
  // Metadata services outside of that: Alibaba, Azure, Oracle, EC2 by IPv6.
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  ['fd00:ec2::254', 128],
  ['::', 128],
  ['fe80::', 10],
  ['ff00::', 8],
])

function blockList(nets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [address, prefix] of nets) list.addSubnet(address, prefix, isIP(address) === 6 ? 'ipv6' : 'ipv4')
  return list
}

/** The rules for guests of this machine. */
export function targetRules(allowLoopback: boolean): TargetRules {
  return {
    allowLoopback,
    // Asked for anew each time: networks for guests come and go.
    ownAddresses: () =>
      Object.values(networkInterfaces()).flatMap((each) => (each ?? []).map(({ address }) => address)),
  }
}

/** May a guest be led to this address (IPv4 or IPv6, the latter also with an IPv4 address in it)? */
export function isAllowed(address: string, rules: TargetRules): boolean {
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
  if (loopback.check(address, family)) return rules.allowLoopback
  if (forbidden.check(address, family)) return false
  const own = new BlockList()
  for (const mine of rules.ownAddresses()) own.addAddress(mine, isIP(mine) === 6 ? 'ipv6' : 'ipv4')
  return !own.check(address, family)
}

/** Why a request for this URL is refused whatever its name resolves to; undefined where it is not. */
export function refusalOf(url: URL, rules: TargetRules): string | undefined {
  if (url.protocol !== 'http:') return 'only http:// URLs are fetched here'
  if (url.username !== '' || url.password !== '') return 'URLs with credentials are not fetched here'
  // The URL parser drops the port where it is the scheme's own.
  if (url.port !== '' && !rules.allowLoopback) return 'only port 80 is reached from here'
  const host = hostOf(url)
  const name = host.replace(/\.$/, '')
  const local = name === 'localhost' || name.endsWith('.localhost')
  if ((local && !rules.allowLoopback) || name === 'metadata.google.internal') return `${host} is not reached from here`
  return isIP(host) !== 0 && !isAllowed(host, rules) ? `${host} is not reached from here` : undefined
}

/** The host of a URL as sockets take it: an IPv6 address without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

/**
 * A resolver for sockets that gives allowed addresses only, so that what is checked is what is connected to. The error
 * has code `EACCES` where a name has no others.
 */
export function guardedLookup(rules: TargetRules) {
  return (name: string, options: LookupOptions, callback: LookupCallback): void => {
    dnsLookup(name, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const allowed = addresses.filter(({ address }) => isAllowed(address, rules))
      const [first] = allowed
      if (first === undefined) {
        return callback(Object.assign(new Error(`${name} is not reached from here`), { code: 'EACCES' }), [])
      }
      return options.all === true ? callback(null, allowed) : callback(null, first.address, first.family)
    })
  }
}

/** The proxy that the environment asks for, or undefined where a URL is reached directly. Throws for a bad one. */
export function upstreamProxy(url: URL, env: Readonly<Record<string, string | undefined>>): URL | undefined {
  const text = env['http_proxy'] || env['HTTP_PROXY']
  if (text === undefined || text === '') return undefined
  const exceptions = (env['no_proxy'] ?? env['NO_PROXY'] ?? '').split(',').map((item) => item.trim().toLowerCase())
  const host = hostOf(url).toLowerCase()
  const isException = exceptions.some((item) => {
    const suffix = item.replace(/^\*?\./, '')
    return item === '*' || (suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`)))
  })
  return isException ? undefined : new URL(text.includes('://') ? text : `http://${text}`)
}
