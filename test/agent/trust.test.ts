import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, symlink, writeFile, link } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { packBundle } from '../../src/bundle/pack.ts'
import { run } from '../../src/system/run.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { AgentHost, signingKey, testRecipe, type PublishOverrides } from '../support/agent.ts'
import { faultStore, type Answer } from '../support/fault-store.ts'

/** A host that has converged once on serial 1, and the recipe that it is about to be offered. */
async function settledHost() {
  const host = await AgentHost.create()
  const good = await host.publish(testRecipe([host.step('good'), host.step('every-time', '', { when: 'always' })]))
  await host.converge()
  await host.clearTrace()
  return { host, good, next: testRecipe([host.step('evil')]) }
}

/** The last good bundle goes on, nothing of the offered one runs, and the host says why. */
async function expectRefused(host: AgentHost, goodBundle: string, error: RegExp) {
  const result = await host.run(['run'])
  expect(result.stderr).toMatch(error)
  expect(result.code).toBe(1)
  expect(host.trace()).toEqual(['every-time'])
  expect(readdirSync(host.path('state/bundles'))).toEqual([goodBundle])
  const report = host.report()
  expect(report).toMatchObject({ outcome: 'failed', serial: 1, bundle: goodBundle })
  expect(report.error).toMatch(error)
}

const strange = signingKey()
const refusals: readonly (readonly [string, PublishOverrides, RegExp])[] = [
  ['a key that it does not know', { key: strange }, /signed by a key that this host does not trust/],
  ['another recipe', { content: { recipe: 'db' } }, /the channel is db\/stable, wanted web\/stable/],
  ['another channel', { content: { channel: 'canary' } }, /the channel is web\/canary, wanted web\/stable/],
  ['an older serial', { content: { serial: 0 } }, /serial 0 is older than 1/],
  ['an expired channel', { content: { expires: 1_700_000_000 } }, /has expired/],
  ['a changed serial', { tamper: (text) => text.replace('serial 2', 'serial 3') }, /signature is wrong/],
  ['another key in a signed text', { tamper: (text) => text.replace(/^key .*$/m, 'key AAAA') }, /does not trust/],
  ['no key', { tamper: (text) => text.replace(/^key .*\n/m, '') }, /does not trust/],
  ['no signature', { tamper: (text) => text.replace(/^sig[^]*/m, '') }, /signature is wrong/],
  ['words after the signature', { tamper: (text) => `${text}serial 9\n` }, /lines after its signature/],
  ['a doubled space', { tamper: (text) => text.replace('serial 2', 'serial  2') }, /signature is wrong/],
  ['another version', { tamper: (text) => text.replace('parbake-channel 1', 'parbake-channel 2') }, /no channel file/],
  ['an empty file', { tamper: () => '' }, /no channel file/],
  ['a web page', { tamper: () => '<!doctype html>\nserial 5"\nbundle "x\n' }, /no channel file/],
  ['bytes', { tamper: () => '\u0000\u0001\u00ff\n\u0000' }, /no channel file/],
]

describe('what a host refuses', () => {
  it.each(refusals)('%s', async (_, overrides, error) => {
    const { host, good, next } = await settledHost()
    await using _host = host
    await host.publish(next, overrides)
    await expectRefused(host, good.bundle, error)
  })

  it('an image channel under the name of a channel', async () => {
    const { host, good } = await settledHost()
    await using _host = host
    await host.put('channels/web/stable', 'parbake-image-channel 1\nrecipe web\n')
    await expectRefused(host, good.bundle, /no channel file/)
  })

  it('anything on a host that has nothing yet, without a malformed report', async () => {
    await using host = await AgentHost.create()
    await host.put('channels/web/stable', '<html>\nserial 12"},{\nbundle "quote\nrecipe \\\n')
    const report = await host.converge({ code: 1 })
    expect(report).toMatchObject({ serial: 0, bundle: '', steps: [], outcome: 'failed', cold: true })
    await host.publish(testRecipe([host.step('good')]))
    expect(await host.converge()).toMatchObject({ cold: true, first: true, outcome: 'ok', error: '' })
  })

  it('a key that was taken from its settings', async () => {
    const { host } = await settledHost()
    await using _host = host
    await host.configure({ key: strange.publicKey })
    expect((await host.run(['run'])).stderr).toMatch(/does not trust/)
    expect(host.trace()).toEqual([])
  })

  it('no channel for the serial of another one', async () => {
    const { host } = await settledHost()
    await using _host = host
    await host.publish(testRecipe([host.step('newer')]), { content: { serial: 9 } })
    await host.converge()
    const stable = host.text('store/channels/web/stable')
    await host.configure({ channel: 'canary' })
    await host.publish(testRecipe([host.step('canary')]), { content: { channel: 'canary', serial: 2 } })
    await host.put('channels/web/canary', host.text('store/channels/web/stable'))
    await host.put('channels/web/stable', stable)
    expect(await host.converge()).toMatchObject({ channel: 'canary', serial: 2, outcome: 'ok' })
    await host.configure()
    expect(await host.converge()).toMatchObject({ channel: 'stable', serial: 9, outcome: 'ok' })
    expect(host.trace().filter((name) => name !== 'every-time')).toEqual(['newer', 'canary'])
  })

  it('takes each of several trusted keys', async () => {
    await using host = await AgentHost.create()
    await writeFile(host.path('conf/agent.conf'), `key=${strange.publicKey}\n${host.text('conf/agent.conf')}`)
    await host.publish(testRecipe([host.step('one')]))
    await host.converge()
    await host.publish(testRecipe([host.step('two')]), { key: strange })
    await host.converge()
    expect(host.trace()).toEqual(['one', 'two'])
  })
})

/** Bytes of a tar.gz of a folder, made by tar itself. */
async function tarOf(host: AgentHost, build: (folder: string) => Promise<void>, args: readonly string[] = []) {
  const folder = host.path('evil')
  await mkdir(`${folder}/steps/01/files`, { recursive: true })
  await writeFile(`${folder}/index`, 'parbake-bundle 1\nrecipe web\nevery 15\n')
  await writeFile(`${folder}/steps/01/run`, '#!/bin/sh\n', { mode: 0o755 })
  await build(folder)
  await run('tar', ['-C', folder, ...args, '-cf', host.path('evil.tar'), 'index', 'steps'])
  return gzipSync(readFileSync(host.path('evil.tar')))
}

const bundles: readonly (readonly [string, (folder: string) => Promise<void>, readonly string[]])[] = [
  ['a symbolic link', (folder) => symlink('/etc/passwd', `${folder}/steps/01/files/link`), []],
  ['a hard link', (folder) => link(`${folder}/index`, `${folder}/steps/01/files/link`), []],
  ['a fifo', async (folder) => void (await run('mkfifo', [`${folder}/steps/01/files/fifo`])), []],
  ['an absolute path', async () => {}, ['-P', '--transform=s,^steps/01/run,/tmp/parbake-evil,']],
  ['a path that climbs', async () => {}, ['-P', '--transform=s,^steps/01/run,steps/../../../evil,']],
  ['a path that begins by climbing', async () => {}, ['-P', '--transform=s,^steps/01/run,../evil,']],
]

describe('bundles that a host refuses', () => {
  it.each(bundles)('%s', async (_, build, args) => {
    const { host, good, next } = await settledHost()
    await using _host = host
    await host.publish(next, { bytes: await tarOf(host, build, args) })
    await expectRefused(host, good.bundle, /holds more than files below its own folder/)
  })

  it.each([
    ['no tar', Buffer.from('not a tar'), /cannot be unpacked/],
    ['no index', gzipSync(Buffer.alloc(1024)), /cannot be unpacked/],
  ])('%s', async (_, bytes, error) => {
    const { host, good, next } = await settledHost()
    await using _host = host
    await host.publish(next, { bytes })
    await expectRefused(host, good.bundle, error)
  })

  it.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['with a byte changed', (bytes: Buffer) => Buffer.from(bytes.with(bytes.length - 9, bytes.at(-9)! ^ 1))],
    ['of something else', () => Buffer.from('<html>')],
  ])('a bundle %s', async (_, spoil) => {
    const { host, good, next } = await settledHost()
    await using _host = host
    const { bytes } = await packBundle(next)
    await host.publish(next)
    await host.put(`bundles/web/${sha256(bytes)}.tar.gz`, spoil(bytes))
    await expectRefused(host, good.bundle, /is damaged: it is /)
  })

  it('a malformed index', async () => {
    const { host, next } = await settledHost()
    await using _host = host
    const index = 'parbake-bundle 1\nrecipe web\nevery 15\nstep 01 ../evil 00 change 1 0 -\n'
    await host.publish(next, { bytes: await tarOf(host, (folder) => writeFile(`${folder}/index`, index)) })
    expect((await host.run(['run'])).stderr).toMatch(/has a malformed index/)
    expect(host.report()).toMatchObject({ outcome: 'failed', steps: [] })
  })
})

const html = '<html><body>Sign in to the hotel network</body></html>'
const channelFaults: readonly (readonly [string, Answer, RegExp])[] = [
  ['401', { status: 401 }, /answered 401 for channels\/web\/stable: check the credentials/],
  ['403', { status: 403, body: '<Error/>' }, /answered 403 for channels\/web\/stable: check the credentials/],
  ['404', { status: 404, body: '<Error/>' }, /answered 404 for channels\/web\/stable: publish the recipe first/],
  ['503', { status: 503, body: 'busy' }, /answered 503 for channels\/web\/stable$/m],
  ['a web page', { status: 200, body: html }, /no channel file/],
  ['a redirect', { status: 302, body: html }, /answered 302 for channels/],
  ['far too much', { status: 200, body: Buffer.alloc(100_000, 'x\n') }, /answered 413 for channels/],
  ['a broken connection', { status: 200, body: 'parbake-channel 1\n', claimedBytes: 500 }, /cannot be reached/],
]

describe('a store that fails', () => {
  it.each(channelFaults)('answers %s for the channel', async (_, answer, error) => {
    const { host, good, next } = await settledHost()
    await using _host = host
    await host.publish(next)
    await using store = await faultStore(host.store)
    await host.configure({ store: store.url })
    store.fault = (_method, key) => (key.startsWith('channels/') ? answer : undefined)
    await expectRefused(host, good.bundle, error)
    const tries = store.requests.filter((request) => request === 'GET channels/web/stable').length
    expect(tries).toBe(answer.status === 503 || answer.claimedBytes !== undefined ? 2 : 1)
    store.fault = undefined
    await host.converge()
    expect(host.trace()).toContain('evil')
  })

  it('loses the bundle', async () => {
    const { host, good, next } = await settledHost()
    await using _host = host
    await host.publish(next)
    await using store = await faultStore(host.store)
    await host.configure({ store: store.url })
    store.fault = (_method, key) => (key.startsWith('bundles/') ? { status: 404 } : undefined)
    await expectRefused(host, good.bundle, /the store answered 404 for bundle/)
    store.fault = undefined
    // The channel was not remembered, or the host would be told "not modified" for ever.
    await host.converge()
    expect(host.trace()).toContain('evil')
  })

  it('refuses the report', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]))
    await using store = await faultStore(host.store)
    await host.configure({ store: store.url })
    store.fault = (method) => (method === 'PUT' ? { status: 403 } : undefined)
    const result = await host.run(['run'])
    expect(result.code).toBe(0)
    expect(result.stderr).toMatch(/the store answered 403 for the report: it is kept in /)
  })

  it('is down at boot: tries again, then goes on with the last good bundle', async () => {
    const { host } = await settledHost()
    await using _host = host
    await using store = await faultStore(host.store)
    await host.configure({ store: store.url })
    await host.reboot()
    store.fault = () => ({ status: 503 })
    expect((await host.run(['run', '--trigger', 'boot'])).code).toBe(1)
    expect(store.requests.filter((request) => request.startsWith('GET')).length).toBe(6)
    expect(host.trace()).toEqual(['every-time'])
    expect(host.text('console')).toMatch(/going on with the last good bundle, serial 1/)
    expect(host.text('console')).toMatch(/^parbake: failed recipe=web run=\S+ serial=1 .*answered 503 for channels/m)
  })

  it('comes up while the host is still trying', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]))
    await using store = await faultStore(host.store)
    await host.configure({ store: store.url })
    store.fault = (_method, _key, count) => (count <= 3 ? { status: 503 } : undefined)
    const result = await host.run(['run', '--trigger', 'boot'])
    expect(result.code).toBe(0)
    expect(host.report()).toMatchObject({ outcome: 'ok', error: '' })
  })

  it.each([
    ['7', '7'],
    ['1', '2'],
    ['86400', '120'],
    ['soon', '2'],
    ['Wed, 21 Oct 2026 07:28:00 GMT', '2'],
  ])('asks to wait %j and gets %s seconds', async (header, pause) => {
    for (const tool of ['curl', 'wget', 'python3']) {
      await using host = await AgentHost.create()
      await host.publish(testRecipe([host.step('one')]))
      await using store = await faultStore(host.store)
      await host.configure({ store: store.url })
      // What looks at the logs of steps sleeps besides.
      await host.fake('sleep', `[ "$1" != 1.0 ] || exec /bin/sleep 1; echo "$1" >>${host.path('out/pauses')}`)
      store.fault = (_method, _key, count) =>
        count === 1 ? { status: 503, headers: { 'Retry-After': header } } : undefined
      expect((await host.run(['run'], { env: { PARBAKE_FETCH: tool } })).code).toBe(0)
      expect(`${tool} ${host.text('out/pauses')}`).toBe(`${tool} ${pause}\n`)
    }
  })

  // Curl has bounds of its own: test/agent/booted/faults.vm.test.ts.
  it.each(['wget', 'python3'])('drips, and %s is stopped', async (tool) => {
    const { host, good, next } = await settledHost()
    await using _host = host
    await host.publish(next)
    await using store = await faultStore(host.store)
    await host.configure({ store: store.url })
    store.fault = (_method, key) =>
      key.startsWith('channels/')
        ? { status: 200, body: 'parbake-channel 1\n', claimedBytes: 500, drips: true }
        : undefined
    // So that it looks for its tools again.
    await host.reboot()
    // A second instead of what the agent allows, after which that has passed by the host's clock.
    await writeFile(host.path('uptime'), '100.00 1.00\n')
    await host.fake(
      'timeout',
      `[ "$1" = -k ] || exit 0
      echo "$3" >>${host.path('out/bounds')}
      tool=$4; shift 3
      case $tool in ${tool}) set -- 1 "$@" ;; *) set -- 100 "$@" ;; esac
      /usr/bin/timeout "$@"
      status=$?
      [ $tool != ${tool} ] || echo "9$(cat ${host.path('uptime')})" >${host.path('uptime')}
      exit $status`,
    )
    const env = { PARBAKE_FETCH: tool, PARBAKE_UPTIME: host.path('uptime') }
    const result = await host.run(['run'], { env })
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/answered 000 for channels\/web\/stable, it does not answer in time/)
    expect(host.text('out/bounds')).toMatch(/^61$/m)
    expect(host.report()).toMatchObject({ bundle: good.bundle })
  })

  it('has a name that nobody knows', async () => {
    await using host = await AgentHost.create({ store: 'http://no-such-host.invalid/bucket' })
    expect((await host.run(['run'])).code).toBe(1)
    expect(host.report().error).toMatch(/answered 000 .*, it cannot be reached$/)
  })

  it('is not there at all', async () => {
    await using host = await AgentHost.create({ store: 'http://127.0.0.1:9/bucket' })
    const result = await host.run(['run', '--trigger', 'boot'])
    expect(result.code).toBe(1)
    expect(host.text('console')).toMatch(
      /^parbake: failed recipe=web run=\S+ serial=0 ran=0 .*: the store at http:\/\/127\.0\.0\.1:9\/bucket answered 000 for channels\/web\/stable, it cannot be reached$/m,
    )
    expect(host.report()).toMatchObject({ serial: 0, bundle: '', outcome: 'failed' })
  })
})
