import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stepTypes } from '../../src/steps/registry.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { writeTree } from '../recipe/support.ts'
import { renderType } from './support.ts'

/** What each type renders to, as files beside this one: `npx vitest run test/steps/golden.test.ts -u` writes them. */
const cases: readonly (readonly [name: string, type: string, spec: Readonly<Record<string, unknown>>])[] = [
  ['file', 'file', { content: 'x', destination: "/etc/it's.conf", owner: 'app:adm', mode: '640' }],
  ['template', 'template', { content: 'x', destination: '/etc/x.conf' }],
  ['script', 'script', { run: 'echo hi' }],
  ['directory', 'directory', { path: '/srv/app', owner: 'app', mode: '0750' }],
  ['directory-source', 'directory', { path: '/srv/app', source: 'site', mode: '2775' }],
  ['directory-absent', 'directory', { path: '/srv/app', absent: true }],
  ['user', 'user', { user: 'app' }],
  [
    'user-all',
    'user',
    {
      ...{ user: 'app', uid: 400, group: 'apps', gid: 401, groups: ['adm', 'www'], home: '/srv/app', shell: '/bin/sh' },
      ...{ system: true, authorizedKeys: ['ssh-ed25519 AAAA'], locked: true },
    },
  ],
  ['user-absent', 'user', { user: 'app', absent: true }],
  ['service', 'service', { service: 'nginx', state: 'restarted' }],
  ['service-stopped', 'service', { service: 'nginx', state: 'stopped' }],
  ['service-enabled', 'service', { service: 'nginx', enabled: true }],
  ['packages', 'packages', { install: ['nginx'] }],
  [
    'packages-all',
    'packages',
    {
      ...{ install: ['nginx=1.2', { apt: 'libc6-dev', apk: 'musl-dev' }], remove: ['telnet'], update: false },
      repositories: [{ name: 'tools', apt: { url: 'https://tools.example/debian', key: 'tools.asc' } }],
    },
  ],
  ['ansible', 'ansible', { playbook: 'site.yml' }],
  [
    'ansible-all',
    'ansible',
    { playbook: 'a b/site.yml', vars: { port: 80 }, tags: ['one', 'two'], skipTags: ['slow'] },
  ],
  ['puppet', 'puppet', { manifest: 'site.pp' }],
  [
    'puppet-all',
    'puppet',
    { manifest: 'manifests', modules: './modules/', hiera: 'hiera.yaml', facts: { role: "it's", port: 80 } },
  ],
  [
    'fetch',
    'fetch',
    { url: 'https://example.com/tool', sha256: '0'.repeat(64), destination: '/usr/local/bin/tool', mode: '0755' },
  ],
  ...['tar', 'tar.gz', 'tar.zst', 'zip'].map(
    (format) => [`archive-${format}`, 'archive', { source: `a.${format}`, destination: '/opt/a' }] as const,
  ),
  [
    'archive-url',
    'archive',
    { url: 'https://example.com/a.tar.xz', sha256: '0'.repeat(64), destination: '/opt/a', strip: 1, owner: 'app' },
  ],
]

describe('rendered scripts', () => {
  it('are known for every type', () => {
    expect([...new Set(cases.map(([, type]) => type))].toSorted()).toEqual(stepTypes.map(({ name }) => name).toSorted())
  })

  it.each(cases)('%s', async (name, type, spec) => {
    await expect((await renderType(type, spec)).script).toMatchFileSnapshot(join('golden', `${name}.sh`))
  })

  it('are clean to shellcheck', async () => {
    await using dir = await tempDir('golden')
    for (const [name, type, spec] of cases) {
      await writeTree(dir.path, { [`${name}.sh`]: (await renderType(type, spec)).script })
    }
    const files = cases.map(([name]) => join(dir.path, `${name}.sh`))
    const { stdout } = await run('shellcheck', ['--shell', 'dash', ...files], { allowFailure: true })
    expect(stdout).toBe('')
  })
})
