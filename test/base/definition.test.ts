import { expect, test } from 'vitest'
import { aptSources, archiveDate, parseReleaseDate } from '../../src/base/archive-date.ts'
import { countInstalled, definitionDigest } from '../../src/base/build.ts'
import { baseDefinitions, resolveDefinition } from '../../src/base/definitions/index.ts'

test('the mirror comes from the argument, else the environment, else the definition', () => {
  const env = { PARBAKE_DEBIAN_MIRROR: 'http://env/debian/' }
  expect(resolveDefinition('debian-12', {}, {}).mirror).toBe('http://deb.debian.org/debian')
  expect(resolveDefinition('debian-12', {}, env).mirror).toBe('http://env/debian')
  expect(resolveDefinition('debian-12', { mirror: 'http://arg/debian' }, env).mirror).toBe('http://arg/debian')
  expect(resolveDefinition('debian-12', { securityMirror: 'https://s/x' }, {}).securityMirror).toBe('https://s/x')
})

test.each(['not a url', 'http://host/x y', "http://host/'x", '/path'])('%j is no mirror', (mirror) => {
  expect(() => resolveDefinition('debian-12', { mirror }, {})).toThrow(/no URL of a Debian archive/)
})

test('apt reads the suite, its updates and its security fixes', () => {
  expect(aptSources(resolveDefinition('debian-12', {}, {}))).toEqual([
    'deb http://deb.debian.org/debian bookworm main',
    'deb http://deb.debian.org/debian bookworm-updates main',
    'deb http://deb.debian.org/debian-security bookworm-security main',
  ])
})

test('packages and files are listed once and in order', () => {
  for (const { packages, files } of baseDefinitions) {
    expect(packages).toEqual([...new Set(packages)].toSorted())
    expect(new Set(files.map((file) => file.path)).size).toBe(files.length)
  }
})

test('the boot configuration names the root file system and the serial console', () => {
  const definition = resolveDefinition('debian-12', {}, {})
  const grub = definition.files.find((file) => file.path === '/boot/grub/grub.cfg')?.content ?? ''
  expect(grub).toContain(`search --no-floppy --fs-uuid --set=root ${definition.rootUuid}\n`)
  expect(grub).toContain(`root=UUID=${definition.rootUuid} ro ${definition.kernelArguments.join(' ')}\n`)
  expect(definition.kernelArguments).toContain('console=ttyS0,115200')
})

test('every part of a definition is in its digest', async () => {
  const definition = resolveDefinition('debian-12', {}, {})
  const digest = await definitionDigest(definition)
  expect(await definitionDigest({ ...definition })).toBe(digest)
  for (const key of Object.keys(definition) as (keyof typeof definition)[]) {
    const value = definition[key]
    const changed = typeof value === 'number' ? value + 1 : typeof value === 'string' ? `${value}x` : value.slice(1)
    const same = Array.isArray(value) && value.length === 0
    if (!same)
      expect({ key, digest: await definitionDigest({ ...definition, [key]: changed }) }).not.toEqual({ key, digest })
  }
})

test('parseReleaseDate and countInstalled read Debian’s files', () => {
  expect(parseReleaseDate('Suite: x\nDate: Sat, 17 May 2025 08:54:21 UTC\nValid: y\n')).toBe(1747472061)
  expect(parseReleaseDate('<html>')).toBeUndefined()
  expect(
    countInstalled('Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: deinstall ok config-files\n'),
  ).toBe(1)
})

test('an archive that cannot be reached is a clear error', async () => {
  const definition = resolveDefinition('debian-12', { mirror: 'http://127.0.0.1:9/debian' }, {})
  await expect(archiveDate(definition, new AbortController().signal)).rejects.toMatchObject({
    code: 'mirror-unreachable',
    hint: expect.stringContaining('--mirror') as string,
  })
})
