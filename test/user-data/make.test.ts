import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { loadAgent } from '../../src/bundle/agent.ts'
import { publishRecipe } from '../../src/bundle/publish.ts'
import type { Config } from '../../src/config.ts'
import { UserError } from '../../src/errors.ts'
import { initKeys, loadTrustedKeys } from '../../src/keys/index.ts'
import { loadConfig } from '../../src/load-config.ts'
import type { Event, Reporter } from '../../src/report/events.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { serveStore } from '../../src/store/server/serve.ts'
import { tempDir } from '../../src/system/temp.ts'
import { explainUserData } from '../../src/user-data/explain.ts'
import { hostAccess } from '../../src/user-data/host-access.ts'
import { makeUserData } from '../../src/user-data/make.ts'
import { readRecipeHeader } from '../../src/user-data/recipe-header.ts'
import type { TargetName } from '../../src/user-data/targets.ts'
import { readWithPyYaml } from '../support/cloud-init.ts'

function recorder(): Reporter & { readonly warnings: string[] } {
  const warnings: string[] = []
  return {
    warnings,
    emit: (event: Event) => void (event.type === 'warning' && warnings.push(event.text)),
    close: () => {},
  }
}

async function configIn(root: string, changes: Partial<Config> = {}): Promise<Config> {
  await writeFile(join(root, 'parbake.yaml'), '')
  const config = await loadConfig(root, undefined, { HOME: root, PARBAKE_STATE: join(root, 'state') })
  return { ...config, ...changes }
}

/** The settings in a document, by name. */
async function settings(text: string): Promise<Record<string, string>> {
  const document = (await readWithPyYaml(text)) as { write_files: { path: string; content: string }[] }
  const conf = document.write_files.find((file) => file.path === '/etc/parbake/agent.conf')?.content ?? ''
  return Object.fromEntries(
    conf
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

describe('where hosts find the store', () => {
  const sources = { env: {}, serveCredentials: () => Promise.resolve({ accessKey: 'SERVE', secretKey: 'S' }) }

  async function urlOf(store: string, endpoint?: string) {
    const config = {
      store,
      stateDir: '/state',
      hosts: { endpoint, auth: 'anonymous', region: 'eu-west-1', accessKeyEnv: 'A', secretKeyEnv: 'B', tags: [] },
    } as const
    const { url, region } = await hostAccess(config, {}, sources)
    return `${url} ${region}`
  }

  it.each<[string, string | undefined, string]>([
    ['file:///var/lib/store', undefined, 'http://10.0.2.2:9400/parbake eu-west-1'],
    ['s3://bucket', undefined, 'https://s3.eu-west-1.amazonaws.com/bucket eu-west-1'],
    ['s3://bucket/a/b/', undefined, 'https://s3.eu-west-1.amazonaws.com/bucket/a/b eu-west-1'],
    ['s3://bucket/a?region=us-west-2', undefined, 'https://s3.us-west-2.amazonaws.com/bucket/a us-west-2'],
    ['s3://bucket/a?endpoint=http://10.1.2.3:9000', undefined, 'http://10.1.2.3:9000/bucket/a eu-west-1'],
    ['s3://bucket?endpoint=https://s3.example.org/&region=x', undefined, 'https://s3.example.org/bucket x'],
    ['minio://10.1.2.3:9000/bucket/p?tls=false', undefined, 'http://10.1.2.3:9000/bucket/p eu-west-1'],
    ['minio://s3.example.org/bucket', undefined, 'https://s3.example.org/bucket eu-west-1'],
    ['minio://s3.example.org:9000/bucket?region=x', undefined, 'https://s3.example.org:9000/bucket x'],
    ['s3://bucket', 'http://inside:9000/bucket/', 'http://inside:9000/bucket eu-west-1'],
  ])('%s, endpoint %s', async (store, endpoint, expected) => {
    expect(await urlOf(store, endpoint)).toBe(expected)
  })

  it.each(['inside:9000/bucket', 'ftp://inside/bucket', 'http://user:pw@inside/b', 'http://inside/b?x=1', 'nonsense'])(
    'refuses the endpoint %s and shows no password',
    async (endpoint) => {
      const error = await urlOf('s3://bucket', endpoint).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(UserError)
      expect((error as UserError).exitCode).toBe(2)
      expect((error as UserError).message).not.toContain('pw')
    },
  )
})

describe('which keys hosts get', () => {
  const hosts = { endpoint: undefined, region: 'r', accessKeyEnv: 'HOST_ACCESS', secretKeyEnv: 'HOST_SECRET', tags: [] }
  const serve = () => Promise.resolve({ accessKey: 'SERVE', secretKey: 'serve-secret' })
  const keysOf = async (store: string, env: Record<string, string>, overrides = {}) =>
    (
      await hostAccess({ store, stateDir: '/state', hosts: { ...hosts, auth: 'static' } }, overrides, {
        env,
        serveCredentials: serve,
      })
    ).keys

  it('takes overrides, then the environment, then those of the embedded server', async () => {
    const env = { HOST_ACCESS: 'ENV', HOST_SECRET: 'env-secret' }
    expect(await keysOf('file:///s', env, { accessKey: 'O', secretKey: 'o' })).toEqual({
      accessKey: 'O',
      secretKey: 'o',
    })
    expect(await keysOf('file:///s', env)).toEqual({ accessKey: 'ENV', secretKey: 'env-secret' })
    expect(await keysOf('file:///s', {})).toEqual({ accessKey: 'SERVE', secretKey: 'serve-secret' })
  })

  it('names the variable that is missing', async () => {
    await expect(keysOf('s3://bucket', {})).rejects.toThrow('HOST_ACCESS is not set')
    await expect(keysOf('s3://bucket', { HOST_ACCESS: 'x' })).rejects.toThrow('HOST_SECRET is not set')
    await expect(keysOf('s3://bucket', { HOST_ACCESS: 'x', HOST_SECRET: '' })).rejects.toThrow('HOST_SECRET is not set')
  })

  it('asks for none where none are used', async () => {
    for (const auth of ['anonymous', 'instance-role'] as const) {
      expect(await keysOf('s3://bucket', {}, { auth })).toBeUndefined()
    }
  })
})

describe('makeUserData', () => {
  it('needs a key that hosts can trust', async () => {
    await using dir = await tempDir('make')
    const config = await configIn(dir.path)
    const work = makeUserData({ recipeName: 'web', config, target: 'nocloud', trustedKeys: [] })
    await expect(work).rejects.toMatchObject({ code: 'no-trusted-key', exitCode: 2 })
  })

  it('works without any configuration, with the embedded server and its keys', async () => {
    await using dir = await tempDir('make')
    const config = await configIn(dir.path)
    const { publicKey } = await initKeys(config, 'default', silentReporter)
    const reporter = recorder()
    const { text } = await makeUserData({
      recipeName: 'web',
      everyMinutes: 7,
      config,
      target: 'nocloud',
      trustedKeys: loadTrustedKeys(config, {}),
      overrides: { purpose: 'verify', channel: 'canary' },
      reporter,
    })
    expect(await settings(text)).toEqual({
      recipe: 'web',
      channel: 'canary',
      store: 'http://10.0.2.2:9400/parbake',
      auth: 'static',
      region: 'us-east-1',
      access_key: expect.stringMatching(/^PB/) as string,
      secret_key: expect.any(String) as string,
      key: publicKey,
      purpose: 'verify',
      every: '7',
    })
    expect(reporter.warnings).toEqual([])
  })

  it('brings the client that hosts are to fetch with, and no requests of its own', async () => {
    await using dir = await tempDir('make')
    const config = await configIn(dir.path)
    const by = { ...config, hosts: { ...config.hosts, auth: 'anonymous', client: 'rclone' } } as const
    const input = { recipeName: 'web', config: by, target: 'nocloud', trustedKeys: ['x'] } as const
    const made = await makeUserData(input)
    expect(await settings(made.text)).toMatchObject({ client: 'rclone', auth: 'anonymous' })
    const document = (await readWithPyYaml(made.text)) as { write_files: { path: string; content: string }[] }
    const packed = document.write_files.find(({ path }) => path.endsWith('stage0'))?.content ?? ''
    const stage0 = gunzipSync(Buffer.from(packed, 'base64')).toString()
    expect(stage0).toContain('by_client() {')
    expect(stage0).not.toContain('sign_request')
    expect(explainUserData('web', made)).toMatch(/^fetches  by rclone, which stage-0 installs where it is missing$/m)
  })

  it.each([
    ['awscli', 'presigned', 'use --auth static or instance-role or anonymous'],
    ['rclone', 'presigned', 'use --auth static or instance-role or anonymous'],
    ['s3cmd', 'presigned', 'use --auth static or instance-role,'],
    ['s3cmd', 'anonymous', 'use --auth static or instance-role,'],
  ] as const)('refuses what a client cannot do: %s, %s', async (client, auth, hint) => {
    await using dir = await tempDir('make')
    const config = await configIn(dir.path)
    const by = { ...config, hosts: { ...config.hosts, client } }
    const input = { recipeName: 'web', config: by, target: 'nocloud', trustedKeys: ['x'], overrides: { auth } } as const
    const error = (await makeUserData(input).catch((thrown: unknown) => thrown)) as UserError
    expect(error).toMatchObject({ exitCode: 2, code: 'client-cannot-authenticate' })
    expect(error.hint).toContain(hint)
  })

  it("tells hosts their tags, the caller's instead of the configured ones", async () => {
    await using dir = await tempDir('make')
    const config = await configIn(dir.path)
    const tagged = { ...config, hosts: { ...config.hosts, auth: 'anonymous', tags: ['db', 'eu'] } } as const
    const tagsWith = async (overrides: object) => {
      const input = { recipeName: 'web', config: tagged, target: 'nocloud', trustedKeys: ['x'], overrides } as const
      return (await settings((await makeUserData(input)).text))['tags']
    }
    expect(await tagsWith({})).toBe('db,eu')
    expect(await tagsWith({ tags: ['web'] })).toBe('web')
    expect(await tagsWith({ tags: [] })).toBeUndefined()
  })

  it('warns of static keys where the platform has roles, and of roles where it has none', async () => {
    await using dir = await tempDir('make')
    const config = await configIn(dir.path)
    const make = async (auth: 'static' | 'instance-role', target: TargetName) => {
      const reporter = recorder()
      await makeUserData({
        recipeName: 'web',
        config,
        target,
        trustedKeys: ['x'],
        overrides: { auth },
        reporter,
      })
      return reporter.warnings
    }
    expect(await make('static', 'aws')).toEqual([expect.stringContaining('holds a secret key')])
    expect(await make('static', 'hetzner')).toEqual([])
    expect(await make('instance-role', 'aws')).toEqual([])
    expect(await make('instance-role', 'nocloud')).toEqual([])
    expect(await make('instance-role', 'hetzner')).toEqual([expect.stringContaining('Hetzner Cloud have no role')])
  })

  it('presigns what a host without keys needs, and no more', async () => {
    await using dir = await tempDir('make')
    const config = await configIn(dir.path)
    await initKeys(config, 'default', silentReporter)
    const ctx = { config, reporter: silentReporter, signal: new AbortController().signal }
    const credentials = { accessKey: 'AKTEST', secretKey: 'secret-of-the-operator' }
    const server = await serveStore({ directory: fileURLToPath(config.store), bucket: 'bucket', port: 0, credentials })
    try {
      const make = () =>
        makeUserData({
          recipeName: 'web',
          config,
          target: 'aws',
          trustedKeys: loadTrustedKeys(config, {}),
          overrides: { auth: 'presigned', endpoint: server.url, ...credentials },
          gzip: true,
        })
      await expect(make()).rejects.toThrow("'web' has no channel 'stable'")
      const recipe = { name: 'web', folder: '/', file: '/r', params: {}, everyMinutes: 15, steps: [] }
      const published = await publishRecipe(recipe, ctx)
      const { text } = await make()
      expect(text).not.toContain(credentials.secretKey)
      const conf = await settings(text)
      const channel = await fetch(conf['url.channel'] ?? '')
      expect(await channel.text()).toContain(`bundle ${published.bundle} `)
      const [agentDigest, agentUrl = ''] = (conf['url.agent'] ?? '').split(' ')
      expect(agentDigest).toBe(published.agent)
      expect(await (await fetch(agentUrl)).text()).toBe(loadAgent().text)
      const [digest, bundleUrl = ''] = (conf['url.bundle'] ?? '').split(' ')
      expect(digest).toBe(published.bundle)
      const bundle = Buffer.from(await (await fetch(bundleUrl)).arrayBuffer())
      expect(createHash('sha256').update(bundle).digest('hex')).toBe(published.bundle)
      const report = conf['url.report'] ?? ''
      expect((await fetch(report, { method: 'PUT', body: '{}' })).status).toBe(200)
      expect(report).toMatch(/\/reports\/web\/dt=\d{4}-\d\d-\d\d\/presigned-[0-9a-f]{16}\.json\?|\/reports\/web\/dt%3D/)
      expect((await fetch(bundleUrl.replace('bundles/', 'agents/'))).status).toBe(403)
      expect((await fetch(conf['url.channel'] ?? '', { method: 'PUT', body: 'x' })).status).toBe(403)
    } finally {
      await server.close()
    }
  })
})

describe('the header of a recipe', () => {
  async function header(text: string | undefined, folder = 'web') {
    await using dir = await tempDir('header')
    const path = join(dir.path, folder)
    await mkdir(path)
    if (text !== undefined) await writeFile(join(path, 'recipe.yaml'), text)
    return await readRecipeHeader(path)
  }

  it.each<[string, object]>([
    ['name: api\nevery: 1h\nsteps: []\n', { name: 'api', everyMinutes: 60 }],
    ['steps: []\n', { name: 'web', everyMinutes: 15 }],
    ['every: 30\n', { name: 'web', everyMinutes: 30 }],
    ['schedule: 2h\n', { name: 'web', everyMinutes: 120 }],
    ['schedule: 0 3 * * mon\n', { name: 'web', schedule: { everyMinutes: 15, cron: '0 3 * * 1', splaySeconds: 300 } }],
    [
      'schedule: 0 3 * * *\nsplay: 0\n',
      { name: 'web', schedule: { everyMinutes: 15, cron: '0 3 * * *', splaySeconds: 0 } },
    ],
  ])('%j', async (text, expected) => {
    expect(await header(text)).toMatchObject({ ...expected, fromFolder: true })
  })

  it.each<[string, string | undefined, string]>([
    ['no recipe.yaml', undefined, 'there is no recipe at'],
    ['no YAML', 'a: [', 'bad YAML'],
    ['a list', '- a\n', 'must be a mapping'],
    ['an empty file', '', 'must be a mapping'],
    ['a wrong name', 'name: A/B\n', "but is 'A/B'"],
    ['a wrong interval', 'every: 25h\n', 'every must be'],
    ['a wrong schedule', 'schedule: 25h\n', 'schedule must be'],
    ['a wrong calendar', 'schedule: 0 25 * * *\n', 'schedule has no valid hour'],
  ])('%s is refused', async (_name, text, message) => {
    const error = await header(text).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(UserError)
    expect((error as UserError).exitCode).toBe(2)
    expect((error as UserError).message).toContain(message)
  })

  it('takes a bare name for a published recipe, but no path', async () => {
    expect(await readRecipeHeader('no-such-folder')).toMatchObject({
      name: 'no-such-folder',
      everyMinutes: 15,
      fromFolder: false,
    })
    await expect(readRecipeHeader('./no-such-folder')).rejects.toThrow(UserError)
  })
})

describe('what parbake user-data loads', () => {
  /** Every package that importing these files loads, by following static imports. */
  async function packagesOf(entries: readonly string[]): Promise<ReadonlySet<string>> {
    const packages = new Set<string>()
    const seen = new Set<string>()
    const visit = async (file: string): Promise<void> => {
      if (seen.has(file)) return
      seen.add(file)
      const text = await readFile(file, 'utf8')
      for (const [statement, from = ''] of text.matchAll(/^(?:import|export) [^'"]*?from '([^']+)'/gm)) {
        if (/^(import|export) type /.test(statement)) continue
        if (from.startsWith('.')) await visit(resolve(dirname(file), from))
        else if (!from.startsWith('node:')) packages.add(from)
      }
    }
    for (const entry of entries) await visit(entry)
    return packages
  }

  it('is commander and js-yaml and nothing heavier', async () => {
    const src = join(import.meta.dirname, '../../src')
    const entries = ['cli.ts', 'commands/main.ts', 'commands/user-data.ts', 'load-config.ts'].map((file) =>
      join(src, file),
    )
    expect([...(await packagesOf(entries))].toSorted()).toEqual(['commander', 'js-yaml'])
  })
})
