import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { readMime } from '../../src/import/mime.ts'
import { carriedLines, importText, lostLines, scriptOf } from './support.ts'

interface Part {
  readonly type: string
  readonly text: string
  readonly name?: string
  readonly headers?: string
  readonly encoding?: 'base64' | 'gzip' | 'quoted-printable'
}

function encoded({ text, encoding }: Part): string {
  if (encoding === 'base64') return Buffer.from(text).toString('base64').replaceAll(/.{60}/g, '$&\n')
  if (encoding === 'gzip') return gzipSync(text).toString('base64')
  return encoding === 'quoted-printable'
    ? text.replaceAll('=', '=3D').replaceAll('é', '=C3=A9').replace(' ', ' =\n')
    : text
}

function message(parts: readonly (Part | string)[], boundary = 'XX'): string {
  const bodies = parts.map((part) => {
    if (typeof part === 'string') return part
    const transfer = part.encoding === 'gzip' ? 'base64' : (part.encoding ?? '7bit')
    return [
      `Content-Type: ${part.type}; charset="utf-8"`,
      `Content-Transfer-Encoding: ${transfer}`,
      ...(part.name === undefined ? [] : [`Content-Disposition: attachment; filename="${part.name}"`]),
      ...(part.headers === undefined ? [] : [part.headers]),
      '',
      encoded(part),
    ].join('\n')
  })
  const head = `Content-Type: multipart/mixed; boundary="${boundary}"\nMIME-Version: 1.0\n`
  return `${head}\nPreamble.\n${bodies.map((body) => `--${boundary}\n${body}\n`).join('')}--${boundary}--\n`
}

const shell = (text: string, more: Partial<Part> = {}): Part => ({ type: 'text/x-shellscript', text, ...more })
const config = (text: string, more: Partial<Part> = {}): Part => ({
  ...{ type: 'text/cloud-config', text: `#cloud-config\n${text}`, ...more },
})

describe('parts', () => {
  test.each(['base64', 'gzip', 'quoted-printable', undefined] as const)('are decoded: %s', (encoding) => {
    const text = '#!/bin/sh\necho a=b é\n'
    const [part] = readMime({
      file: 'x',
      line: 1,
      text: message([shell(text, encoding === undefined ? {} : { encoding })]),
    })
    expect(part?.source.text.trimEnd()).toBe(text.trimEnd())
  })

  test('may be nested; a plain type is told from how the part begins', () => {
    const inner = message([shell('#!/bin/sh\n1\n'), { type: 'text/plain', text: '#!/bin/bash\n2\n' }], 'YY')
    const parts = readMime({ file: 'x', line: 1, text: message([inner, config('a: 1\n')]) })
    expect(parts.map(({ type, source }) => [type, source.line])).toEqual([
      ['text/x-shellscript', 14],
      ['text/x-shellscript', 21],
      ['text/cloud-config', 30],
    ])
  })

  test.each([
    ['no boundary', 'Content-Type: multipart/mixed\n\na\n', 'names no boundary'],
    ['no part', 'Content-Type: multipart/mixed; boundary=a\n\nb\n', 'no part begins with --a'],
    ['no header', 'Content-Type: text/plain\nwhat\n\n', 'is no header'],
    ['another encoding', message([shell('a', { headers: 'X: y' })]).replace('7bit', 'uuencode'), "encoding 'uuencode'"],
    [
      'bad gzip',
      message([{ ...shell(''), encoding: 'base64', text: '\u001F\u008B' }]).replace(
        /\n[A-Za-z0-9+/=]+\n--XX--/,
        '\nH4sIAAAA\n--XX--',
      ),
      'cannot be unpacked',
    ],
  ])('%s is an error with a position', (_, text, wanted) => {
    expect(() => readMime({ file: 'x', line: 1, text })).toThrow(wanted)
  })
})

test('every part becomes steps or is listed, in the order in which cloud-init goes about it', () => {
  const imported = importText(
    'mime',
    message([
      shell('#!/bin/sh\nsecond\n', { name: 'b-second.sh' }),
      config('packages: [jq]\nruncmd: [ls]\n'),
      shell('#!/usr/bin/python3\nfirst\n', { name: 'a-first.py' }),
      { type: 'text/cloud-boothook', text: '#cloud-boothook\n#!/bin/sh\nhook\n' },
      { type: 'text/x-shellscript-per-boot', text: '#!/bin/sh\nboot\n', name: 'boot.sh' },
      { type: 'text/x-shellscript-per-instance', text: '#!/bin/sh\nonce\n', name: 'once.sh' },
      { type: 'text/x-include-url', text: 'https://example.com/more\n' },
      { type: 'text/part-handler', text: '#part-handler\n' },
      { type: 'text/x-strange', text: 'what\n' },
    ]),
  )
  expect(imported.steps.map(({ name, when = 'change' }) => `${name} ${when}`)).toEqual([
    'part-004 boot',
    'boot boot',
    'packages change',
    'once instance',
    'a-first change',
    'b-second change',
    'runcmd change',
  ])
  expect(lostLines(imported).map((line) => line.replace(/^\d+ /, ''))).toEqual([
    'part of type text/x-include-url',
    'part of type text/part-handler',
    'part of type text/x-strange',
  ])
  expect(imported.carried).toHaveLength(7)
  expect(scriptOf(imported, 'part-004')).toMatch(/^#!\/bin\/sh\n# parbake: allow .*\ncd \/\nhook\n$/)
  expect(scriptOf(imported, 'a-first')).toBe('#!/bin/sh\nprogram=$PWD/scripts/a-first\ncd /\nexec "$program"\n')
})

describe('a key that two parts have', () => {
  const first = config('packages: [jq]\nruncmd: [first]\n')

  test('is replaced by the later one, which is told', () => {
    const imported = importText('mime', message([first, config('runcmd: [second]\n')]))
    expect(scriptOf(imported, 'runcmd')).toContain('\nsecond\n')
    expect(scriptOf(imported, 'runcmd')).not.toContain('first')
    expect(lostLines(imported)).toEqual(['11 runcmd'])
  })

  test.each([
    ['in its header', config('runcmd: [second]\n', { headers: 'Merge-Type: list(append)+dict(recurse_array)+str()' })],
    ['in its text', config('merge_how: [{name: list, settings: [append]}]\nruncmd: [second]\n')],
  ])('is appended where the later part asks for it %s', (_, second) => {
    const imported = importText('mime', message([first, second]))
    expect(scriptOf(imported, 'runcmd')).toContain('\nfirst\nsecond\n')
    expect(lostLines(imported).filter((line) => !line.includes('merge_how'))).toEqual([])
  })
})

test('lines of a packed part count in the part', () => {
  const { notCarried } = importText('mime', message([config('runcmd: [ls]\nnothing: 1\n', { encoding: 'gzip' })]))
  expect(notCarried[0]?.at).toMatchObject({ file: 'user-data (part at line 6, decoded)', line: 3 })
})

test('a cloud-config-archive is a list of parts', () => {
  const imported = importText(
    'mime',
    `#cloud-config-archive
- type: text/cloud-config
  content: |
    packages: [jq]
- content: |
    #!/bin/sh
    echo
  filename: run.sh
`.replace(/^/, 'Content-Type: text/cloud-config-archive\n\n'),
  )
  expect(carriedLines(imported)).toEqual(['6 packages -> packages', '8 script run.sh -> run'])
})
