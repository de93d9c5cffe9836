import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { archiveDate, parseReleaseDate } from '../../src/base/archive-date.ts'
import { aptLines } from '../../src/base/archive-versions.ts'
import { definitionDigest } from '../../src/base/build.ts'
import { completeDefinition, mergeLayers, type BaseDefinition } from '../../src/base/definition.ts'
import { definitionNames, resolveDefinition } from '../../src/base/definitions.ts'
import { UserError } from '../../src/errors.ts'
import { tempDir } from '../../src/system/temp.ts'

const names = await definitionNames()
const debian12 = await resolveDefinition('debian-12', {}, {})

/** Resolves a definition from its text. */
async function resolveText(text: string, name = 'mine'): Promise<BaseDefinition> {
  await using folder = await tempDir('test-definition')
  const file = join(folder.path, `${name}.yaml`)
  await writeFile(file, text)
  return await resolveDefinition(file, {}, {})
}

/** Each problem of a definition's text as `line:column message`. */
async function problemsOf(text: string): Promise<string[]> {
  const error: unknown = await resolveText(text).catch((thrown: unknown) => thrown)
  if (!(error instanceof UserError)) throw new Error(`no UserError: ${String(error)}`)
  expect(error).toMatchObject({ exitCode: 2, code: 'definition-invalid' })
  return error.problems.map(({ message, location }) => `${location?.line}:${location?.column} ${message}`)
}

test('the mirror comes from the argument, else the environment, else the definition', async () => {
  const env = { PARBAKE_DEBIAN_MIRROR: 'http://env/debian/' }
  const mirrorOf = async (...args: Parameters<typeof resolveDefinition>) => (await resolveDefinition(...args)).mirror
  expect(await mirrorOf('debian-12', {}, {})).toBe('http://deb.debian.org/debian')
  expect(await mirrorOf('debian-12', {}, env)).toBe('http://env/debian')
  expect(await mirrorOf('debian-12', { mirror: 'http://arg/debian' }, env)).toBe('http://arg/debian')
  expect(await resolveDefinition('debian-12', { securityMirror: 'https://s/x' }, {})).toMatchObject({
    securityMirror: 'https://s/x',
  })
})

test.each(['not a url', 'http://host/x y', "http://host/'x", '/path'])('%j is no mirror', async (mirror) => {
  await expect(resolveDefinition('debian-12', { mirror }, {})).rejects.toThrow(/no URL of a Debian archive/)
})

test('apt reads the suite, its updates and its security fixes', () => {
  expect(aptLines(debian12)).toEqual([
    'deb http://deb.debian.org/debian bookworm main',
    'deb http://deb.debian.org/debian bookworm-updates main',
    'deb http://deb.debian.org/debian-security bookworm-security main',
  ])
})

test('there are Debian 12 and 13', () => {
  expect(names).toEqual(['debian-12', 'debian-13'])
})

test.each(names)('%s names its root file system and the serial console, and starts by BIOS and UEFI', async (name) => {
  const { packages, files, disk, kernelArguments, boot } = await resolveDefinition(name, {}, {})
  expect(packages).toEqual([...new Set(packages)].toSorted())
  expect(packages).toEqual(expect.arrayContaining(['cloud-init', 'linux-image-cloud-amd64', 'openssh-server']))
  expect(boot).toEqual(['bios', 'uefi'])
  const contentOf = (path: string) => files.find((file) => file.path === path)?.content ?? ''
  expect(contentOf('/boot/grub/grub.cfg')).toContain(`search --no-floppy --fs-uuid --set=root ${disk.rootUuid}\n`)
  expect(contentOf('/boot/grub/grub.cfg')).toContain(`root=UUID=${disk.rootUuid} ro ${kernelArguments.join(' ')}\n`)
  expect(contentOf('/etc/fstab')).toBe(`UUID=${disk.rootUuid} / ext4 rw,discard,errors=remount-ro 0 1\n`)
  expect(kernelArguments).toContain('console=ttyS0,115200')
  expect(files.filter(({ content }) => /@[A-Za-z]+@/.test(content))).toEqual([])
})

test('every part of a definition and every tool is in its digest', () => {
  const tools = { mke2fs: '1.47.0', mcopy: null }
  const digest = definitionDigest(debian12, tools)
  expect(definitionDigest({ ...debian12 }, { ...tools })).toBe(digest)
  for (const key of Object.keys(debian12) as (keyof BaseDefinition)[]) {
    const changed = { ...debian12, [key]: ['another'] } as unknown as BaseDefinition
    expect({ key, digest: definitionDigest(changed, tools) }).not.toEqual({ key, digest })
  }
  expect(definitionDigest(debian12, { ...tools, mcopy: '4.0' })).not.toBe(digest)
})

test('a file of one’s own extends a definition: lists are added, mappings merged, the rest replaced', async () => {
  const mine = await resolveText(`
extends: debian-12
distribution: Mine
packages: [nginx-light, curl]
boot: [bios]
disk: { size: 8GiB, root: { label: mine } }
files:
  /etc/hostname: "@name@ on @suite@, me@example.org\\n"
  /usr/local/bin/x: { mode: '0755', content: "#!/bin/sh\\n" }
finish: ['true']
`)
  expect(mine.name).toBe('mine')
  expect(mine.distribution).toBe('Mine')
  expect(mine.suite).toBe('bookworm')
  expect(mine.packages).toEqual([...debian12.packages, 'nginx-light'].toSorted())
  expect(mine.boot).toEqual(['bios', 'uefi'])
  expect(mine.disk).toEqual({ ...debian12.disk, sizeMiB: 8192, rootLabel: 'mine' })
  expect(mine.finish).toEqual([...debian12.finish, 'true'])
  expect(mine.files.find(({ path }) => path === '/etc/hostname')).toEqual({
    ...{ path: '/etc/hostname', mode: '0644', content: 'mine on bookworm, me@example.org\n' },
  })
  expect(mine.files.find(({ path }) => path === '/usr/local/bin/x')?.mode).toBe('0755')
  expect(mine.files.find(({ path }) => path === '/etc/fstab')).toEqual(
    debian12.files.find(({ path }) => path === '/etc/fstab'),
  )
})

test('layers: a list above adds what is new, a value above wins, what is absent stays', () => {
  const merged = mergeLayers([
    { packages: ['a', 'b'], suite: 'x', disk: { size: 1024, root: { label: 'l' } } },
    { packages: ['b', 'c'], disk: { size: 2048 } },
    { suite: 'y' },
  ])
  expect(merged).toEqual({ packages: ['a', 'b', 'c'], suite: 'y', disk: { size: 2048, root: { label: 'l' } } })
})

test.each<[string, string, string[]]>([
  ['an unknown key', 'extends: debian-12\npackags: [x]\n', ["2:1 unknown key 'packags'"]],
  [
    'wrong values, all at once',
    'extends: debian-12\ndisk: { size: 4 }\nfiles:\n  etc/x: a\n  /etc/../x: a\nboot: [floppy]\n',
    [
      '2:15 disk.size must be a text, but is the number 4',
      '4:3 files.etc/x is no absolute path of letters, digits, @, ., _, + and -',
      '5:3 files./etc/../x is no absolute path of letters, digits, @, ., _, + and -',
      "6:8 boot[0] must be one of bios, uefi, but is 'floppy'",
    ],
  ],
  [
    'a placeholder that stands for nothing',
    'extends: debian-12\nfiles:\n  /etc/x: "@rootUid@"\n',
    [
      '3:11 @rootUid@ stands for nothing; known: @name@, @distribution@, @suite@, @rootUuid@, @rootLabel@, @kernelArguments@',
    ],
  ],
  ['an unknown definition to extend', 'extends: debian-1\n', ["1:10 there is no definition 'debian-1' to extend"]],
  ['a path to extend', 'extends: ../x\n', ['1:10 extends must name another definition, such as debian-12']],
  [
    'a disk that is too small',
    'extends: debian-12\ndisk:\n  size: 512MiB\n  esp: { size: 20MiB }\n',
    [
      '3:9 disk.size leaves no 512MiB for the root file system',
      '4:16 disk.esp.size must be at least 34MiB, as FAT32 needs',
    ],
  ],
  [
    'a kernel argument that GRUB would take apart',
    'extends: debian-12\nkernelArguments: ["a;b"]\n',
    ['2:19 kernelArguments[0] must be one word that GRUB takes as it is'],
  ],
])('%s is told with its position', async (_name, text, problems) => {
  expect(await problemsOf(text)).toEqual(problems)
})

test('a definition that stands alone must be whole', async () => {
  expect(await problemsOf('suite: x\ndisk: { size: 4GiB }\n')).toEqual(
    [
      ...[
        'distribution',
        'mirror',
        'securityMirror',
        'keyring',
        'architecture',
        'components',
        'disk.id',
        'disk.root.uuid',
      ],
    ].map((key) => `1:1 ${key} is missing, here and in what it extends`),
  )
  expect('problems' in completeDefinition('x', {})).toBe(true)
})

test('an unknown base and a missing file say what there is', async () => {
  await expect(resolveDefinition('debian-1', {}, {})).rejects.toMatchObject({
    exitCode: 2,
    hint: expect.stringContaining('known: debian-12, debian-13') as string,
  })
  await expect(resolveDefinition('./no/such.yaml', {}, {})).rejects.toThrow(/no\/such\.yaml: it does not exist/)
  await expect(resolveText('extends: debian-12\n', 'Mine')).rejects.toThrow("'Mine' cannot be the name of a base")
})

test('parseReleaseDate reads Debian’s files', () => {
  expect(parseReleaseDate('Suite: x\nDate: Sat, 17 May 2025 08:54:21 UTC\nValid: y\n')).toBe(1747472061)
  expect(parseReleaseDate('<html>')).toBeUndefined()
})

test('an archive that cannot be reached is a clear error', async () => {
  const definition = await resolveDefinition('debian-12', { mirror: 'http://127.0.0.1:9/debian' }, {})
  await expect(archiveDate(definition, new AbortController().signal)).rejects.toMatchObject({
    code: 'mirror-unreachable',
    hint: expect.stringContaining('--mirror') as string,
  })
})
