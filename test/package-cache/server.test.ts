import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, mkdir, readdir, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { packageFiles } from '../../src/package-cache/files.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { ask, bench, startOrigin } from './support.ts'

const content = randomBytes(300_000)
const deb = '/debian/pool/main/h/hello/hello_1_amd64.deb'
const modified = 'Tue, 01 Sep 2026 00:00:00 GMT'
const whole = (response: ServerResponse, body: Uint8Array = content) =>
  response
    .writeHead(200, {
      'content-length': body.length,
      'content-type': 'x/deb',
      'last-modified': modified,
      'x-other': '1',
    })
    .end(body)

describe('a package file', () => {
  test('is downloaded once, over bakes', async () => {
    const origin = await startOrigin((_, response) => whole(response))
    const { start, folder } = await bench()
    const first = await start()
    const fresh = await ask(first.port, `${origin.url}${deb}`)
    expect(fresh.body.equals(content)).toBe(true)
    expect(first.stats()).toEqual({ hits: 0, misses: 1, bytesFromCache: 0 })
    await first[Symbol.asyncDispose]()
    const second = await start()
    const cached = await ask(second.port, `${origin.url}${deb}`)
    expect(cached.body.equals(content)).toBe(true)
    expect(cached.headers).toMatchObject({
      'content-length': '300000',
      'content-type': 'x/deb',
      'last-modified': modified,
    })
    expect(second.stats()).toEqual({ hits: 1, misses: 0, bytesFromCache: 300_000 })
    expect(origin.asked).toEqual([`GET ${deb}`])
    expect(await readdir(folder)).toEqual([sha256(`${origin.url}${deb}`)])
  })

  test('of another URL is another file', async () => {
    const origin = await startOrigin((incoming, response) => whole(response, Buffer.from(incoming.url ?? '')))
    const cache = await (await bench()).start()
    for (const path of ['/pool/a.deb', '/pool/b.deb', '/pool/a.deb']) {
      expect((await ask(cache.port, `${origin.url}${path}`)).body.toString()).toBe(path)
    }
    expect(origin.asked).toHaveLength(2)
  })

  test('that many ask for at the same time is downloaded once, and all get it as it comes', async () => {
    let goOn = () => {}
    const origin = await startOrigin((_, response) => {
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.subarray(0, 1000))
      goOn = () => response.end(content.subarray(1000))
    })
    const { start, folder } = await bench()
    const cache = await start()
    let begun = 0
    const all = Array.from({ length: 5 }, async () => {
      const outgoing = request({ host: '127.0.0.1', port: cache.port, path: `${origin.url}${deb}`, agent: false }).end()
      const [answer] = (await once(outgoing, 'response')) as [AsyncIterable<Buffer>]
      const chunks: Buffer[] = []
      for await (const chunk of answer) {
        if (chunks.push(chunk) === 1 && (begun += 1) === 5) goOn()
      }
      return Buffer.concat(chunks)
    })
    expect((await Promise.all(all)).every((body) => body.equals(content))).toBe(true)
    expect(origin.asked).toHaveLength(1)
    expect(cache.stats()).toEqual({ hits: 4, misses: 1, bytesFromCache: 1_200_000 })
    expect(await readdir(folder)).toHaveLength(1)
  })

  test('is kept though the first who asked has gone, if others wait', async () => {
    let goOn = () => {}
    const origin = await startOrigin((_, response) => {
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.subarray(0, 1000))
      goOn = () => response.end(content.subarray(1000))
    })
    const { start, folder } = await bench()
    const cache = await start()
    const begin = async () => {
      const outgoing = request({ host: '127.0.0.1', port: cache.port, path: `${origin.url}${deb}`, agent: false })
      outgoing.on('error', () => {}).end()
      const [answer] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream]
      return { outgoing, answer: answer.on('error', () => {}) as AsyncIterable<Buffer> }
    }
    const first = await begin()
    const second = await begin()
    first.outgoing.destroy()
    setTimeout(() => goOn(), 50)
    const chunks: Buffer[] = []
    for await (const chunk of second.answer) chunks.push(chunk)
    expect(Buffer.concat(chunks).equals(content)).toBe(true)
    await cache.forget()
    expect(await readdir(folder)).toEqual([])
  })

  test('that is cut leaves nothing, and the client sees that it is cut', async () => {
    const origin = await startOrigin((_, response) => {
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.subarray(0, 100_000), () => response.destroy())
    })
    const { start, folder } = await bench()
    const cache = await start()
    await expect(ask(cache.port, `${origin.url}${deb}`)).rejects.toThrow(/aborted|reset|hang up/)
    await cache[Symbol.asyncDispose]()
    expect(await readdir(folder)).toEqual([])
  })

  test('that nobody waits for any more leaves nothing', async () => {
    const closed: Promise<unknown>[] = []
    const origin = await startOrigin((_, response) => {
      closed.push(once(response, 'close'))
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.subarray(0, 100_000))
    })
    const { start, folder } = await bench()
    const cache = await start()
    const outgoing = request({ host: '127.0.0.1', port: cache.port, path: `${origin.url}${deb}`, agent: false }).end()
    await once(outgoing, 'response')
    outgoing.on('error', () => {}).destroy()
    await Promise.all(closed)
    await cache[Symbol.asyncDispose]()
    expect(await readdir(folder)).toEqual([])
  })

  test('under way when the cache is closed leaves nothing', async () => {
    const origin = await startOrigin((_, response) => {
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.subarray(0, 100_000))
    })
    const { start, folder } = await bench()
    const cache = await start()
    const outcome = ask(cache.port, `${origin.url}${deb}`).then(
      () => 'whole',
      () => 'cut',
    )
    while ((await readdir(folder).catch(() => [])).length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await cache[Symbol.asyncDispose]()
    expect(await outcome).toBe('cut')
    expect(await readdir(folder)).toEqual([])
  })

  test.each([
    ['no length', (response: ServerResponse) => response.writeHead(200).end(content)],
    ['another status', (response: ServerResponse) => response.writeHead(404, { 'content-length': 2 }).end('no')],
    ['a redirection', (response: ServerResponse) => response.writeHead(302, { location: 'http://x/' }).end()],
    [
      'an encoding',
      (response: ServerResponse) =>
        response.writeHead(200, { 'content-length': 2, 'content-encoding': 'gzip' }).end('no'),
    ],
  ])('with %s is passed on and not kept', async (_, answer) => {
    const origin = await startOrigin((_request, response) => answer(response))
    const { start, folder } = await bench()
    const cache = await start()
    const direct = await ask(Number(new URL(origin.url).port), deb)
    for (let count = 0; count < 2; count += 1) {
      const passed = await ask(cache.port, `${origin.url}${deb}`)
      expect([passed.status, passed.headers['location']]).toEqual([direct.status, direct.headers['location']])
      expect(passed.body.equals(direct.body)).toBe(true)
    }
    expect(origin.asked).toHaveLength(3)
    expect(await readdir(folder).catch(() => [])).toEqual([])
  })

  test('is asked for again where the kept one is not whole', async () => {
    const origin = await startOrigin((_, response) => whole(response))
    const { start, folder } = await bench()
    const cache = await start()
    const url = `${origin.url}${deb}`
    await ask(cache.port, url)
    const path = join(folder, sha256(url))
    for (const damage of [() => truncate(path, 1000), () => appendFile(path, 'x'), () => writeFile(path, '')]) {
      await damage()
      expect((await ask(cache.port, url)).body.equals(content)).toBe(true)
    }
    expect(origin.asked).toHaveLength(4)
    expect(cache.stats().hits).toBe(0)
  })

  test('is larger than all that may be kept: passed on', async () => {
    const origin = await startOrigin((_, response) => whole(response))
    const { start, folder } = await bench(1000)
    const cache = await start()
    expect((await ask(cache.port, `${origin.url}${deb}`)).body.equals(content)).toBe(true)
    expect(await readdir(folder)).toEqual([])
  })

  test('goes, the longest unused first, when the bound is reached', async () => {
    const origin = await startOrigin((_, response) => whole(response))
    const { start, folder } = await bench(700_000)
    const cache = await start()
    const get = (name: string) => ask(cache.port, `${origin.url}/pool/${name}.deb`)
    const path = (name: string) => join(folder, sha256(`${origin.url}/pool/${name}.deb`))
    await get('a')
    await get('b')
    await utimes(path('a'), 1000, 1000)
    await utimes(path('b'), 2000, 2000)
    await get('a')
    await get('c')
    await cache[Symbol.asyncDispose]()
    expect((await readdir(folder)).toSorted()).toEqual(
      ['a', 'c'].map((name) => path(name).split('/').at(-1) ?? '').toSorted(),
    )
  })
})

describe('an index by digest', () => {
  const path = `/dists/x/by-hash/SHA256/${sha256(content)}`

  test('is kept where it is what its name says', async () => {
    const origin = await startOrigin((_, response) => whole(response))
    const cache = await (await bench()).start()
    for (let count = 0; count < 2; count += 1) {
      expect((await ask(cache.port, `${origin.url}${path}`)).body.equals(content)).toBe(true)
    }
    expect(origin.asked).toHaveLength(1)
  })

  test('is passed on but not kept where it is not', async () => {
    const origin = await startOrigin((_, response) => whole(response, Buffer.from('something else')))
    const { start, folder } = await bench()
    const cache = await start()
    for (let count = 0; count < 2; count += 1) {
      expect((await ask(cache.port, `${origin.url}${path}`)).body.toString()).toBe('something else')
    }
    expect(origin.asked).toHaveLength(2)
    expect(await readdir(folder)).toEqual([])
  })

  test('that was changed in the cache is fetched again', async () => {
    const origin = await startOrigin((_, response) => whole(response))
    const { start, folder } = await bench()
    const cache = await start()
    await ask(cache.port, `${origin.url}${path}`)
    const file = join(folder, sha256(`${origin.url}${path}`))
    const bytes = await readFile(file)
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    await writeFile(file, bytes)
    expect((await ask(cache.port, `${origin.url}${path}`)).body.equals(content)).toBe(true)
    expect(origin.asked).toHaveLength(2)
  })
})

describe('anything else', () => {
  test('is passed through each time, conditions and all', async () => {
    const origin = await startOrigin((incoming, response) =>
      incoming.headers['if-modified-since'] === modified ? response.writeHead(304).end() : whole(response),
    )
    const cache = await (await bench()).start()
    const url = `${origin.url}/debian/dists/bookworm/InRelease?x=1`
    expect((await ask(cache.port, url)).headers['x-other']).toBe('1')
    expect((await ask(cache.port, url, { headers: { 'if-modified-since': modified } })).status).toBe(304)
    expect(origin.asked).toEqual(Array.from({ length: 2 }, () => 'GET /debian/dists/bookworm/InRelease?x=1'))
    expect(cache.stats()).toEqual({ hits: 0, misses: 0, bytesFromCache: 0 })
  })

  test('a part of a package is passed through until the whole is there', async () => {
    const origin = await startOrigin((incoming, response) =>
      incoming.headers.range === undefined
        ? whole(response)
        : response.writeHead(206, { 'content-length': 2, 'content-range': 'bytes 1-2/9' }).end('ab'),
    )
    const cache = await (await bench()).start()
    const url = `${origin.url}${deb}`
    const part = () => ask(cache.port, url, { headers: { range: 'bytes=1-2' } })
    expect((await part()).status).toBe(206)
    expect((await ask(cache.port, url, { method: 'HEAD' })).headers['content-length']).toBe('300000')
    await ask(cache.port, url)
    // A server may answer with the whole (RFC 9110, 14.2).
    expect((await part()).status).toBe(200)
    expect((await ask(cache.port, url, { method: 'HEAD' })).headers['content-length']).toBe('300000')
    expect(origin.asked).toEqual([`GET ${deb}`, `HEAD ${deb}`, `GET ${deb}`])
  })

  test('the host that is asked is the URL’s, whatever the Host header says', async () => {
    const origin = await startOrigin((_, response) => whole(response))
    const cache = await (await bench()).start()
    await ask(cache.port, `${origin.url}${deb}`, { headers: { host: 'evil.example' } })
    expect(origin.headers[0]?.host).toBe(new URL(origin.url).host)
  })
})

describe('it is no open proxy', () => {
  test.each([
    ['POST', 'http://127.0.0.1/x', 405],
    ['GET', '/path/only', 400],
    ['GET', 'https://deb.debian.org/x', 403],
    ['GET', 'http://127.0.0.1:22/x', 403],
    ['GET', 'http://127.0.0.1/x', 403],
    ['GET', 'http://169.254.169.254/latest/meta-data/', 403],
    ['GET', 'http://deb.debian.org:443/x', 403],
  ])('%s %s: %d', async (method, url, status) => {
    const cache = await (await bench()).start({ allowLoopback: false })
    expect((await ask(cache.port, url, { method })).status).toBe(status)
  })

  test('a name that resolves to this machine is refused as well', async () => {
    const { hostname } = await import('node:os')
    const { lookup } = await import('node:dns/promises')
    const own = await lookup(hostname()).catch(() => undefined)
    const cache = await (await bench()).start({ allowLoopback: false })
    const { status, body } = await ask(cache.port, `http://${hostname()}/pool/x.deb`)
    expect(own === undefined ? [502, 403] : [403]).toContain(status)
    expect(body.toString()).toMatch(/is not reached from here|cannot fetch this/)
  })

  test('CONNECT is refused', async () => {
    const cache = await (await bench()).start()
    const socket = connect(cache.port, '127.0.0.1')
    socket.write('CONNECT deb.debian.org:443 HTTP/1.1\r\nHost: deb.debian.org:443\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 405 /)
    socket.destroy()
  })

  test('an archive that is not there is a 502 that says why', async () => {
    const cache = await (await bench()).start()
    const { status, body } = await ask(cache.port, 'http://127.0.0.1:1/pool/x.deb')
    expect([status, body.toString()]).toEqual([502, expect.stringContaining('ECONNREFUSED')])
  })
})

test('an upstream proxy is asked for whole URLs, with its own credentials and not the guest’s', async () => {
  const proxy = await startOrigin((_, response) => whole(response))
  const cache = await (
    await bench()
  ).start({
    allowLoopback: false,
    env: { http_proxy: proxy.url.replace('http://', 'http://user:p%40ss@') },
  })
  const url = `http://unresolvable.invalid${deb}`
  await ask(cache.port, url, { headers: { 'proxy-authorization': 'Basic guest' } })
  await ask(cache.port, url)
  expect(proxy.asked).toEqual([`GET ${url}`])
  expect(proxy.headers[0]).toMatchObject({
    host: 'unresolvable.invalid',
    'proxy-authorization': `Basic ${Buffer.from('user:p@ss').toString('base64')}`,
  })
  expect((await ask(cache.port, 'http://localhost/pool/x.deb')).status).toBe(403)
  expect(proxy.asked).toHaveLength(1)
})

test('forget removes what was served since the start, downloaded or not, and nothing else', async () => {
  const origin = await startOrigin((_, response) => whole(response))
  const { start, folder } = await bench()
  const get = (port: number, name: string) => ask(port, `${origin.url}/pool/${name}.deb`)
  const first = await start()
  await get(first.port, 'old')
  await get(first.port, 'used')
  await first[Symbol.asyncDispose]()
  const second = await start()
  await get(second.port, 'used')
  await get(second.port, 'new')
  await second.forget()
  expect(await readdir(folder)).toEqual([sha256(`${origin.url}/pool/old.deb`)])
  expect((await get(second.port, 'new')).body.equals(content)).toBe(true)
})

test('a unix socket is for its owner only, and gone with the cache', async () => {
  const origin = await startOrigin((_, response) => whole(response))
  const { start, context } = await bench()
  const path = join(context.config.cacheDir, 'socket')
  const cache = await start({ path })
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await ask(path, `${origin.url}${deb}`)).body.equals(content)).toBe(true)
  await expect(start({ path })).rejects.toThrow(/cannot start the package cache/)
  await cache[Symbol.asyncDispose]()
  await expect(stat(path)).rejects.toThrow(/ENOENT/)
})

test('a folder that cannot be written to is no reason to fail', async () => {
  const origin = await startOrigin((_, response) => whole(response))
  const { start, context } = await bench()
  await mkdir(context.config.cacheDir, { recursive: true })
  await writeFile(join(context.config.cacheDir, 'packages'), 'a file')
  const cache = await start()
  expect((await ask(cache.port, `${origin.url}${deb}`)).body.equals(content)).toBe(true)
})

test('prune takes partial files of killed processes, old files and what is too much', async () => {
  const { folder, context } = await bench()
  await mkdir(folder)
  const add = async (name: string, bytes: number, ageSeconds: number) => {
    await writeFile(join(folder, name), Buffer.alloc(bytes))
    const when = new Date(Date.now() - ageSeconds * 1000)
    await utimes(join(folder, name), when, when)
    return name
  }
  const [a, b, c] = [
    await add('a'.repeat(64), 10, 900),
    await add('b'.repeat(64), 10, 600),
    await add('c'.repeat(64), 10, 0),
  ]
  const dead = await add('x.1.part', 10, 7200)
  const alive = await add('y.1.part', 10, 60)
  const files = packageFiles(context.config)
  const names = async (options: Parameters<typeof files.prune>[0]) =>
    (await files.prune(options)).map(({ name }) => name)
  expect(await names({ maxBytes: 20, dryRun: true })).toEqual([dead, a])
  expect(await names({ maxBytes: 100, before: Date.now() - 700_000, dryRun: true })).toEqual([dead, a])
  expect(await names({ maxBytes: 10 })).toEqual([dead, a, b])
  expect((await readdir(folder)).toSorted()).toEqual([c, alive].toSorted())
})
