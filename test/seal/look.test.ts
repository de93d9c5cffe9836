import { createHash, generateKeyPairSync } from 'node:crypto'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseDumpe2fs, parseExtents } from '../../src/seal/ext.ts'
import { globSource } from '../../src/seal/glob.ts'
import { lookAtFiles, type Finding } from '../../src/seal/look.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'

const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const rsaPem = generateKeyPairSync('rsa', { modulusLength: 1024 })
  .privateKey.export({ type: 'pkcs1', format: 'pem' })
  .toString()

let folder: TempDir
beforeEach(async () => {
  folder = await tempDir('test-look')
})
afterEach(() => folder[Symbol.asyncDispose]())

async function look(files: Readonly<Record<string, string>>): Promise<readonly Finding[]> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, path)), { recursive: true })
    await writeFile(join(folder.path, path), text, 'latin1')
  }
  return (await lookAtFiles(folder.path, { signal: new AbortController().signal })).findings
}

const md5 = (text: string) => createHash('md5').update(text, 'latin1').digest('hex')
const dpkg = { 'var/lib/dpkg/status': 'Package: x\nStatus: install ok installed\n' }

test('a secret is told of by path and line, or byte', async () => {
  expect(await look({ 'opt/a.conf': `one\ntwo\nkey: ${rsaPem}`, 'opt/b': `\0${'x'.repeat(99)}${rsaPem}` })).toEqual(
    expect.arrayContaining([
      { id: 'private-key', where: '/opt/a.conf:3', why: 'a private key' },
      { id: 'private-key', where: '/opt/b, byte 100', why: 'a private key' },
    ]),
  )
})

test('a secret is found at the end of a large file and across the pieces in which it is read', async () => {
  const piece = 1024 * 1024
  const findings = await look({
    'opt/end': `${'x'.repeat(2 * piece)}\n${rsaPem}`,
    'opt/across': `${'x'.repeat(piece - 60)}\n${rsaPem}${'y'.repeat(piece)}`,
  })
  expect(findings.map(({ where }) => where).toSorted()).toEqual([
    `/opt/across, byte ${piece - 59}`,
    `/opt/end, byte ${2 * piece + 1}`,
  ])
})

test('an unchanged file of a package is allowed, a changed or foreign one is not', async () => {
  const findings = await look({
    ...dpkg,
    'var/lib/dpkg/info/x.md5sums': `${md5(rsaPem)}  usr/share/x/test.pem\n${md5(rsaPem)}  usr/share/x/changed.pem\n${md5(rsaPem)}  lib/x/merged.pem\n`,
    'usr/share/x/test.pem': rsaPem,
    'usr/share/x/changed.pem': `${rsaPem}\n`,
    'usr/share/x/foreign.pem': rsaPem,
    'usr/lib/x/merged.pem': rsaPem,
  })
  expect(findings.map(({ where }) => where).toSorted()).toEqual([
    '/usr/share/x/changed.pem:1',
    '/usr/share/x/foreign.pem:1',
  ])
})

test('so is an unchanged configuration file', async () => {
  const findings = await look({
    'var/lib/dpkg/status': `Package: x\nConffiles:\n /etc/x.pem ${md5(rsaPem)}\n /etc/y.pem ${md5('')}\n`,
    'var/lib/dpkg/info/x.list': '/.\n',
    'etc/x.pem': rsaPem,
    'etc/y.pem': rsaPem,
  })
  expect(findings.map(({ where }) => where)).toEqual(['/etc/y.pem:1'])
})

test('a compiled file is allowed what its packaged source has, and no more', async () => {
  const source = `"""\n${rsaPem}"""\n`
  const findings = await look({
    ...dpkg,
    'var/lib/dpkg/info/x.md5sums': `${md5(source)}  usr/lib/python3/x.py\n`,
    'usr/lib/python3/x.py': source,
    'usr/lib/python3/__pycache__/x.cpython-311.pyc': `\xa7\r\r\n\0\0${source}`,
    'usr/lib/python3/__pycache__/y.cpython-311.pyc': `\xa7\r\r\n\0\0${source}`,
    'usr/lib/python3/__pycache__/x.cpython-312.pyc': `\xa7\r\r\n\0\0${pem.repeat(3)}${rsaPem.replaceAll('A', 'B')}`,
  })
  expect([...new Set(findings.map(({ where }) => where.replace(/, byte.*/, '')))].toSorted()).toEqual([
    '/usr/lib/python3/__pycache__/x.cpython-312.pyc',
    '/usr/lib/python3/__pycache__/y.cpython-311.pyc',
  ])
})

test('the placeholder certificate of Debian is allowed at its place', async () => {
  const findings = await look({ 'etc/ssl/private/ssl-cert-snakeoil.key': rsaPem, 'etc/ssl/private/other.key': rsaPem })
  expect(findings.map(({ where }) => where)).toEqual(['/etc/ssl/private/other.key:1'])
})

test('links are not followed out of the disk', async () => {
  await using outside = await tempDir('test-outside')
  await writeFile(join(outside.path, 'key'), rsaPem)
  await writeFile(join(outside.path, 'machine-id'), 'x\n')
  await mkdir(join(folder.path, 'etc'))
  await symlink(outside.path, join(folder.path, 'opt'))
  await symlink(join(outside.path, 'key'), join(folder.path, 'etc/key'))
  await symlink(join(outside.path, 'machine-id'), join(folder.path, 'etc/machine-id'))
  expect(await look({})).toEqual([])
})

test('homes are those that the disk names', async () => {
  const findings = await look({
    'etc/passwd': 'root:x:0:0::/root:/bin/sh\ngit:x:9:9::/srv/git/:/bin/sh\nodd:x:8:8::/(bad[:/bin/sh\n',
    'srv/git/.bash_history': 'ls\n',
    'home/a/.bash_history': 'ls\n',
    'opt/.bash_history': 'ls\n',
  })
  expect(findings.map(({ where }) => where).toSorted()).toEqual(['/home/a/.bash_history', '/srv/git/.bash_history'])
})

test('it ends when the user asks to', async () => {
  for (let index = 0; index < 300; index += 1) await writeFile(join(folder.path, `f${index}`), 'x'.repeat(100_000))
  await expect(lookAtFiles(folder.path, { signal: AbortSignal.abort() })).rejects.toThrow('interrupted')
})

test.each([
  ['/a/*', '/a/.b', true],
  ['/a/*', '/a/b/c', false],
  ['/a/**', '/a/b/c', true],
  ['/a/**/*.gz', '/a/x.gz', true],
  ['/a/**/*.gz', '/a/b/c/x.gz', true],
  ['/a/**/*.gz', '/a/b/xgz', false],
  ['/a/{b,c/d}.e', '/a/c/d.e', true],
  ['/a/{b,c/d}.e', '/a/bxe', false],
  ['/a/x[0-9]', '/a/x5', true],
  ['/a/x[0-9]', '/a/xy', false],
  ['~/.h', '/root/.h', true],
  ['~/.h', '/home/u/.h', true],
  ['/a/f{,.pub}', '/a/f', true],
])('%s and %s: %s', (glob, path, matches) => {
  expect(new RegExp(`^(?:${globSource(glob, ['/root', '/home/*'])})$`).test(path)).toBe(matches)
})

test('what dumpe2fs prints', () => {
  const text = [
    'Filesystem features:      has_journal ext_attr needs_recovery extent',
    'Free blocks:              1000',
    'Block size:               1024',
    'Group 0: (Blocks 1-8192)',
    '  Free blocks: 9-12, 20',
    '  Free inodes: 12-1024',
    'Group 1: (Blocks 8193-16384)',
    '  Free blocks: ',
    'Group 2: (Blocks 16385-20000)',
    '  Free blocks: 16385-20000',
  ].join('\n')
  expect(parseDumpe2fs(text)).toEqual({
    blockSize: 1024,
    needsRecovery: true,
    hasJournal: true,
    inlineData: false,
    freeBlocks: [
      { start: 9, length: 4 },
      { start: 20, length: 1 },
      { start: 16_385, length: 3616 },
    ],
  })
})

test.each([
  ['EXTENTS:\n(0-16383):458752-475135\n', [[458_753, 16_383]]],
  [
    'Inode: 8\nEXTENTS:\n(ETB0):33793, (0):1025, (1-3):1026-1028\n',
    [
      [1026, 3],
      [1026, 0],
    ],
  ],
  [
    'BLOCKS:\n(0-11):24-35, (IND):36, (12-20):37-45\nTOTAL: 22\n',
    [
      [25, 11],
      [37, 9],
    ],
  ],
  ['Inode: 8\nno list\n', []],
])('the blocks of a journal: %j', (text, ranges) => {
  const sort = (list: readonly (readonly number[])[]) =>
    list.filter(([, length]) => length !== 0).toSorted(([a = 0], [b = 0]) => a - b)
  expect(sort(parseExtents(text).map(({ start, length }) => [start, length]))).toEqual(sort(ranges))
})
