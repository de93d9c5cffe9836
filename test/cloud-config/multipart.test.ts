import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  appendingMergeType,
  cloudConfig,
  gzip,
  include,
  includeOnce,
  multipart,
  type UserDataPartSpec,
} from '../../src/cloud-config/index.ts'
import { UserError } from '../../src/errors.ts'
import { mergeByCloudInit, readUserDataParts } from '../support/cloud-init.ts'

const config = cloudConfig().package('nginx').runCommand(['true'])

const parts: readonly UserDataPartSpec[] = [
  { kind: 'cloud-config', content: config, name: 'base.cfg' },
  { kind: 'cloud-config', content: config, name: 'site.cfg', mergeType: appendingMergeType },
  { kind: 'cloud-config', content: config.render({ jinja: true }), name: 'jinja.cfg', mergeType: appendingMergeType },
  { kind: 'script', content: '#!/bin/sh\necho hello\n', name: '10-hello' },
  { kind: 'script', content: '#!/bin/sh\necho "Grüße, 🍞"\n\n\n', name: '20-unicode' },
  { kind: 'script', content: `#!/bin/sh\n${'x'.repeat(2000)}\nFrom here\n.\n`, name: '30-lines' },
  { kind: 'script-per-boot', content: '#!/bin/sh\nno line end', name: 'boot' },
  { kind: 'boothook', content: '#cloud-boothook\n#!/bin/sh\ntrue\n' },
]

describe('user-data of several parts', () => {
  it('is a MIME message with the same bytes for equal parts', () => {
    const text = multipart(parts.slice(3, 5))
    expect(multipart(parts.slice(3, 5))).toBe(text)
    expect(text).toBe(`Content-Type: multipart/mixed; boundary="===============5f2093d96ff23c063ba22d52ac5f5000=="
MIME-Version: 1.0

--===============5f2093d96ff23c063ba22d52ac5f5000==
Content-Type: text/x-shellscript; charset="utf-8"
MIME-Version: 1.0
Content-Transfer-Encoding: 7bit
Content-Disposition: attachment; filename="10-hello"

#!/bin/sh
echo hello

--===============5f2093d96ff23c063ba22d52ac5f5000==
Content-Type: text/x-shellscript; charset="utf-8"
MIME-Version: 1.0
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="20-unicode"

IyEvYmluL3NoCmVjaG8gIkdyw7zDn2UsIPCfjZ4iCgoK
--===============5f2093d96ff23c063ba22d52ac5f5000==--
`)
  })

  it.each([
    ['as it is', (text: string) => text],
    ['compressed', gzip],
  ])('comes back part by part from cloud-init’s own reader, %s', async (_name, pack) => {
    const types = [
      ...['text/cloud-config', 'text/cloud-config', 'text/jinja2', 'text/x-shellscript', 'text/x-shellscript'],
      ...['text/x-shellscript', 'text/x-shellscript-per-boot', 'text/cloud-boothook'],
    ]
    const read = await readUserDataParts(pack(multipart(parts)))
    expect(read).toEqual(
      parts.map(({ content, name = 'part-008', mergeType = null }, index) => ({
        type: types[index],
        name,
        content: typeof content === 'string' ? content : content.render(),
        mergeType,
      })),
    )
  })

  it('is merged by cloud-init as the merge type says', async () => {
    const one = cloudConfig().package('a').runCommand('one').set('timezone', 'UTC')
    const two = cloudConfig().package('b').runCommand('two').set('timezone', 'Europe/Berlin').hostname('h')
    const text = multipart([
      { kind: 'cloud-config', content: one },
      { kind: 'cloud-config', content: two, mergeType: appendingMergeType },
    ])
    const merged = await mergeByCloudInit(await readUserDataParts(text))
    expect(merged).toEqual(one.merge(two, { values: 'keep' }).toObject())
    expect(merged).toEqual({ hostname: 'h', packages: ['a', 'b'], runcmd: ['one', 'two'], timezone: 'UTC' })
  })

  it.each<[string, readonly UserDataPartSpec[]]>([
    ['needs parts', []],
    ['would replace whole lists', [parts[0]!, { ...parts[1]!, mergeType: undefined } as unknown as UserDataPartSpec]],
    ["two parts are named 'x'", [3, 4].map((index) => ({ ...parts[index]!, name: 'x' }))],
    ["'a/b' is no name for a part", [{ ...parts[3]!, name: 'a/b' }]],
    ["'list(x\\n' is no merge type", [{ ...parts[1]!, mergeType: 'list(x\\n' }]],
    ['does not begin with #cloud-config', [{ kind: 'cloud-config', content: 'packages: []\n' }]],
    ["the part 'x' does not begin with #!", [{ kind: 'script', content: 'echo\n', name: 'x' }]],
    ['does not begin with #!', [{ kind: 'boothook', content: '#cloud-boothook\necho\n' }]],
    ['is empty', [{ kind: 'include', content: '\n' }]],
    ['cannot be a template', [{ kind: 'script-per-boot', content: '## template: jinja\n#!/bin/sh\n' }]],
    ['would be taken for a script', [{ kind: 'boothook', content: '## template: jinja\n#!/bin/sh\n' }]],
    ['is unknown', [{ kind: 'skript' as 'script', content: '#!/bin/sh\n' }]],
  ])('refuses what %s', (message, wrong) => {
    expect(() => multipart(wrong)).toThrow(UserError)
    expect(() => multipart(wrong)).toThrow(message)
  })
})

describe('included user-data', () => {
  it('is a list of URLs', () => {
    expect(include('https://example.org/a', 'http://10.0.0.1/b?c=d')).toBe(
      '#include\nhttps://example.org/a\nhttp://10.0.0.1/b?c=d\n',
    )
    expect(includeOnce('https://example.org/a')).toBe('#include-once\nhttps://example.org/a\n')
  })

  it.each(['example.org/a', 's3://bucket/a', 'https://example.org/a b', 'https://example.org/\n#!/bin/sh'])(
    'refuses %j',
    (url) => {
      expect(() => includeOnce(url)).toThrow(UserError)
    },
  )

  it('refuses to include nothing', () => {
    expect(() => include()).toThrow(UserError)
  })
})

it('compresses without time, name or platform', () => {
  const bytes = gzip(config.render())
  expect(bytes.subarray(0, 10).toString('hex')).toBe('1f8b08000000000002ff')
  expect(gunzipSync(bytes).toString()).toBe(config.render())
})
