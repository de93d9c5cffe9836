import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  cloudConfig,
  cloudConfigKeys,
  type CloudConfigDocument,
  type CloudConfigKey,
  type CloudUser,
  type FileSpec,
  type MergeRules,
} from '../../src/cloud-config/index.ts'
import { UserError } from '../../src/errors.ts'

describe('the cloud-config builder', () => {
  it('renders a document in a fixed order, commands as argv or line', () => {
    const text = cloudConfig()
      .runCommand(['/usr/local/sbin/agent', 'boot'])
      .runCommand('echo done > /run/done')
      .bootCommand(['true'])
      .package('nginx', ['curl', '7.88.1'])
      .user('default')
      .user({ name: 'app', system: true, shell: '/usr/sbin/nologin' })
      .hostname('web-1')
      .writeFile({ path: '/etc/motd', content: 'hello\nworld\n', permissions: '0644', owner: 'root:root' })
      .set('package_update', true)
      .render()
    expect(text).toBe(`#cloud-config
bootcmd:
  - - 'true'
hostname: web-1
package_update: true
packages:
  - nginx
  - - curl
    - 7.88.1
runcmd:
  - - /usr/local/sbin/agent
    - boot
  - echo done > /run/done
users:
  - default
  - name: app
    system: true
    shell: /usr/sbin/nologin
write_files:
  - path: /etc/motd
    content: |
      hello
      world
    owner: root:root
    permissions: '0644'
`)
  })

  it('never changes a builder that others hold', () => {
    const base = cloudConfig().package('a')
    const left = base.package('b')
    const right = base.set('hostname', 'x')
    expect(base.toObject()).toEqual({ packages: ['a'] })
    expect(left.toObject()).toEqual({ packages: ['a', 'b'] })
    expect(right.toObject()).toEqual({ hostname: 'x', packages: ['a'] })
    const copy = base.toObject() as { packages: string[] }
    copy.packages.push('c')
    expect(base.toObject()).toEqual({ packages: ['a'] })
  })

  it('gives the same bytes whatever the order of unrelated calls', () => {
    const one = cloudConfig().package('a').hostname('h').runCommand('r')
    const two = cloudConfig().runCommand('r').hostname('h').package('a')
    expect(one.render()).toBe(two.render())
  })

  it('packs gzip content without time, name or platform', () => {
    const content = 'x'.repeat(1000)
    const { write_files: files } = cloudConfig().writeFile({ path: '/x', content, encoding: 'gzip' }).toObject()
    expect(files?.[0]?.encoding).toBe('gz+b64')
    const bytes = Buffer.from(files?.[0]?.content ?? '', 'base64')
    expect(bytes.subarray(0, 10).toString('hex')).toBe('1f8b08000000000002ff')
    expect(gunzipSync(bytes).toString()).toBe(content)
  })

  it.each<[string, FileSpec, object]>([
    ['bytes travel as base64', { path: '/x', content: Buffer.from([0, 255]) }, { content: 'AP8=', encoding: 'b64' }],
    ['text as bytes', { path: '/x', content: Buffer.from('ü'), encoding: 'text' }, { content: 'ü' }],
    ['text as base64', { path: '/x', content: 'ü', encoding: 'base64' }, { content: 'w7w=', encoding: 'b64' }],
    [
      'append and defer',
      { path: '/x', content: '', append: true, defer: true },
      { content: '', append: true, defer: true },
    ],
  ])('%s', (_name, file, expected) => {
    expect(cloudConfig().writeFile(file).toObject().write_files).toEqual([{ path: '/x', ...expected }])
  })

  it.each<[string, () => unknown]>([
    [
      "permissions '644x' are not octal",
      () => cloudConfig().writeFile({ path: '/x', content: '', permissions: '644x' }),
    ],
    ["permissions '64' are not octal", () => cloudConfig().writeFile({ path: '/x', content: '', permissions: '64' })],
    ["'etc/x' is no absolute path", () => cloudConfig().writeFile({ path: 'etc/x', content: '' })],
    ["'/etc/' is no absolute path", () => cloudConfig().writeFile({ path: '/etc/', content: '' })],
    [
      '/x: the content is not UTF-8 text',
      () => cloudConfig().writeFile({ path: '/x', content: Buffer.from([0xff]), encoding: 'text' }),
    ],
    ['a command is empty', () => cloudConfig().runCommand([])],
    ['a command is empty', () => cloudConfig().bootCommand('')],
    ["'a_b' is no host name", () => cloudConfig().hostname('a_b')],
    ["'1x' is no user name", () => cloudConfig().user({ name: '1x' })],
    ["unknown cloud-config key 'runcmds'", () => cloudConfig().set('runcmds' as CloudConfigKey, [])],
    ["'App' is no group name", () => cloudConfig().group('App')],
    ["'a/b' is no name for an apt source", () => cloudConfig().aptSource('a/b', { key: 'x' })],
    ["'a' has neither a line nor a key", () => cloudConfig().aptSource('a', {})],
    ["two apt sources 'a'", () => cloudConfig().aptSource('a', { key: 'x' }).aptSource('a', { key: 'y' })],
    ['is no PEM text', () => cloudConfig().caCertificate('/etc/ssl/x.pem')],
    ["'data' is no absolute path", () => cloudConfig().mount({ device: '/dev/vdb', path: 'data' })],
    ["'users' was set to something else than a list", () => cloudConfig({ users: 'a,b' }).user('default')],
    ["'' is no user name", () => cloudConfig().user({} as CloudUser)],
    ['final_message: not valid Unicode', () => cloudConfig().set('final_message', 'a\ud800b').render()],
  ])('refuses: %s', (message, build) => {
    expect(build).toThrow(UserError)
    expect(build).toThrow(message)
  })

  it('adds groups, apt sources, certificates and mounts', () => {
    const certificate = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'
    const source = { source: 'deb [signed-by=$KEY_FILE] https://example.org $RELEASE main', keyid: 'ABCD1234' }
    const document = cloudConfig({ apt: { preserve_sources_list: true }, ca_certs: { remove_defaults: true } })
      .group('app')
      .group('ops', ['root', 'app'])
      .aptSource('one.list', source)
      .aptSource('two.list', { key: 'x' })
      .caCertificate(certificate)
      .mount({ device: 'LABEL=data', path: '/data' })
      .mount({ device: '/dev/vdc', path: 'none', type: 'swap' })
      .mount({ device: 'ephemeral0', path: '/scratch', options: 'noatime' })
      .toObject()
    expect(document).toEqual({
      apt: { preserve_sources_list: true, sources: { 'one.list': source, 'two.list': { key: 'x' } } },
      ca_certs: { remove_defaults: true, trusted: [certificate] },
      groups: ['app', { ops: ['root', 'app'] }],
      mounts: [
        ['LABEL=data', '/data'],
        ['/dev/vdc', 'none', 'swap'],
        ['ephemeral0', '/scratch', 'auto', 'noatime'],
      ],
    })
  })

  it('keeps nothing of what it was given', () => {
    const files = [{ path: '/x', content: 'x' }]
    const made = [cloudConfig({ write_files: files }), cloudConfig().set('write_files', files)]
    files[0]!.content = 'y'
    files.push({ path: '/z', content: 'z' })
    expect(made.map((builder) => builder.toObject())).toEqual(
      made.map(() => ({ write_files: [{ path: '/x', content: 'x' }] })),
    )
  })

  it('marks templates in the first line', () => {
    const config = cloudConfig().set('final_message', '{{ v1.region }}')
    expect(config.render({ jinja: true })).toBe("## template: jinja\n#cloud-config\nfinal_message: '{{ v1.region }}'\n")
    expect(config.render({ jinja: false })).toBe(config.render())
  })

  it.each<[string, unknown, string, string | undefined]>([
    ['runcmds', [], "unknown cloud-config key 'runcmds'", "did you mean 'runcmd'?"],
    ['write_files', [{}, { permision: 1 }], "unknown key 'permision' in write_files[1]", "did you mean 'permissions'?"],
    ['apt', { sources: { a: { sorce: 1 } } }, "unknown key 'sorce' in apt.sources.a", "did you mean 'source'?"],
    ['users', [{ name: 'a', sudu: 1 }], "unknown key 'sudu' in users[0]", "did you mean 'sudo'?"],
    ['ssh_keys', { rsa: 'x' }, "unknown key 'rsa' in ssh_keys", undefined],
  ])('refuses unknown keys in %s, with what was meant', (key, value, message, hint) => {
    const error = (() => {
      try {
        return cloudConfig({ [key]: value })
      } catch (thrown) {
        return thrown
      }
    })()
    expect(error).toMatchObject({ message: `cloud-config: ${message}`, hint, exitCode: 2 })
  })

  it('leaves alone what cloud-init leaves open', () => {
    const document = { salt_minion: { grains: { any: { thing: 1 } } }, landscape: { client: { url: 'x', more: 1 } } }
    expect(cloudConfig(document as unknown as CloudConfigDocument).toObject()).toEqual(document)
  })

  it('lists its keys sorted', () => {
    expect(cloudConfigKeys).toEqual(cloudConfigKeys.toSorted())
  })
})

describe('merging', () => {
  const own = cloudConfig({
    apt: { proxy: 'http://own', sources: { a: { key: 'own' } } },
    packages: ['one'],
    power_state: { mode: 'reboot', condition: ['test', '-e', '/own'] },
    timezone: 'UTC',
  })
  const other = cloudConfig({
    apt: { conf: 'x', sources: { a: { key: 'other' }, b: { key: 'b' } } },
    hostname: 'other',
    packages: ['two'],
    power_state: { mode: 'reboot', condition: ['test', '-e', '/other'] },
  })

  it.each<[MergeRules, readonly string[], string]>([
    [{}, ['one', 'two'], 'other'],
    [{ lists: 'append', values: 'replace' }, ['one', 'two'], 'other'],
    [{ lists: 'prepend', values: 'keep' }, ['two', 'one'], 'own'],
    [{ lists: 'replace' }, ['two'], 'other'],
    [{ lists: 'keep', values: 'keep' }, ['one'], 'own'],
  ])('%j', (rules, packages, winner) => {
    const before = [own.toObject(), other.toObject()]
    expect(own.merge(other, rules).toObject()).toEqual({
      apt: { proxy: 'http://own', conf: 'x', sources: { a: { key: winner }, b: { key: 'b' } } },
      hostname: 'other',
      packages,
      // An argv is one value, never two joined.
      power_state: { mode: 'reboot', condition: ['test', '-e', `/${winner}`] },
      timezone: 'UTC',
    })
    expect([own.toObject(), other.toObject()]).toEqual(before)
  })

  it('can refuse values that differ, and takes equal ones', () => {
    expect(() => own.merge(other, { values: 'refuse' })).toThrow("both documents set 'apt.sources.a.key'")
    expect(own.merge(own, { lists: 'keep', values: 'refuse' }).toObject()).toEqual(own.toObject())
  })
})
