import { describe, expect, it } from 'vitest'
import {
  cloudConfig,
  cloudConfigKeys,
  isCloudConfigKey,
  type CloudConfigDocument,
} from '../../src/cloud-config/index.ts'
import {
  checkCloudConfig,
  cloudInitExamples,
  cloudInitKeys,
  decodeWriteFile,
  readWithPyYaml,
} from '../support/cloud-init.ts'

/** Each is read as something else than this very string by some YAML reader when it is written carelessly. */
const traps = [
  ...[
    'yes',
    'no',
    'on',
    'off',
    'y',
    'n',
    'Y',
    'N',
    'true',
    'False',
    'null',
    'Null',
    '~',
    '',
    ' ',
    'NaN',
    '.nan',
    '.inf',
    '-.INF',
  ],
  ...[
    '0700',
    '0o700',
    '0x1F',
    '0b101',
    '1_000',
    '0.1_0',
    '1e3',
    '1.',
    '.5',
    '+1',
    '-0',
    '1:30:00',
    '190:20:30.15',
    '12345678901234567890',
  ],
  ...[
    '2026-01-01',
    '2026-01-01T00:00:00Z',
    '2001-12-14 21:59:43.10 -5',
    '=',
    '<<',
    '-',
    '--- ',
    '---',
    '...',
    '- a',
    '? a',
    ': a',
    'a: b',
  ],
  ...[
    'a #b',
    '#cloud-config',
    '&a',
    '*a',
    '!a',
    '!!binary x',
    '|',
    '>',
    '%TAG',
    '@x',
    '`x`',
    '{a}',
    '[a]',
    '{{ jinja }}',
    '"',
    "'",
    "it's",
    '\\',
    '\\n',
  ],
  ...[
    '\ttab',
    'tab\tin',
    'tab\t',
    'a\n\tb\n',
    ' leading',
    'trailing ',
    'a \nb ',
    '\n',
    '\n\n',
    '\na',
    'a\n',
    'a\n\n',
    ' \n a',
    '  a\nb',
    'a\r\nb\r\n',
    '\r',
    'a\rb',
  ],
  ...[
    'ünïcode',
    '日本語',
    '🍞',
    '\u00a0',
    '\u0085',
    '\u2028',
    '\u2029',
    '\ufeff',
    'a\ufeffb',
    '\ufffe',
    '\u0000',
    '\u0007',
    '\u001b[0m',
    '\u007f',
    '\u0080',
    '\ue000',
  ],
  ...['x'.repeat(5000), `${'word '.repeat(2000)}`, `${'long line '.repeat(50)}\nshort\n${'long again '.repeat(50)}\n`],
]

describe('rendered cloud-config', () => {
  it('reads back through PyYAML exactly, as values', async () => {
    const document: CloudConfigDocument = { runcmd: traps.map((trap) => ['echo', trap]) }
    const text = cloudConfig()
      .set('runcmd', document.runcmd ?? [])
      .render()
    expect(await readWithPyYaml(text)).toEqual(document)
  })

  it('reads back through PyYAML exactly, as keys', async () => {
    const keys = Object.fromEntries(traps.filter((trap) => trap.length <= 1000).map((trap) => [trap, trap]))
    const document = { salt_minion: { grains: keys } }
    expect(await readWithPyYaml(cloudConfig(document).render())).toEqual(document)
  })

  it('keeps strings, numbers and booleans apart', async () => {
    const document = {
      power_state: { mode: 'poweroff', delay: 5, message: '5', condition: true, timeout: 30 },
      mounts: [['/dev/vdb', '/data', 'ext4', 'defaults', '0', '2']],
      swap: { size: '1_000' },
    } as const
    const text = cloudConfig()
      .set('power_state', document.power_state)
      .set('mounts', document.mounts)
      .set('swap', document.swap)
      .render()
    expect(await readWithPyYaml(text)).toEqual(document)
  })

  it("unpacks to the same bytes through cloud-init's own decoder", async () => {
    const content = Buffer.from('#!/bin/sh\necho "ü"\r\n\t\0end')
    for (const encoding of ['text', 'gzip', 'base64'] as const) {
      const [entry] = cloudConfig().writeFile({ path: '/x', content, encoding }).toObject().write_files ?? []
      expect(await decodeWriteFile({ content: entry?.content ?? '', ...entry })).toEqual(content)
    }
  })

  it("passes cloud-init's schema checker with every module in use", { timeout: 60_000 }, async () => {
    const text = cloudConfig()
      .bootCommand(['echo', 'early'])
      .bootCommand('echo early')
      .runCommand(['echo', 'late'])
      .runCommand('echo late')
      .package('nginx', ['curl', '7.88.1'])
      .user('default')
      .user({
        name: 'app',
        groups: ['adm'],
        lock_passwd: true,
        sudo: 'ALL=(ALL) NOPASSWD:ALL',
        ssh_authorized_keys: ['ssh-ed25519 AAAA x'],
      })
      .hostname('web-1')
      .authorizedKey('ssh-ed25519 AAAA x')
      .group('app')
      .group('ops', ['root'])
      .aptSource('second.list', { source: 'deb http://example.org/ y main' })
      .caCertificate('-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n')
      .mount({ device: 'LABEL=data', path: '/data', options: 'noatime' })
      .writeFile({ path: '/a', content: 'yes', permissions: '0600', owner: 'app:app', append: true, defer: true })
      .writeFile({ path: '/b', content: 'x', encoding: 'gzip' })
      .merge(
        cloudConfig({
          apt: {
            sources: { mine: { source: 'deb http://example.org/ x main', keyid: 'ABCD1234' } },
            preserve_sources_list: true,
          },
        }),
      )
      .set('chpasswd', { expire: false, users: [{ name: 'app', password: 'x', type: 'text' }] })
      .set('growpart', { mode: 'auto', devices: ['/'] })
      .set('keyboard', { layout: 'de' })
      .set('ntp', { enabled: true, servers: ['ntp.example.org'] })
      .set('output', { all: '| tee -a /var/log/x.log' })
      .set('phone_home', { url: 'http://example.org/', post: ['instance_id'], tries: 3 })
      .set('power_state', { mode: 'reboot', delay: 'now', timeout: 30 })
      .set('random_seed', { data: 'x', encoding: 'raw' })
      .set('resize_rootfs', 'noblock')
      .set('ssh', { emit_keys_to_console: false })
      .set('ssh_genkeytypes', ['ed25519'])
      .set('swap', { size: '1G', filename: '/swap' })
      .set('manage_etc_hosts', 'localhost')
      .set('package_update', true)
      .set('timezone', 'UTC')
      .render()
    const result = await checkCloudConfig(text)
    expect(`${result.stdout}${result.stderr}`).toContain('Valid cloud-config')
    expect(result.exitCode).toBe(0)
    const wrong = await checkCloudConfig(text.replace('timezone: UTC', 'timezone: [UTC]'))
    expect(wrong.exitCode).toBe(1)
  })

  it('knows every top-level key that cloud-init knows, and what came since then', async () => {
    const installed = await cloudInitKeys()
    const since = ['create_hostname_file', 'launch-index', 'merge_how', 'merge_type', 'output', 'reporting', 'rpi']
    const newer = [...since, 'system_info', 'ubuntu_pro']
    expect([...installed].filter((key) => !isCloudConfigKey(key) && key !== 'migrate')).toEqual([])
    expect(cloudConfigKeys.filter((key) => !installed.has(key) && !newer.includes(key))).toEqual([])
  })

  it("knows every key in cloud-init's own examples", async () => {
    const examples = await cloudInitExamples()
    expect(examples.size).toBeGreaterThan(15)
    const refused = [...examples.values()].flatMap((document) => {
      try {
        cloudConfig(document as CloudConfigDocument)
        return []
      } catch (error) {
        return [(error as Error).message]
      }
    })
    // The first is a mistake in two examples that cloud-init's own checker does not see; the others left the schema.
    const right = [
      "cloud-config: unknown cloud-config key 'packages_update'",
      "cloud-config: unknown cloud-config key 'datasource'",
      "cloud-config: unknown cloud-config key 'debconf_selections'",
      "cloud-config: unknown key 'dsa_private' in ssh_keys",
    ]
    expect(refused.filter((message) => !right.includes(message))).toEqual([])
    expect(refused).toContain(right[0])
  })
})
