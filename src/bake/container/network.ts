import { spawn } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import type { Readable } from 'node:stream'
import type { Context } from '../../context.ts'
import { UserError } from '../../errors.ts'
import { throwIfInterrupted, type MountNamespace } from '../../disk/namespace.ts'
import { run } from '../../system/run.ts'
import { needTool } from '../../system/tools.ts'
import { Cleanup } from '../../util/cleanup.ts'

/*
 * The system to bake is root in its network namespace and may change it as it likes, so what it must not reach is fenced
 * off in a second one, through which all its packets go:
 *
 *   container          router                          host
 *   eth0 .15  ──veth── guest, proxy ARP ── tap0 ── slirp4netns, ordinary sockets of this machine
 *                      .4 the package cache's relay
 *                      prohibit: every address of the host, link-local (cloud metadata)
 *
 * slirp4netns itself refuses the host's loopback. Addresses are those of QEMU's user network: .2 gateway, .3 name server.
 */

/** The network of a container. */
export interface ContainerNetwork extends AsyncDisposable {
  /** First three numbers of its addresses, e.g. `10.0.2`. */
  readonly net: string
  /** Gives the network namespace of a process its interface, which goes when the namespace goes. */
  attach(pid: number): Promise<void>
  /** The argv that runs a command on the router. */
  router(command: string, args: readonly string[]): readonly [string, ...string[]]
}

/** Networks to choose from: that of QEMU, and others for hosts that are in it themselves. */
const candidates = ['10.0.2', '10.0.3', '10.213.77', '172.29.213', '192.168.213']

/** An IPv4 address of this machine. */
export interface HostAddress {
  readonly address: string
  readonly netmask: string
}

/** A network that this machine is not in. Pure. */
export function chooseNet(addresses: readonly HostAddress[]): string {
  const free = candidates.find((net) =>
    addresses.every(({ address, netmask }) => {
      const mask = number(netmask) & number('255.255.255.0')
      return (number(address) & mask) !== (number(`${net}.0`) & mask)
    }),
  )
  return free ?? 'none'
}

/** What the container must not reach: this machine by any of its addresses, and what clouds tell their machines. Pure. */
export function prohibited(addresses: readonly HostAddress[]): readonly string[] {
  const own = addresses.map(({ address }) => address).filter((address) => !address.startsWith('127.'))
  return [...new Set([...own.map((address) => `${address}/32`), '169.254.0.0/16'])]
}

function number(address: string): number {
  return address.split('.').reduce((sum, part) => (sum << 8) | Number(part), 0)
}

/** All IPv4 addresses of this machine. */
export function hostAddresses(): readonly HostAddress[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).filter(({ family }) => family === 'IPv4'))
}

const routerScript = `
set -e
net=$1
shift
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 2>/dev/null || :
ip link set lo up
ip address add "$net.4/32" dev lo
echo 1 >/proc/sys/net/ipv4/conf/tap0/proxy_arp
echo 0 >/proc/sys/net/ipv4/neigh/tap0/proxy_delay
for address in "$@"; do ip route add prohibit "$address"; done
echo 1 >/proc/sys/net/ipv4/ip_forward
`

/** The kernel may still be busy with the end of the system before. */
const attachScript = `
set -e
ip link delete guest 2>/dev/null || :
ip link add name guest mtu 65520 type veth peer name eth0 netns "$2"
echo 1 >/proc/sys/net/ipv4/conf/guest/proxy_arp
echo 0 >/proc/sys/net/ipv4/neigh/guest/proxy_delay
ip link set guest up
ip route add "$1.15/32" dev guest
`

/**
 * For systems that do not set up interfaces by themselves. The address is to the last bit what networkd makes of its unit: it
 * replaces one without a broadcast address again and again, which takes a whole processor.
 */
const guestScript = `
set -e
ip link set lo up
ip link set eth0 mtu 65520 up
ip address replace "$1.15/24" broadcast "$1.255" dev eth0
ip route replace default via "$1.2"
`

/** Prepares what joins a container with the outside by way of `router`, a namespace opened with `network`. */
export async function openNetwork(context: Context, router: MountNamespace): Promise<ContainerNetwork> {
  throwIfInterrupted(context.signal)
  const addresses = hostAddresses()
  const net = chooseNet(addresses)
  if (net === 'none') throw new UserError(`this machine is in all of the networks ${candidates.join(', ')}`)
  const nsenter = await needTool('nsenter')
  const inside = (pid: number, command: string, args: readonly string[]) =>
    [nsenter, `--net=/proc/${pid}/ns/net`, '--', command, ...args] as const
  const sh = (pid: number, script: string, args: readonly string[]) => {
    const [command, ...rest] = inside(pid, 'sh', ['-c', script, 'network', ...args])
    return run(command, rest, { purpose: 'set up the network of a container' })
  }
  await using stack = new Cleanup()
  stack.use(await startSlirp(router.pid, net))
  await sh(router.pid, routerScript, [net, ...prohibited(addresses)])
  const kept = stack.move()
  return {
    net,
    attach: async (pid) => {
      await sh(router.pid, attachScript, [net, String(pid)])
      await sh(pid, guestScript, [net])
    },
    router: (command, args) => inside(router.pid, command, args),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  }
}

async function startSlirp(pid: number, net: string): Promise<AsyncDisposable> {
  const slirp = await needTool('slirp4netns')
  const child = spawn(
    await needTool('setpriv'),
    [
      ...['--pdeathsig', 'KILL', slirp, '--configure', '--mtu=65520', '--disable-host-loopback'],
      ...['--enable-sandbox', '--enable-seccomp', `--cidr=${net}.0/24`, '--ready-fd=3'],
      ...['--netns-type=path', `/proc/${pid}/ns/net`, 'tap0'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'], detached: true },
  )
  let stderr = ''
  child.stderr?.on('data', (chunk: Buffer) => (stderr = `${stderr}${chunk.toString()}`.slice(-4096)))
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  const ready = new Promise<boolean>((resolve) => (child.stdio[3] as Readable).once('data', () => resolve(true)))
  if (!(await Promise.race([ready, closed.then(() => false)]))) {
    throw new UserError(`slirp4netns does not start: ${stderr.trim()}`, { code: 'network-failed' })
  }
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await closed
    },
  }
}

/** How systemd-networkd finds what is set up already, so that it does not ask a DHCP server that is not there. Pure. */
export function networkdUnit(net: string): string {
  return [
    '[Match]',
    'Name=eth0',
    '[Network]',
    `Address=${net}.15/24`,
    `Gateway=${net}.2`,
    `DNS=${net}.3`,
    'LinkLocalAddressing=no',
    'IPv6AcceptRA=no',
    '',
  ].join('\n')
}
