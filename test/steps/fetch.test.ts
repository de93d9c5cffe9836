import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/util/sha256.ts'
import { findings } from '../recipe/support.ts'
import { renderType } from './support.ts'
import { canScratch, runInScratch, type ScratchOptions } from './scratch.ts'

const body = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7 + (index >> 8)) & 255))
let server: Server
let base: string
let requests: string[] = []

beforeAll(async () => {
  // /file: with ranges; /cut: the first answer ends in the middle; /whole: knows no ranges; all else: 404.
  server = createServer((request, response) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')
    requests.push(`${request.url}${range === null ? '' : ` from ${range[1]}`}`)
    if (!['/file', '/cut', '/whole'].includes(request.url ?? '')) return response.writeHead(404).end('no')
    const start = range === null || request.url === '/whole' ? 0 : Number(range[1])
    if (start >= body.length) return response.writeHead(416).end()
    const status = start === 0 ? 200 : 206
    response.writeHead(status, {
      'content-length': body.length - start,
      ...(start === 0 ? {} : { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` }),
    })
    if (request.url === '/cut' && start === 0) {
      response.write(body.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 50))
      return undefined
    }
    return response.end(body.subarray(start))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())

/** Each leaves one way to fetch. */
const tools: Readonly<Record<string, { readonly before: string; readonly options: ScratchOptions }>> = {
  curl: { before: 'true', options: { shell: 'dash' } },
  'curl with bash': { before: 'true', options: { shell: 'bash' } },
  wget: { before: 'mkdir /fake; ln -s /usr/bin/wget /fake', options: { shell: 'busybox', env: { PATH: '/fake:/bb' } } },
  python3: {
    before: 'mkdir /fake; rm /bb/wget; ln -s "$(python3 -c "import sys; print(sys.executable)")" /fake/python3',
    options: { shell: 'busybox', env: { PATH: '/fake:/bb' } },
  },
}

const quick = (before: string) => `${before}
printf '#!/bin/sh\\n' >/bin/sleep.new; chmod +x /bin/sleep.new; mv /bin/sleep.new /bin/sleep; rm -f /bb/sleep; cp /bin/sleep /bb/sleep`

async function fetched(path: string, more: { readonly before?: string; readonly sha256?: string } = {}, tool = 'curl') {
  requests = []
  const { before, options } = tools[tool] ?? { before: 'false', options: {} }
  const spec = { url: `${base}${path}`, sha256: more.sha256 ?? sha256(body), destination: '/stage/it', mode: '0755' }
  const [ready, done, shown] = await runInScratch(
    [
      `mkdir /stage; ${quick(before)}; ${more.before ?? 'true'}`,
      await renderType('fetch', spec),
      "sha256sum </stage/it | cut -c1-64; stat -c '%a %Y' /stage/it; ls /stage; ls -A /parts/1/files/.parbake 2>/dev/null",
    ],
    options,
  )
  expect([ready?.exitCode, ready?.stderr]).toEqual([0, ''])
  return { exitCode: done?.exitCode, stderr: done?.stderr, shown: shown?.stdout.split('\n'), requests }
}

describe.skipIf(!canScratch)('fetch', () => {
  // Debian has wget as a package of its own.
  const here = Object.keys(tools).filter((tool) => tool !== 'wget' || existsSync('/usr/bin/wget'))
  it.each(here)('fetches by %s, and goes on after a cut', async (tool) => {
    const plain = await fetched('/file', {}, tool)
    expect([plain.exitCode, plain.shown?.[0], plain.requests]).toEqual([0, sha256(body), ['/file']])
    expect(plain.shown?.[1]).toMatch(/^755 /)
    expect(plain.shown?.slice(2)).toEqual(['it'])
    const cut = await fetched('/cut', {}, tool)
    expect([cut.exitCode, cut.shown?.[0], cut.requests[0]]).toEqual([0, sha256(body), '/cut'])
    expect(cut.requests.at(-1)).toMatch(/^\/cut from \d+$/)
  })

  const leaveHalf = (content: string) => `mkdir -p /parts/1/files/.parbake; ${content} >/parts/1/files/.parbake/part`
  it.each([
    ['goes on where another run ended', '/file', `head -c 5000 /parts/half`, ['/file from 5000']],
    ['begins again where that was something else', '/file', 'printf wrong', ['/file from 5', '/file']],
    ['begins again where it was longer', '/file', 'head -c 400000 /dev/zero', ['/file from 400000', '/file']],
    [
      'begins again where nothing can be gone on with',
      '/whole',
      'head -c 5000 /parts/half',
      ['/whole from 5000', '/whole'],
    ],
  ])('%s', async (_name, path, content, expected) => {
    const half = `printf '' >/parts/half; python3 -c "open('/parts/half','wb').write(bytes((i*7+(i>>8))&255 for i in range(9000)))"`
    const result = await fetched(path, { before: `${half}; ${leaveHalf(content)}` })
    expect([result.exitCode, result.shown?.[0], result.requests]).toEqual([0, sha256(body), expected])
  })

  it('leaves what is there already, but for its mode', async () => {
    const there = sha256(Buffer.from('there'))
    const {
      exitCode,
      shown,
      requests: made,
    } = await fetched('/gone', { before: 'printf there >/stage/it', sha256: there })
    expect([exitCode, shown?.[0], made]).toEqual([0, there, []])
    expect(shown?.[1]).toMatch(/^755 /)
  })

  it.each([
    ['a wrong digest', '/file', '0'.repeat(64), `gives has the digest ${sha256(body)}, not ${'0'.repeat(64)}`, 1],
    ['nothing there', '/gone', sha256(body), 'cannot be fetched', 5],
  ])('%s does not touch the destination', async (_name, path, digest, message, count) => {
    const result = await fetched(path, { before: 'echo old >/stage/it', sha256: digest })
    expect([result.exitCode, result.requests.length]).toEqual([1, count])
    expect(result.stderr?.split('\n').at(-1)).toContain(message)
    expect(result.shown).toEqual([sha256(Buffer.from('old\n')), expect.stringMatching(/^644 /) as string, 'it'])
  })

  it.each([
    ['url: ftp://x', "steps[0].url must be a web address, http:// or https://, but is 'ftp://x'"],
    ['url: https://u:p@x/', 'steps[0].url holds a password, which every reader of the bundle would see'],
    ['url: https://x/{{gone}}', "there is no parameter 'gone'"],
  ])('%j is refused', async (lines, message) => {
    const rest = `sha256: '${'0'.repeat(64)}'\n    destination: /x`
    expect(await findings(`steps:\n  - name: one\n    type: fetch\n    ${lines}\n    ${rest}\n`)).toContain(message)
  })

  it('needs a digest', async () => {
    const step = 'steps:\n  - {name: one, type: fetch, url: "https://x/", destination: /x}\n'
    expect(await findings(step)).toContain('steps[0].sha256 is missing')
    expect(await findings(step.replace('url', 'sha256: ABC, url'))).toContain('steps[0].sha256 must be a sha256')
  })
})
