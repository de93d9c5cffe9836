import { symlink, rm } from 'node:fs/promises'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { reportSchema } from '../../src/profile/report.ts'
import { keys } from '../../src/store/keys.ts'
import { presignUrl } from '../../src/store/presign.ts'
import { serveStore } from '../../src/store/server/serve.ts'
import { AgentHost, readAll, shells, testRecipe, testSecrets, type ShellName } from '../support/agent.ts'
import { faultStore } from '../support/fault-store.ts'

/** The server notes a request when it is through with it, which may be after its client has gone on. */
const patience = { timeout: 10_000 }

/** The embedded S3 endpoint over the host's store folder, and what it was asked. */
async function embedded(host: AgentHost, credentials: { accessKey: string; secretKey: string } = testSecrets) {
  const requests: string[] = []
  const served = await serveStore({
    directory: host.store,
    bucket: 'bucket',
    port: 0,
    credentials,
    // A client that has all it wants may close first, which the server notes as an error.
    log: (line) =>
      line.startsWith('error: Premature close') ||
      requests.push(line.replace(/reports\/\S+/, 'REPORT').replace(/bundles\/\S+/, 'BUNDLE')),
  })
  return {
    requests,
    url: served.url,
    expectRequests: (lines: readonly string[]) => expect.poll(() => requests, patience).toEqual(lines),
    [Symbol.asyncDispose]: () => served.close(),
  }
}

const staticAuth = { auth: 'static', access_key: testSecrets.accessKey, secret_key: testSecrets.secretKey }

/** The one report in the store folder, checked. */
function storedReport(host: AgentHost, date: string) {
  const folder = host.path('store/reports/web', `dt=${date}`)
  const [name, ...more] = readdirSync(folder)
  expect(more).toEqual([])
  const text = readFileSync(`${folder}/${name}`, 'utf8')
  expect(text.trimEnd()).not.toContain('\n')
  return { name, report: reportSchema.parse(JSON.parse(text)) }
}

const today = () => new Date().toISOString().slice(0, 10)

describe.each(['curl-sigv4', 'curl', 'wget', 'python3'])('static keys with %s', (tool) => {
  it('pulls, reports, and asks once where nothing is new', async () => {
    await using host = await AgentHost.create()
    await using server = await embedded(host)
    await host.configure({ ...staticAuth, store: server.url })
    await host.publish(testRecipe([host.step('one')]))
    const env = { PARBAKE_FETCH: tool }
    const date = today()
    expect(await host.converge({ env })).toMatchObject({ outcome: 'ok', tools: { fetch: tool } })
    const put = '/bucket/REPORT 200'
    await server.expectRequests(['GET /bucket/channels/web/stable 200', 'GET /bucket/BUNDLE 200', `PUT ${put}`])
    const { name, report } = storedReport(host, date)
    expect(name).toBe(`${report.host}-${report.run}.json`)
    expect(report).toEqual(host.report())
    server.requests.length = 0
    const result = await host.run(['run', '--trigger', 'cron'], { env })
    expect(result).toMatchObject({ code: 0, stdout: '', stderr: '' })
    await server.expectRequests(['GET /bucket/channels/web/stable 304'])
    expect(readdirSync(host.path('store/reports/web', `dt=${date}`)).length).toBe(1)
  })

  it('says that wrong keys are wrong', async () => {
    await using host = await AgentHost.create()
    await using server = await embedded(host)
    await host.configure({ ...staticAuth, secret_key: 'wrong', store: server.url })
    await host.publish(testRecipe([host.step('one')]))
    const result = await host.run(['run'], { env: { PARBAKE_FETCH: tool } })
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/answered 403 for channels\/web\/stable: check the credentials/)
  })
})

it('takes wget from busybox, and uploads by python3 where that wget cannot', async () => {
  await using host = await AgentHost.create()
  await using server = await embedded(host)
  await host.configure({ ...staticAuth, store: server.url })
  await host.publish(testRecipe([host.step('one')]))
  await symlink('/bin/busybox', host.path('bin/wget'))
  await host.converge({ env: { PARBAKE_FETCH: 'wget' } })
  expect(storedReport(host, today()).report.outcome).toBe('ok')
  await host.run(['run', '--trigger', 'cron'], { env: { PARBAKE_FETCH: 'wget' } })
  await expect.poll(() => server.requests.at(-1), patience).toBe('GET /bucket/channels/web/stable 304')
})

describe('tools', () => {
  it.each([
    ['7.68.0', 'curl'],
    ['7.9.8', 'curl'],
    ['7.86.0', 'curl'],
    ['7.87.0', 'curl-sigv4'],
    ['7.88.1', 'curl-sigv4'],
    ['8.0.1', 'curl-sigv4'],
    ['10.1.0', 'curl-sigv4'],
  ])('signs by itself or lets curl %s do it', async (version, expected) => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([]))
    await host.fake('curl', `echo "curl ${version} (x86_64-pc-linux-gnu) libcurl/${version}"`)
    expect((await host.converge()).tools.fetch).toBe(expected)
  })

  it('looks once per boot', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([]))
    await host.fake('curl', `echo x >>${host.path('out/probes')}; echo 'curl 8.5.0'`)
    await host.converge()
    await host.converge()
    await host.reboot()
    await host.converge()
    expect(host.text('out/probes')).toBe('x\nx\n')
  })

  it('uses a secret of more than 60 characters', async () => {
    await using host = await AgentHost.create()
    const credentials = { accessKey: 'A', secretKey: 'long'.repeat(20) }
    await using server = await embedded(host, credentials)
    await host.configure({ auth: 'static', access_key: 'A', secret_key: credentials.secretKey, store: server.url })
    await host.publish(testRecipe([host.step('one')]))
    for (const tool of ['curl', 'curl-sigv4']) {
      await host.reboot()
      expect(await host.converge({ env: { PARBAKE_FETCH: tool } })).toMatchObject({ outcome: 'ok' })
    }
    await expect.poll(() => server.requests.filter((line) => line.startsWith('PUT')).length, patience).toBe(2)
    expect(server.requests.filter((line) => !/ (200|304)$/.test(line))).toEqual([])
  })
})

it.each(Object.keys(shells) as ShellName[])('signs a report under %s', async (shell) => {
  await using host = await AgentHost.create()
  await using server = await embedded(host)
  await host.configure({ ...staticAuth, store: server.url })
  await host.publish(testRecipe([host.step('one')]))
  await host.converge({ shell })
  await expect.poll(() => server.requests.at(-1), patience).toBe('PUT /bucket/REPORT 200')
})

describe('presigned', () => {
  it.each(['curl', 'wget', 'python3'])('pulls and reports with nothing but URLs by %s', async (tool) => {
    await using host = await AgentHost.create()
    await using server = await embedded(host)
    const channel = await host.publish(testRecipe([host.step('one')]))
    const url = (method: 'GET' | 'PUT', key: string) =>
      presignUrl({
        ...testSecrets,
        method,
        url: `${server.url}/${key}`,
        region: 'us-east-1',
        expiresSeconds: 600,
        nowMs: Date.now(),
      })
    const bundleUrl = url('GET', keys.bundle('web', channel.bundle))
    await host.configure({
      auth: 'presigned',
      store: server.url,
      'url.channel': url('GET', keys.channel('web', 'stable')),
      'url.bundle': `${channel.bundle} ${bundleUrl}`,
      'url.report': url('PUT', 'reports/web/dt=2026-11-20/host-run.json'),
    })
    expect(await host.converge({ env: { PARBAKE_FETCH: tool } })).toMatchObject({ outcome: 'ok' })
    expect(storedReport(host, '2026-11-20').report.steps.length).toBe(1)
    // A later bundle has no URL: the host stays with the one it has.
    await host.publish(testRecipe([host.step('two')]))
    const result = await host.run(['run'], { env: { PARBAKE_FETCH: tool } })
    expect(result.stderr).toMatch(/the store answered 000 for bundle|going on with the last good bundle/)
    expect(host.trace()).toEqual(['one'])
  })
})

/** A metadata service that insists on version 2 of its protocol, and the role's keys it hands out. */
async function metadataService(broken: { token?: number; role?: number } = {}) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    request.resume()
    const known = request.headers['x-aws-ec2-metadata-token'] === 'imds-token'
    if (request.method === 'PUT' && request.url === '/latest/api/token') {
      const seconds = Number(request.headers['x-aws-ec2-metadata-token-ttl-seconds'])
      response.writeHead(broken.token ?? (seconds > 0 ? 200 : 400)).end('imds-token')
    } else if (!known) {
      response.writeHead(401).end()
    } else if (request.url === '/latest/meta-data/iam/security-credentials/') {
      response.writeHead(broken.role ?? 200).end('host-role')
    } else {
      const body = {
        Code: 'Success',
        AccessKeyId: 'ASIAROLE',
        SecretAccessKey: 'role+secret/=',
        Token: 'session/token+==',
      }
      response.end(JSON.stringify(body, undefined, 2))
    }
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    requests,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => new Promise<void>((done) => server.close(() => done())),
  }
}

describe('instance role', () => {
  it.each(['curl-sigv4', 'curl', 'wget', 'python3'])('signs with the role’s keys by %s', async (tool) => {
    await using host = await AgentHost.create()
    await using imds = await metadataService()
    await using server = await embedded(host, { accessKey: 'ASIAROLE', secretKey: 'role+secret/=' })
    await host.configure({ auth: 'instance-role', store: server.url, imds: imds.url })
    await host.publish(testRecipe([host.step('one')]))
    expect(await host.converge({ env: { PARBAKE_FETCH: tool } })).toMatchObject({ outcome: 'ok' })
    expect(storedReport(host, today()).report.outcome).toBe('ok')
    // Once per converge, not per request.
    expect(imds.requests).toEqual([
      'PUT /latest/api/token',
      'GET /latest/meta-data/iam/security-credentials/',
      'GET /latest/meta-data/iam/security-credentials/host-role',
    ])
  })

  it('sends the session token with every request', async () => {
    await using host = await AgentHost.create()
    await using imds = await metadataService()
    await using store = await faultStore(host.store)
    await host.configure({ auth: 'instance-role', store: store.url, imds: imds.url })
    await host.publish(testRecipe([host.step('one')]))
    await host.converge()
    expect(store.headers.map((headers) => headers['x-amz-security-token'])).toEqual(Array(3).fill('session/token+=='))
    for (const headers of store.headers)
      expect(headers.authorization).toMatch(/SignedHeaders=[^,]*x-amz-security-token/)
  })

  it.each([
    [{ token: 403 }, /the instance metadata service gave no token \(HTTP 403\)/],
    [{ role: 404 }, /this instance has no role with credentials \(HTTP 404\): attach an instance profile/],
  ])('says what is wrong: %o', async (broken, error) => {
    await using host = await AgentHost.create()
    await using imds = await metadataService(broken)
    await host.configure({ auth: 'instance-role', store: 'http://127.0.0.1:9/bucket', imds: imds.url })
    const result = await host.run(['run'])
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(error)
    expect(host.report().error).toMatch(error)
  })
})

describe('secrets', () => {
  it.each(['curl-sigv4', 'curl'])('are in no argument, log or report: %s', async (tool) => {
    await using host = await AgentHost.create()
    await using imds = await metadataService()
    await using server = await embedded(host, { accessKey: 'ASIAROLE', secretKey: 'role+secret/=' })
    const recorded = host.path('argv')
    for (const name of ['curl', 'openssl', 'sha256sum', 'od', 'date', 'base64', 'tr', 'sed', 'tar', 'cat']) {
      await host.fake(
        name,
        `/bin/cat /proc/$$/cmdline | /usr/bin/tr '\\0' ' ' >>${recorded}\nexec /usr/bin/${name} "$@"`,
      )
    }
    await host.publish(testRecipe([host.step('one', 'exit 3')]))
    const env = { PARBAKE_FETCH: tool }
    await host.configure({ auth: 'instance-role', store: server.url, imds: imds.url })
    await host.run(['run'], { env })
    await host.configure({ auth: 'static', store: server.url, access_key: 'ASIAROLE', secret_key: 'role+secret/=' })
    await host.run(['run', '--trigger', 'boot'], { env })
    expect(host.text('argv')).toMatch(/curl/)
    const places = [
      'argv',
      'agent.log',
      'console',
      'state/report.json',
      'state/status',
      'run/curl',
      'state/log/one.log',
    ]
    const seen = await readAll(places.map((name) => host.path(name)))
    expect(seen).not.toMatch(/role\+secret|session\/token|imds-token/)
    expect(await readAll(readdirSync(host.path('state/tmp')).map((name) => host.path('state/tmp', name)))).not.toMatch(
      /role\+secret|session\/token|imds-token/,
    )
    await rm(recorded)
  })
})
