import { expect, test } from 'vitest'
import { parseInstalled } from '../../src/base/packages.ts'
import { pendingUpdates, VersionCollector, type ArchiveVersions } from '../../src/base/pending.ts'

const status = `Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9+deb12u8
Description: a library
 Status: deinstall ok config-files

Package: gone
Status: deinstall ok config-files
Version: 1

Package: held
Status: hold ok installed
Source: held-source (1.1)
Version: 1.0-1

Package: base-files
Status: install ok installed
Source: base-files
Version: 12.4
`

test('dpkg’s status file is read', () => {
  expect(parseInstalled(status)).toEqual([
    { name: 'libc6', version: '2.36-9+deb12u8', architecture: 'amd64', source: 'glibc' },
    { name: 'held', version: '1.0-1', architecture: 'all', source: 'held-source' },
    { name: 'base-files', version: '12.4', architecture: 'all' },
  ])
  expect(parseInstalled('')).toEqual([])
})

function archive(parts: Partial<Record<keyof ArchiveVersions, Record<string, string>>>): ArchiveVersions {
  const of = (part: Record<string, string> = {}) => new Map(Object.entries(part))
  return { suite: of(parts.suite), updates: of(parts.updates), security: of(parts.security) }
}

const installed = [
  { name: 'openssl', version: '3.0.15-1~deb12u1', architecture: 'amd64' },
  { name: 'bash', version: '5.2.15-2', architecture: 'amd64' },
]

test.each<[string, Parameters<typeof archive>[0], [string, string, boolean][]]>([
  ['nothing in the archive', {}, []],
  ['the same versions', { suite: { openssl: '3.0.15-1~deb12u1', bash: '5.2.15-2' } }, []],
  ['older versions', { suite: { openssl: '3.0.14-1' }, security: { openssl: '3.0.13-1' } }, []],
  ['a point release', { suite: { bash: '5.2.15-3' } }, [['bash', '5.2.15-3', false]]],
  ['a stable update', { suite: { bash: '5.2.15-2' }, updates: { bash: '5.2.16-1' } }, [['bash', '5.2.16-1', false]]],
  ['a fix', { security: { openssl: '3.0.15-1~deb12u2' } }, [['openssl', '3.0.15-1~deb12u2', true]]],
  [
    'a fix that a point release has taken over',
    { suite: { openssl: '3.0.16-1' }, security: { openssl: '3.0.15-1~deb12u2' } },
    [['openssl', '3.0.16-1', true]],
  ],
  [
    'an old fix and a point release',
    { suite: { openssl: '3.0.16-1' }, security: { openssl: '3.0.14-1' } },
    [['openssl', '3.0.16-1', false]],
  ],
  [
    'fixes first',
    { suite: { bash: '6' }, security: { openssl: '4' } },
    [
      ['openssl', '4', true],
      ['bash', '6', false],
    ],
  ],
])('pending with %s', (_name, parts, expected) => {
  const found = pendingUpdates(installed, archive(parts))
  expect(found.map(({ name, available, security }) => [name, available, security])).toEqual(expected)
})

test('of an index only the wanted packages are kept, each in its newest version', () => {
  const collector = new VersionCollector(new Set(['a', 'b']))
  const index =
    'Package: a\nVersion: 1.9\n\nPackage: c\nVersion: 3\n\nPackage: a\nVersion: 1.10\n\nPackage: a\nVersion: 1.2\n\nPackage: b\nDescription: x\n Version: 7\nVersion: 2\n'
  for (const line of index.split('\n')) collector.line(line)
  expect(Object.fromEntries(collector.versions)).toEqual({ a: '1.10', b: '2' })
})
