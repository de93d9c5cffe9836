import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { findings } from '../recipe/support.ts'
import { renderType } from './support.ts'
import { canScratch, runInScratch, type ScratchOptions } from './scratch.ts'

/** An archive made by Python: `entries` are calls of the functions below. */
function make(format: string, entries: string): Buffer {
  const program = `
import io, sys, tarfile, zipfile
out = io.BytesIO()
if sys.argv[1] == 'zip':
    archive = zipfile.ZipFile(out, 'w')
    def add(name, text, mode=0o644):
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (0o100000 | mode) << 16
        archive.writestr(entry, text)
    def special(name, kind, target=''):
        entry = zipfile.ZipInfo(name)
        entry.create_system = 3
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, target)
else:
    archive = tarfile.open(fileobj=out, mode='w:' + sys.argv[1])
    def add(name, text, mode=0o644):
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.uid, entry.gid = len(text), mode, 1234, 1234
        archive.addfile(entry, io.BytesIO(text.encode()))
    def special(name, kind, target=''):
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.devmajor, entry.devminor = getattr(tarfile, kind), target, 1, 3
        archive.addfile(entry)
${entries}
archive.close()
sys.stdout.buffer.write(out.getvalue())
`
  return execFileSync('python3', ['-c', program, format.replace('tar.', '').replace('tar', '')])
}

const good = `
add('app-1.0/bin/run', 'run', 0o4777)
add('app-1.0/lib/deep/.hidden', 'hidden')
add("app-1.0/it's here", 'odd')
`
const linked = `
special('app-1.0/bin/link', 'SYMTYPE', '../lib/deep/.hidden')
special('app-1.0/hard', 'LNKTYPE', 'app-1.0/bin/run')
`

async function unpack(
  content: Buffer,
  spec: Readonly<Record<string, unknown>>,
  options: ScratchOptions = {},
  before = 'true',
) {
  const parts = await renderType('archive', { source: 'a.tar', destination: '/stage/app', ...spec })
  const step = { ...parts, files: parts.files.map((file) => ({ ...file, content })) }
  const list = `cd /stage; find . ! -name . -exec stat -c '%U:%G %a %n' {} + | sort -k3; cat /stage/app/bin/run /etc/passwd | md5sum`
  const [, first, shown, again, after] = await runInScratch(
    [`mkdir /stage; ${before}`, step, list, step, list],
    options,
  )
  return { first, shown: shown?.stdout.split('\n').slice(0, -1), again, after: after?.stdout.split('\n').slice(0, -1) }
}

describe.skipIf(!canScratch)('archive', () => {
  const ways = [
    ...['tar', 'tar.gz', 'tar.xz', 'tar.bz2', 'zip'].map((format) => ['dash', format] as const),
    ...['tar.gz', 'tar.xz', 'zip'].map((format) => ['busybox', format] as const),
    ['bash', 'tar.gz'] as const,
  ]
  it.each(ways)('under %s, %s', async (shell, format) => {
    const content = make(format, format === 'zip' ? good : good + linked)
    const { first, shown, again, after } = await unpack(content, { format, strip: 1, owner: 'games' }, { shell })
    expect([first?.exitCode, first?.stderr, again?.exitCode, again?.stderr]).toEqual([0, '', 0, ''])
    // Some tools give links to nobody else.
    const links = (lines?: readonly string[]) => lines?.map((line) => line.replace(/^\S+ 777/, '777'))
    expect(links(after)).toEqual(links(shown))
    expect(shown).toEqual([
      'games:root 755 ./app',
      'games:root 755 ./app/bin',
      ...(format === 'zip' ? [] : ['games:root 777 ./app/bin/link']),
      'games:root 755 ./app/bin/run',
      ...(format === 'zip' ? [] : ['games:root 755 ./app/hard']),
      "games:root 644 ./app/it's here",
      'games:root 755 ./app/lib',
      'games:root 755 ./app/lib/deep',
      'games:root 644 ./app/lib/deep/.hidden',
    ])
  })

  it('by zstd and by python3 where there is nothing else', async () => {
    const zstd = execFileSync('zstd', ['-q', '-c'], { input: make('tar', good) })
    expect((await unpack(zstd, { format: 'tar.zst' })).first?.exitCode).toBe(0)
    const before = `mkdir /fake; rm /bb/xz /bb/unzip; ln -s "$(python3 -c "import sys; print(sys.executable)")" /fake/python3`
    const options = { shell: 'busybox', env: { PATH: '/fake:/bb' } } as const
    for (const format of ['tar.xz', 'zip']) {
      const { first, shown } = await unpack(make(format, good), { format, strip: 1 }, options, before)
      expect([first?.exitCode, shown?.includes('root:root 755 ./app/bin/run')]).toEqual([0, true])
    }
    const { first } = await unpack(zstd, { format: 'tar.zst' }, options, before)
    expect([first?.exitCode, first?.stderr.split('\n')[0]]).toEqual([
      1,
      'parbake: zstd is needed to unpack this archive: install it in a step that this one needs',
    ])
  })

  it('leaves what is there besides, and follows no link to another place', async () => {
    const before = `mkdir -p /stage/app/lib /srv/safe; echo mine >/stage/app/lib/mine; echo old >/stage/app/it
ln -s /srv/safe /stage/app/bin; chmod 700 /stage/app`
    const { first, shown } = await unpack(make('tar', good), { strip: 1 }, {}, before)
    expect([first?.exitCode, first?.stderr]).toEqual([0, ''])
    expect(shown).toContain('root:root 700 ./app')
    expect(shown).toContain('root:root 644 ./app/lib/mine')
    expect(shown).toContain('root:root 755 ./app/bin/run')
  })

  const attacks: readonly (readonly [string, string, string])[] = [
    ['a name above', 'tar', "add('ok', 'x'); add('../evil', 'x')"],
    ['a name above, deeper', 'tar', "add('a/b/../../../evil', 'x')"],
    ['a name above, behind one that ends what echo prints', 'tar', "add('x\\\\c', 'x'); add('../evil', 'x')"],
    ['an absolute name', 'tar', "add('/evil', 'x')"],
    ['an absolute link', 'tar', "special('link', 'SYMTYPE', '/etc')"],
    ['a file through a link', 'tar', "special('link', 'SYMTYPE', '/srv'); add('link/evil', 'x')"],
    ['a file through a link above', 'tar', "special('link', 'SYMTYPE', '../../srv'); add('link/evil', 'x')"],
    ['a link above', 'tar', "add('x', 'x'); special('link', 'SYMTYPE', 'a/../../../etc')"],
    ['a link to a link', 'tar', "special('a', 'SYMTYPE', '.'); special('b', 'SYMTYPE', 'a/../..')"],
    ['a hard link out', 'tar', "special('link', 'LNKTYPE', '/etc/passwd')"],
    ['a hard link above', 'tar', "special('link', 'LNKTYPE', '../../etc/passwd')"],
    ['a pipe', 'tar', "special('pipe', 'FIFOTYPE')"],
    ['a device', 'tar', "special('null', 'CHRTYPE')"],
    ['a link in a zip', 'zip', "special('link', 'SYMTYPE', '/etc')"],
    ['no archive', 'tar.gz', ''],
  ]
  it.each(['dash', 'busybox'] as const)('refuses what leads out, and leaves nothing of it, under %s', async (shell) => {
    const steps = await Promise.all(
      attacks.map(async ([, format, entries]) => {
        const parts = await renderType('archive', { source: 'a.tar', destination: '/stage/app', format })
        const content = entries === '' ? Buffer.from('nothing of the kind') : make(format, entries)
        return { ...parts, files: parts.files.map((file) => ({ ...file, content })) }
      }),
    )
    const look =
      'ls -A /stage; ls -A /stage/* /evil /srv/evil 2>/dev/null || :; sha256sum </etc/passwd; rm -rf /stage/*'
    const [before, ...outcomes] = await runInScratch(
      ['mkdir /stage; sha256sum </etc/passwd', ...steps.flatMap((step) => [step, look])],
      {
        shell,
      },
    )
    const found = attacks.map(([name], index) => {
      const [step, left] = outcomes.slice(index * 2)
      return [name, step?.exitCode !== 0, step?.stderr.includes('parbake: '), left?.stdout === before?.stdout]
    })
    expect(found).toEqual(attacks.map(([name]) => [name, true, true, true]))
  })

  it('says where strip leaves nothing', async () => {
    const { first } = await unpack(make('tar', "add('file', 'x')"), { strip: 1 })
    expect([first?.exitCode, first?.stderr]).toEqual([
      1,
      'parbake: the archive for /stage/app has nothing that strip: 1 leaves',
    ])
  })

  it.each([
    ['source: a.rar', 'steps[0].source names no archive by its end (.tar.gz, .tgz'],
    ['url: https://x/a.zip', 'steps[0].sha256 is missing: what is fetched is verified'],
    ['source: a.rar\nformat: zip\nsha256: "x"', 'steps[0].sha256 must be a sha256'],
    ['source: a.rar\nurl: https://x/', "steps[0].url cannot stand beside 'source'"],
  ])('%j is refused', async (lines, message) => {
    const step = `steps:\n  - name: one\n    type: archive\n    destination: /stage/x\n${lines.replaceAll(/^/gm, '    ')}\n`
    expect(await findings({ 'recipe.yaml': step, 'a.rar': 'x' })).toContain(message)
  })
})
