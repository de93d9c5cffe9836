import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hostAddresses, openNetwork, type ContainerNetwork } from '../../src/bake/container/network.ts'
import { openRelay, type Relay } from '../../src/bake/container/relay.ts'
import { openNamespace, type MountNamespace } from '../../src/disk/namespace.ts'
import { findTool } from '../../src/system/tools.ts'
import { Cleanup } from '../../src/util/cleanup.ts'
import { asRoot, toolContext } from '../disk/support.ts'

const missing = (await Promise.all(['slirp4netns', 'ip', 'curl', 'nsenter'].map((name) => findTool(name)))).includes(
  undefined,
)

describe.skipIf(!asRoot || missing)("a container's network", () => {
  const stack = new Cleanup()
  let network: ContainerNetwork
  let guest: MountNamespace
  let relay: Relay
  let open: Server
  let cache: Server
  const body = 'x'.repeat(3_000_000)

  beforeAll(async () => {
    const context = toolContext()
    const router = stack.use(await openNamespace(context, { network: true }))
    network = stack.use(await openNetwork(context, router))
    guest = stack.use(await openNamespace(context, { network: true }))
    await network.attach(guest.pid)
    open = createServer((_request, response) => response.end('reached'))
    cache = createServer((request, response) => {
      response.setHeader('connection', request.url === '/close' ? 'close' : 'keep-alive').end(body)
    })
    await new Promise<void>((resolve) => open.listen(0, '0.0.0.0', resolve))
    await new Promise<void>((resolve) => cache.listen(0, '127.0.0.1', resolve))
    relay = stack.use(await openRelay(network, portOf(cache)))
  })
  afterAll(async () => {
    open.closeAllConnections()
    open.close()
    cache.closeAllConnections()
    cache.close()
    await stack[Symbol.asyncDispose]()
  })

  function portOf(server: Server): number {
    return (server.address() as AddressInfo).port
  }

  /** Runs a command in the guest while this process goes on serving. */
  async function inGuest(...command: readonly string[]): Promise<string> {
    const { stdout } = await guest.run('nsenter', [`--net=/proc/${guest.pid}/ns/net`, '--', ...command], {
      allowFailure: true,
    })
    return stdout
  }

  const get = (url: string) => inGuest('curl', '-s', '-m', '3', url)

  test('does not lead to any port of the host, by whatever address', async () => {
    const addresses = hostAddresses().map(({ address }) => address)
    expect(addresses.length).toBeGreaterThan(0)
    for (const address of [...addresses, `${network.net}.2`, `${network.net}.4`, `${network.net}.100`]) {
      expect([address, await get(`http://${address}:${portOf(open)}/`)]).toEqual([address, ''])
    }
    // The same server answers those who may ask it.
    const own = await fetch(`http://127.0.0.1:${portOf(open)}/`)
    expect(await own.text()).toBe('reached')
  })

  test('nor when the guest changes its own routes and addresses', async () => {
    for (const { address } of hostAddresses().filter((each) => !each.address.startsWith('127.'))) {
      await inGuest('ip', 'route', 'replace', `${address}/32`, 'via', `${network.net}.2`)
      expect(await get(`http://${address}:${portOf(open)}/`)).toBe('')
      await inGuest('ip', 'route', 'replace', `${address}/32`, 'via', `${network.net}.100`)
      expect(await get(`http://${address}:${portOf(open)}/`)).toBe('')
    }
  })

  test('leads to the one port that it is given, whole answers, closed or kept open', async () => {
    expect(relay.url).toBe(`http://${network.net}.4:${portOf(cache)}`)
    expect((await get(`${relay.url}/keep`)).length).toBe(body.length)
    expect((await get(`${relay.url}/close`)).length).toBe(body.length)
    expect(await get(`http://${network.net}.4:${portOf(open)}/`)).toBe('')
  })

  test('survives a port that nobody listens at', async () => {
    const server = createTcpServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise<void>((resolve) => server.close(() => resolve()))
    await using dead = await openRelay(network, port)
    expect(await get(dead.url)).toBe('')
    expect((await get(`${relay.url}/keep`)).length).toBe(body.length)
  })

  test('goes over to the next boot, at once', async () => {
    await using next = await openNamespace(toolContext(), { network: true })
    await network.attach(next.pid)
    const inNext = (...command: readonly string[]) =>
      next.run('nsenter', [`--net=/proc/${next.pid}/ns/net`, '--', ...command], { allowFailure: true })
    expect((await inNext('ip', '-4', '-o', 'address', 'show', 'dev', 'eth0')).stdout).toContain(`${network.net}.15/24`)
    expect((await inNext('curl', '-s', '-m', '5', relay.url)).stdout.length).toBe(body.length)
    expect(await get(relay.url)).toBe('')
  })
})
