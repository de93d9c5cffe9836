import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { keysText, typesText, type Schema } from '../../.ci/cloud-config-types.ts'
import {
  cloudConfig,
  cloudInitVersion,
  type CloudConfigDocument,
  type CloudUser,
} from '../../src/cloud-config/index.ts'
import { repository } from '../support/source-files.ts'

/** Each line that must not compile is marked; the type checker complains where one does after all. */
export function mustNotCompile(): void {
  const builder = cloudConfig()
  // @ts-expect-error: no such key
  builder.set('runcmds', [])
  // @ts-expect-error: no such key below
  builder.set('write_files', [{ path: '/x', permision: '0644' }])
  // @ts-expect-error: a number would be read in another base
  builder.writeFile({ path: '/x', content: '', permissions: 0o644 })
  // @ts-expect-error: not one of the modes
  builder.set('power_state', { mode: 'restart' })
  // @ts-expect-error: a required key is missing
  builder.set('phone_home', { tries: 3 })
  // @ts-expect-error: neither name nor snapuser
  builder.user({ shell: '/bin/sh' })
  // @ts-expect-error: a number is no argument
  builder.runCommand(['sleep', 1])
  // @ts-expect-error: no way to merge
  builder.merge(builder, { lists: 'zip' })
  // @ts-expect-error: what is given out is not to be written to
  builder.toObject().hostname = 'x'
  // @ts-expect-error: three fields are no package with version
  builder.package(['a', '1', '2'])
}

/** Keys of every kind that must compile. */
const everything = {
  ansible: { install_method: 'pip', pull: [{ url: 'https://example.org/x.git', playbook_names: ['site.yml'] }] },
  apt: {
    primary: [{ arches: ['default'], uri: 'http://mirror.example.org/debian' }],
    sources: { 'mine.list': { source: 'deb http://example.org $RELEASE main', keyid: 'ABCD1234' } },
    conf: 'APT::Install-Recommends "false";\n',
  },
  chpasswd: { expire: false, users: [{ name: 'app', type: 'RANDOM' }] },
  disk_setup: { '/dev/vdb': { table_type: 'gpt', layout: [50, [50, 82]], overwrite: false } },
  fs_setup: [{ label: 'data', filesystem: 'ext4', device: '/dev/vdb', partition: 'auto' }],
  groups: ['app', { ops: ['root'] }],
  lxd: { init: { storage_backend: 'dir' } },
  packages: ['nginx', ['curl', '7.88.1'], { apt: ['jq'], snap: [['core', 'edge']] }],
  reporting: { hook: { type: 'webhook', endpoint: 'https://example.org/', timeout: 5, retries: 3 } },
  rsyslog: { remotes: { all: '192.0.2.1' } },
  snap: { commands: { '00': ['snap', 'install', 'core'] } },
  swap: { filename: '/swap', size: '2G' },
  users: ['default', { name: 'app', sudo: ['ALL=(ALL) NOPASSWD:ALL'], ssh_import_id: ['gh:app'] }],
  wireguard: { interfaces: [{ name: 'wg0', config_path: '/etc/wireguard/wg0.conf', content: '[Interface]\n' }] },
  write_files: [{ path: '/x', source: { uri: 'https://example.org/x', headers: { 'X-Key': 'y' } } }],
  yum_repos: { epel: { baseurl: 'https://example.org/', gpgcheck: true } },
  zypper: { repos: [{ id: 'a', baseurl: 'https://example.org/', autorefresh: 1 }] },
} as const satisfies CloudConfigDocument

it('knows the keys of every module', () => {
  expect(cloudConfig(everything).toObject()).toEqual(everything)
  const user: CloudUser = { snapuser: 'joe@example.org' }
  expect(cloudConfig().user(user).toObject()).toEqual({ users: [user] })
})

const schema: Schema = {
  allOf: [{ $ref: '#/$defs/cc_one' }, { $ref: '#/$defs/cc_two' }],
  $defs: {
    'kind.of': { oneOf: [{ type: 'string' }, { enum: ['a', false, 3] }] },
    cc_one: {
      properties: {
        kinds: { type: 'array', items: { $ref: '#/$defs/kind.of' }, description: "The ``kinds``,\n**all** of '*/'." },
        'old-key': { type: ['integer', 'null'], deprecated: true, deprecated_version: '1.2' },
      },
    },
    cc_two: {
      properties: {
        kinds: { type: 'array', items: { $ref: '#/$defs/kind.of' } },
        map: {
          type: 'object',
          additionalProperties: false,
          required: ['name'],
          properties: { name: { type: 'string' }, pair: { type: 'array', items: {}, minItems: 2, maxItems: 2 } },
          patternProperties: { '^x-': { type: 'object', additionalProperties: false, properties: { y: {} } } },
        },
      },
    },
  },
}

describe('the generator', () => {
  it('writes types with what cloud-init says of them', () => {
    expect(typesText(schema, { one: 'final stage, at every boot', two: 'config stage, once ever' }, '// head')).toBe(
      `// head
/** A value with these keys present. */
type Need<T, K extends keyof T> = T & Required<Pick<T, K>>

export type KindOf = string | 'a' | false | 3

/** A cloud-config document: every key of every module. */
export interface CloudConfigDocument {
/**
 * The \`kinds\`, \`all\` of '*\\/'.
 * Module \`one\`: final stage, at every boot; \`two\`: config stage, once ever.
 */
readonly kinds?: readonly (KindOf)[]
readonly map?: { readonly name: string
readonly pair?: readonly [unknown, unknown]
readonly [key: string]: { readonly y?: unknown } | string | readonly [unknown, unknown] | undefined }
/**
 * Module \`one\`: final stage, at every boot.
 * @deprecated Since 1.2.
 */
readonly 'old-key'?: number | null
}
`.replace('readonly map?', '/**\n * Module `two`: config stage, once ever.\n */\nreadonly map?'),
    )
  })

  it('writes which keys there are', () => {
    expect(keysText(schema, '1.3', '// head')).toContain(
      `{"kinds":0,"map":{"keys":{"name":0,"pair":0},"patterns":{"^x-":{"keys":{"y":0}}}},"old-key":0}`,
    )
  })

  it('made what is there', async () => {
    const [types, keys] = await Promise.all(
      ['types', 'keys'].map((name) => readFile(join(repository, `src/cloud-config/generated-${name}.ts`), 'utf8')),
    )
    const head = `// Made by .ci/cloud-config-types.ts from cloud-init ${cloudInitVersion}, `
    expect([types?.startsWith(head), keys?.startsWith(head)]).toEqual([true, true])
  })
})
