import { createHash } from 'node:crypto'
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { writePackages } from '../../src/base/cache.ts'
import { ageInDays, baseFreshness, staleness, warnIfStale, type PendingUpdates } from '../../src/base/freshness.ts'
import type { Base } from '../../src/base/model.ts'
import { formatPending } from '../../src/base/render.ts'
import type { Context } from '../../src/context.ts'
import type { Event } from '../../src/report/events.ts'
import { run } from '../../src/system/run.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { findTool } from '../../src/system/tools.ts'

let folder: TempDir
let context: Context
let events: Event[]
let base: Base

beforeEach(async () => {
  folder = await tempDir('test-freshness')
  // apt fetches as a user of its own.
  await chmod(folder.path, 0o755)
  events = []
  const config = { cacheDir: join(folder.path, 'cache'), baseMaxAgeDays: 30 } as Context['config']
  context = {
    config,
    reporter: { emit: (event) => events.push(event), close: () => {} },
    signal: new AbortController().signal,
  }
  base = await makeBase({ builtAt: new Date().toISOString() })
})
afterEach(() => folder[Symbol.asyncDispose]())

const digest = 'ab'.repeat(32) as Base['digest']

async function makeBase(change: Partial<Base>): Promise<Base> {
  const path = join(folder.path, 'cache', 'bases', digest, 'disk.qcow2')
  await mkdir(dirname(path), { recursive: true })
  await writePackages(dirname(path), [
    { name: 'openssl', version: '3.0.15-1', architecture: 'amd64' },
    { name: 'bash', version: '5.2-1', architecture: 'amd64' },
  ])
  return {
    ...{ v: 1, name: 'debian-12', digest, format: 'qcow2', sizeBytes: 1, virtualSizeBytes: 1, path },
    ...{ distribution: 'Debian 12', builtAt: '2020-01-01T00:00:00Z', packages: 2 },
    archive: {
      mirror: `file://${folder.path}/debian`,
      securityMirror: `file://${folder.path}/security`,
      keyring: join(folder.path, 'keys.gpg'),
      ...{ suite: 'bookworm', components: ['main'], architecture: 'amd64' },
    },
    ...change,
  }
}

/** A signed archive as Debian's, with these versions in its three parts. */
async function makeArchive(versions: Readonly<Record<'suite' | 'updates' | 'security', Record<string, string>>>) {
  const home = join(folder.path, 'gpg')
  await rm(home, { recursive: true, force: true })
  await mkdir(home, { mode: 0o700 })
  const gpg = (...args: string[]) =>
    run('gpg', ['--homedir', home, '--batch', '--yes', '--passphrase', '', '--pinentry-mode', 'loopback', ...args])
  try {
    await gpg('--quick-generate-key', 'Archive <archive@example.org>', 'ed25519', 'sign', 'never')
    await gpg('--export', '--output', join(folder.path, 'keys.gpg'))
    for (const [part, archive, suite] of [
      ['suite', 'debian', 'bookworm'],
      ['updates', 'debian', 'bookworm-updates'],
      ['security', 'security', 'bookworm-security'],
    ] as const) {
      const release = join(folder.path, archive, 'dists', suite)
      const index = join(release, 'main', 'binary-amd64', 'Packages')
      await mkdir(dirname(index), { recursive: true })
      const text = Object.entries(versions[part])
        .map(
          ([name, version]) => `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\nFilename: x\nSize: 1\n\n`,
        )
        .join('')
      await writeFile(index, text)
      const sha256 = createHash('sha256').update(text).digest('hex')
      await writeFile(
        join(release, 'Release'),
        `Origin: Debian\nSuite: ${suite}\nCodename: ${suite}\nDate: ${new Date().toUTCString()}\nArchitectures: amd64\nComponents: main\nSHA256:\n ${sha256} ${(await stat(index)).size} main/binary-amd64/Packages\n`,
      )
      await gpg('--clearsign', '--output', join(release, 'InRelease'), join(release, 'Release'))
      await rm(join(release, 'Release'))
    }
  } finally {
    await run('gpgconf', ['--homedir', home, '--kill', 'gpg-agent'], { allowFailure: true })
  }
}

/** The updates are empty, as a young release's are. */
const current = { suite: { openssl: '3.0.15-1', bash: '5.2-1' }, updates: {}, security: { openssl: '3.0.14-1' } }
const hasApt = (await findTool('apt-get')) !== undefined && (await findTool('gpg')) !== undefined

describe.skipIf(!hasApt)('pending updates', () => {
  test('are found in a verified archive and kept for later looks', async () => {
    await makeArchive({ ...current, updates: { bash: '5.2-2' }, security: { openssl: '3.0.15-1+deb12u1' } })
    const { pending } = await baseFreshness(base, context)
    expect(pending).toMatchObject({
      known: true,
      updates: [
        { name: 'openssl', installed: '3.0.15-1', available: '3.0.15-1+deb12u1', security: true },
        { name: 'bash', installed: '5.2-1', available: '5.2-2', security: false },
      ],
    })
    await rm(join(folder.path, 'debian'), { recursive: true })
    expect((await baseFreshness(base, context, { look: 'cached' })).pending).toEqual(pending)
    expect((await baseFreshness(base, context)).pending).toEqual(pending)
    expect((await baseFreshness(base, context, { look: 'now' })).pending.known).toBe(false)
    events.length = 0
    await warnIfStale(base, context)
    expect(events).toEqual([
      {
        type: 'warning',
        text: 'the base debian-12 lacks 1 security update',
        hint: "run 'parbake base build debian-12 --force'",
      },
    ])
  })

  test('none is a finding', async () => {
    await makeArchive(current)
    expect((await baseFreshness(base, context)).pending).toMatchObject({ known: true, updates: [] })
  })

  test.each<[string, () => Promise<unknown>, RegExp]>([
    [
      'an index that was changed',
      () => writeFile(join(folder.path, 'security/dists/bookworm-security/main/binary-amd64/Packages'), 'Package: x\n'),
      /./,
    ],
    [
      'a release signed by another key',
      async () => {
        const old = await readFile(join(folder.path, 'keys.gpg'))
        await makeArchive(current)
        await writeFile(join(folder.path, 'keys.gpg'), old)
      },
      /signature|NO_PUBKEY|not signed/i,
    ],
    ['no keys', () => rm(join(folder.path, 'keys.gpg')), /keys\.gpg is missing/],
    ['no security archive', () => rm(join(folder.path, 'security'), { recursive: true }), /./],
  ])('are unknown with %s, and nothing is kept', async (_name, damage, why) => {
    await makeArchive(current)
    await damage()
    const { pending } = await baseFreshness(base, context)
    expect(pending).toMatchObject({ known: false, why: expect.stringMatching(why) as string })
    expect((await baseFreshness(base, context, { look: 'cached' })).pending).toEqual({
      known: false,
      why: 'nobody has looked yet',
    })
  })

  test('are unknown where the archive cannot be reached', async () => {
    await makeArchive(current)
    const { archive } = base
    if (archive === undefined) throw new Error('no archive')
    const away = { ...base, archive: { ...archive, mirror: 'http://127.0.0.1:9/debian' } }
    expect((await baseFreshness(away, context)).pending.known).toBe(false)
  })
})

test('an imported image has neither age nor known updates', async () => {
  const { archive: _archive, ...rest } = base
  const imported = { ...rest, source: '/x.qcow2' }
  expect(await baseFreshness(imported, context)).toEqual({
    ageDays: undefined,
    maxAgeDays: 30,
    tooOld: false,
    pending: { known: false, why: 'imported images bring no list of packages' },
  })
})

test('a base that nobody looked at is silent while it is young and warned of when it is old', async () => {
  await warnIfStale(base, context)
  expect(events).toEqual([])
  const builtAt = new Date(Date.now() - 31.5 * 86_400_000).toISOString()
  expect(await warnIfStale({ ...base, builtAt }, context)).toMatchObject({ ageDays: 31, tooOld: true })
  expect(events).toEqual([
    {
      type: 'warning',
      text: 'the base debian-12 is 31 days old (base.maxAgeDays is 30)',
      hint: "run 'parbake base build debian-12 --force'",
    },
  ])
})

test.each([
  ['2026-01-01T00:00:00Z', '2026-01-01T23:59:59Z', 0],
  ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', 1],
  ['2026-01-01T00:00:00Z', '2025-01-02T00:00:00Z', 0],
])('from %s to %s it is %d days', (since, now, days) => {
  expect(ageInDays(since, Date.parse(now))).toBe(days)
})

const fix = { name: 'a', installed: '1', available: '2', security: true }
const looked = (updates: (typeof fix)[]): PendingUpdates => ({
  known: true,
  checkedAt: '2026-01-01T00:00:00Z',
  updates,
})

test.each<[boolean, PendingUpdates, string | undefined]>([
  [false, { known: false, why: 'x' }, undefined],
  [false, looked([]), undefined],
  [false, looked([{ ...fix, security: false }]), undefined],
  [false, looked([fix, fix]), 'the base b lacks 2 security updates'],
  [true, looked([fix]), 'the base b is 40 days old (base.maxAgeDays is 30) and lacks 1 security update'],
  [true, { known: false, why: 'x' }, 'the base b is 40 days old (base.maxAgeDays is 30)'],
])('too old %j, pending %j', (tooOld, pending, expected) => {
  expect(staleness('b', { ageDays: 40, maxAgeDays: 30, tooOld, pending })).toBe(expected)
})

test.each<[PendingUpdates, string, string]>([
  [{ known: false, why: 'no network' }, '2026-01-01T01:00:00Z', 'unknown: no network'],
  [looked([]), '2026-01-01T01:00:00Z', 'none'],
  [looked([]), '2026-01-02T01:00:00Z', 'none (1 day ago)'],
  [looked([fix, { ...fix, security: false }]), '2026-01-04T01:00:00Z', '1 security, 1 others (3 days ago)'],
])('%j is shown', (pending, now, expected) => {
  expect(formatPending(pending, Date.parse(now))).toBe(expected)
})
