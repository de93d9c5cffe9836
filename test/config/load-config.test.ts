import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatUserError, UserError } from '../../src/errors.ts'
import { loadConfig } from '../../src/load-config.ts'
import { tempDir } from '../../src/system/temp.ts'
import { repository } from '../support/source-files.ts'

const env = { HOME: '/home/u' }

async function withFile(text: string) {
  await using dir = await tempDir('config-test')
  await writeFile(join(dir.path, 'parbake.yaml'), text)
  const config = await loadConfig(dir.path, undefined, env)
  return JSON.parse(JSON.stringify(config).replaceAll(dir.path, '/ROOT')) as Record<string, unknown>
}

async function failure(text: string): Promise<string> {
  await using dir = await tempDir('config-test')
  await writeFile(join(dir.path, 'parbake.yaml'), text)
  try {
    await loadConfig(dir.path, undefined, env)
  } catch (error) {
    if (error instanceof UserError) return `${error.exitCode} ${formatUserError(error)}`.replaceAll(`${dir.path}/`, '')
    throw error
  }
  return 'no error'
}

const defaults = {
  file: undefined,
  root: '/',
  store: 'file:///home/u/.local/state/parbake/store',
  hosts: {
    endpoint: undefined,
    auth: 'static',
    region: 'us-east-1',
    accessKeyEnv: 'PARBAKE_HOST_ACCESS_KEY',
    secretKeyEnv: 'PARBAKE_HOST_SECRET_KEY',
    tags: [],
  },
  channel: 'stable',
  channelExpiryDays: 0,
  keysDir: '/home/u/.local/state/parbake/keys',
  cacheDir: '/home/u/.cache/parbake',
  cache: { maxBytes: undefined, packagesMaxBytes: 4 * 1024 ** 3 },
  stateDir: '/home/u/.local/state/parbake',
  base: 'debian-12',
  baseMaxAgeDays: 30,
  vm: { memoryMiB: 1024, cpus: 2, accelerator: 'auto' },
  plan: {},
  tune: { level: 'default', only: undefined, except: [] },
  bake: { engine: 'auto', maxGrowthBytes: undefined, verifyLaunches: 1 },
  check: { allow: {} },
}

describe('without a file', () => {
  it('everything has a default', async () => {
    expect(await loadConfig('/', undefined, env)).toEqual(defaults)
  })

  it.each([
    [
      { XDG_CACHE_HOME: '/c', XDG_STATE_HOME: '/s' },
      { cacheDir: '/c/parbake', stateDir: '/s/parbake', keysDir: '/s/parbake/keys', store: 'file:///s/parbake/store' },
    ],
    [{ XDG_CACHE_HOME: 'relative', XDG_STATE_HOME: '' }, {}],
    [
      { XDG_STATE_HOME: '/s', PARBAKE_CACHE: '/pc', PARBAKE_STATE: '/p s' },
      { cacheDir: '/pc', stateDir: '/p s', keysDir: '/p s/keys', store: 'file:///p%20s/store' },
    ],
  ])('the environment %j moves folders', async (more, expected) => {
    expect(await loadConfig('/', undefined, { ...env, ...more })).toEqual({ ...defaults, ...expected })
  })

  it('loads neither the YAML parser nor the schema library', async () => {
    await using dir = await tempDir('config-test')
    const code = `import { createRequire, register } from 'node:module'
      import { loadConfig } from ${JSON.stringify(join(repository, 'src/load-config.ts'))}
      loadConfig('/').then(() => process.stdout.write(process.moduleLoadList.concat(Object.keys(createRequire(import.meta.url).cache)).join('\\n')))`
    await writeFile(join(dir.path, 'c.mts'), code)
    await writeFile(
      join(dir.path, 'trace.mjs'),
      `import { register } from 'node:module'
       register('data:text/javascript,' + encodeURIComponent(\`import { writeSync } from 'node:fs'
         export async function resolve(name, context, next) { writeSync(2, name + '\\\\n'); return next(name, context) }\`))`,
    )
    const child = spawnSync(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), '--import', join(dir.path, 'trace.mjs'), join(dir.path, 'c.mts')],
      { encoding: 'utf8' },
    )
    expect(child.status).toBe(0)
    expect(child.stderr).toContain('load-config')
    expect(child.stderr).not.toMatch(/^(zod|js-yaml)$/m)
  })
})

describe('with a file', () => {
  it('plans no image that bake.maxGrowth would refuse', async () => {
    expect((await withFile('bake: {maxGrowth: 9MiB}\n'))['plan']).toEqual({ maxImageGrowthBytes: 9 * 1024 ** 2 })
    const both = 'bake: {maxGrowth: 9MiB}\nplan: {maxImageGrowth: 5MiB}\n'
    expect((await withFile(both))['plan']).toEqual({ maxImageGrowthBytes: 5 * 1024 ** 2 })
  })

  it.each(['plan: {objective: target}', 'plan: {objective: fastest, target: 45s}'])('refuses %s', async (text) => {
    expect(await failure(`${text}\n`)).toContain("'target' goes with objective 'target', and that needs one")
  })

  it('reads every key', async () => {
    const text = `
store: s3://bucket/prefix?region=eu-west-1
channel: canary
channelExpiryDays: 30
keys: keys
cache: ~/cache
cacheLimits: {steps: 5GiB, packages: 100 MiB}
state: ./state
base: { name: my-base, maxAgeDays: 7 }
hosts:
  endpoint: http://10.0.2.2:9000/bucket/prefix/
  auth: presigned
  region: eu-west-1
  accessKeyEnv: A
  secretKeyEnv: B
  tags: [web, db, web]
vm: {memory: 1.5GiB, cpus: 4, accelerator: tcg}
plan:
  {minSaving: 2s, minShare: 0.1, target: 45s, maxImageGrowth: 150MiB, launchesPerDay: 12, secondsPerGiB: 2, rebake: 2h,
  bakeWeight: 0.2, prices: {currency: EUR, launchHour: 0.5, bakeHour: 0.2, storageGiBMonth: 0.05}}
tune: {level: deeper, except: [ssh-rsa-ahead]}
bake: {engine: vm, maxGrowth: 200MiB, verifyLaunches: 3}
check: {allow: {unpinned-package: wanted}}
`
    expect(await withFile(text)).toEqual({
      file: '/ROOT/parbake.yaml',
      root: '/ROOT',
      store: 's3://bucket/prefix?region=eu-west-1',
      channel: 'canary',
      channelExpiryDays: 30,
      keysDir: '/ROOT/keys',
      cacheDir: '/home/u/cache',
      cache: { maxBytes: 5 * 1024 ** 3, packagesMaxBytes: 100 * 1024 ** 2 },
      stateDir: '/ROOT/state',
      base: 'my-base',
      baseMaxAgeDays: 7,
      hosts: {
        endpoint: 'http://10.0.2.2:9000/bucket/prefix',
        auth: 'presigned',
        region: 'eu-west-1',
        accessKeyEnv: 'A',
        secretKeyEnv: 'B',
        tags: ['db', 'web'],
      },
      vm: { memoryMiB: 1536, cpus: 4, accelerator: 'tcg' },
      plan: {
        minSavingSeconds: 2,
        minShare: 0.1,
        objective: 'target',
        targetSeconds: 45,
        maxImageGrowthBytes: 150 * 1024 ** 2,
        launchesPerDay: 12,
        secondsPerGiB: 2,
        rebakeSeconds: 7200,
        bakeWeight: 0.2,
        prices: { currency: 'EUR', launchHour: 0.5, bakeHour: 0.2, storageGiBMonth: 0.05 },
      },
      tune: { level: 'deeper', only: undefined, except: ['ssh-rsa-ahead'] },
      bake: { engine: 'vm', maxGrowthBytes: 200 * 1024 ** 2, verifyLaunches: 3 },
      check: { allow: { 'unpinned-package': 'wanted' } },
    })
  })

  it.each([
    ['./s', 'file:///ROOT/s'],
    ['~/my store', 'file:///home/u/my%20store'],
    ['/abs', 'file:///abs'],
    ['file://./s', 'file:///ROOT/s'],
    ['file://~/s', 'file:///home/u/s'],
    ['file:///abs/x', 'file:///abs/x'],
    ['minio://127.0.0.1:9000/b/p?tls=false', 'minio://127.0.0.1:9000/b/p?tls=false'],
  ])('the store %s is %s', async (store, expected) => {
    expect((await withFile(`store: ${JSON.stringify(store)}\n`))['store']).toBe(expected)
  })

  it.each([
    ['vm: {memory: 2048}', { memoryMiB: 2048, cpus: 2, accelerator: 'auto' }],
    ['vm: {memory: 512MiB}', { memoryMiB: 512, cpus: 2, accelerator: 'auto' }],
  ])('%s', async (text, vm) => {
    expect((await withFile(text))['vm']).toEqual(vm)
  })

  it.each(['', '# only comments\n'])('%j is as good as none', async (text) => {
    expect((await withFile(text))['channel']).toBe('stable')
  })

  it('is found upwards, the nearest first; --config wins', async () => {
    await using dir = await tempDir('config-test')
    const inner = join(dir.path, 'a', 'b')
    await mkdir(inner, { recursive: true })
    await writeFile(join(dir.path, 'parbake.yaml'), 'channel: outer\n')
    expect(await loadConfig(inner, undefined, env)).toMatchObject({ channel: 'outer', root: dir.path })
    await writeFile(join(dir.path, 'a', 'parbake.yaml'), 'channel: nearer\ncache: c\n')
    expect(await loadConfig(inner, undefined, env)).toMatchObject({
      channel: 'nearer',
      cacheDir: join(dir.path, 'a', 'c'),
      file: join(dir.path, 'a', 'parbake.yaml'),
    })
    await writeFile(join(inner, 'other.yaml'), 'channel: other\n')
    expect(await loadConfig(inner, 'other.yaml', env)).toMatchObject({ channel: 'other', root: inner })
  })
})

describe('bad configuration', () => {
  it('is reported all at once', async () => {
    const text = `stor: x
channel: Stable
vm: {memory: lots, cpu: 2}
hosts: {auth: none, endpoint: 10.0.2.2}
plan: {minShare: 2}
cacheLimits: {steps: much}
store: http://x
`
    expect(await failure(text)).toBe(`2 parbake.yaml:1:1: unknown key 'stor'
    stor: x
    ^
  did you mean 'store'?
parbake.yaml:2:10: channel must consist of a-z, 0-9 and -, at most 63 characters, without - at either end
    channel: Stable
             ^
parbake.yaml:3:14: vm.memory must be MiB or a text like "1GiB", at least 128 MiB
    vm: {memory: lots, cpu: 2}
                 ^
parbake.yaml:3:20: unknown key 'cpu' in vm
    vm: {memory: lots, cpu: 2}
                       ^
  did you mean 'cpus'?
parbake.yaml:4:15: hosts.auth must be one of static, instance-role, presigned, anonymous, but is 'none'
    hosts: {auth: none, endpoint: 10.0.2.2}
                  ^
parbake.yaml:4:31: hosts.endpoint must be http(s)://host[:port]/bucket[/prefix]
    hosts: {auth: none, endpoint: 10.0.2.2}
                                  ^
parbake.yaml:5:18: plan.minShare must be at most 1, but is the number 2
    plan: {minShare: 2}
                     ^
parbake.yaml:6:22: cacheLimits.steps must be bytes or a text like "5GiB"
    cacheLimits: {steps: much}
                         ^
parbake.yaml:7:8: store must be an s3://, minio:// or file:// URL, or the path of a folder
    store: http://x
           ^
parbake.yaml has 9 problems`)
  })

  it('has no client that cannot authenticate as hosts shall', async () => {
    expect(await withFile('hosts: {auth: anonymous, client: rclone}')).toMatchObject({ hosts: { client: 'rclone' } })
    expect(await failure('hosts: {auth: anonymous, client: s3cmd}')).toContain(
      'parbake.yaml:1:34: hosts.client cannot authenticate as auth says',
    )
    expect(await failure('hosts: {client: gsutil}')).toContain('must be one of awscli, rclone, s3cmd')
  })

  it('allows findings with a reason only', async () => {
    expect(await withFile('check: {allow: {bakes-time: wanted}}')).toMatchObject({
      check: { allow: { 'bakes-time': 'wanted' } },
    })
    expect(await failure("check: {allow: {bakes-time: ' '}}")).toContain('check.allow.bakes-time must say why')
  })

  it.each([
    [
      'a: [',
      '2 parbake.yaml:1:5: bad YAML: unexpected end of the stream within a flow collection\n    a: [\n        ^',
    ],
    [
      '- x\n',
      '2 parbake.yaml:1:1: the document must be a mapping, but is a list\n    - x\n    ^\nparbake.yaml has a problem',
    ],
  ])('%j', async (text, expected) => {
    expect(await failure(text)).toBe(expected)
  })

  it('a file that is named but not there', async () => {
    await expect(loadConfig('/', '/nonexistent/x.yaml', env)).rejects.toMatchObject({
      exitCode: 2,
      message: 'cannot read the configuration /nonexistent/x.yaml: it does not exist',
    })
  })
})
