import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { cloudConfig, cloudConfigKeys, type CloudConfigKey, type FileSpec } from '../../src/cloud-config/index.ts'
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
    ['final_message: not valid Unicode', () => cloudConfig().set('final_message', 'a\ud800b').render()],
  ])('refuses: %s', (message, build) => {
    expect(build).toThrow(UserError)
    expect(build).toThrow(message)
  })

  it('lists its keys sorted', () => {
    expect(cloudConfigKeys).toEqual(cloudConfigKeys.toSorted())
  })
})
