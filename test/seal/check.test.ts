import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { copyFile, mkdir, open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { exposeRaw } from '../../src/disk/expose.ts'
import { mountSystem, type MountedSystem } from '../../src/disk/mount.ts'
import { sealCheck, type SealReport } from '../../src/seal/check.ts'
import { sealNeedles, type Needle } from '../../src/seal/needles.ts'
import { scrubDisk } from '../../src/seal/scrub.ts'
import { run } from '../../src/system/run.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { busyboxTree, isRoot, testContext } from './support.ts'
import { secretOf, traces, type Place } from './traces.ts'

const script = new URL('../../bootstrap/seal.sh', import.meta.url).pathname
const context = testContext()
const offset = 1024 * 1024

/** A disk with an MBR, one ext4 file system with a small system, and a swap area behind it. */
async function makeDisk(path: string, tree: string): Promise<void> {
  await writeFile(path, '')
  await truncate(path, 80 * offset)
  await run('sfdisk', ['-q', path], {
    input: 'label: dos\nstart=2048, size=131072, type=83\nstart=133120, size=16384, type=82\n',
  })
  await run('mke2fs', ['-q', '-t', 'ext4', '-b', '4096', '-E', `offset=${offset}`, '-d', tree, path, '64M'])
  await run('sh', [
    '-c',
    'truncate -s 8M "$1.swap" && mkswap -q "$1.swap" && dd if="$1.swap" of="$1" bs=1M seek=65 conv=notrunc status=none && rm "$1.swap"',
    'swap',
    path,
  ])
}

async function withSystem(disk: string, folder: string, work: (system: MountedSystem) => Promise<void>): Promise<void> {
  await using raw = await exposeRaw(context, { path: disk, format: 'raw', writable: true, workFolder: folder })
  await using system = await mountSystem(context, raw, join(folder, 'mounted'), { writable: true })
  await work(system)
}

function placeIn(system: MountedSystem): Place {
  return {
    root: system.root,
    sh: async (text, ...args) => {
      await system.run('sh', ['-c', text, 'sh', system.innerRoot, ...args])
    },
    sync: async () => {
      await system.run('sync', ['-f', system.innerRoot])
    },
  }
}

function needlesFor(all: readonly { readonly name: string }[]): readonly Needle[] {
  return sealNeedles({ credentials: Object.fromEntries(all.map((trace) => [`<${trace.name}>`, secretOf(trace)])) })
}

/** Independent of the search under test. */
function grepCount(disk: string, text: string): number {
  const found = execFileSync('sh', ['-c', 'grep -a -o -F -e "$2" "$1" | wc -l', 'grep', disk, text])
  return Number(found.toString())
}

describe.runIf(isRoot)('a disk with every trace', () => {
  const needles = needlesFor(traces)
  let folder: TempDir
  let disk: string
  let before: SealReport
  let after: SealReport
  let asQcow2: SealReport
  let unprivileged: SealReport

  beforeAll(async () => {
    folder = await tempDir('test-seal-check')
    disk = join(folder.path, 'disk.raw')
    const tree = join(folder.path, 'tree')
    await busyboxTree(tree)
    await makeDisk(disk, tree)
    await withSystem(disk, folder.path, async (system) => {
      const place = placeIn(system)
      for (const trace of traces) await trace.plant(place, secretOf(trace))
      await place.sync()
      for (const trace of traces) await trace.forget?.(place, secretOf(trace))
    })
    const look = (path: string, format: 'raw' | 'qcow2') =>
      sealCheck(context, { disk: { path, format }, secrets: needles, workFolder: folder.path })
    before = await look(disk, 'raw')
    const qcow2 = join(folder.path, 'disk.qcow2')
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', '-c', disk, qcow2])
    asQcow2 = await look(qcow2, 'qcow2')
    const getuid = vi.spyOn(process, 'getuid').mockReturnValue(1000)
    unprivileged = await look(qcow2, 'qcow2')
    getuid.mockRestore()

    await withSystem(disk, folder.path, async (system) => {
      const place = placeIn(system)
      await copyFile(script, join(system.root, 'run/seal.sh'))
      await place.sh(`touch "$1/dev/null" && mount --bind /dev/null "$1/dev/null" &&
        PATH=/bin:/usr/bin:/usr/sbin:/sbin chroot "$1" /bin/sh /run/seal.sh web-1
        status=$?; umount "$1/dev/null" && rm "$1/run/seal.sh" && exit $status`)
    })
    await scrubDisk(context, { disk: { path: disk, format: 'raw' }, workFolder: folder.path })
    after = await look(disk, 'raw')
  }, 300_000)
  afterAll(() => folder[Symbol.asyncDispose]())

  test('there are 40 traces and more, with secrets of their own', () => {
    expect(traces.length).toBeGreaterThanOrEqual(40)
    expect(new Set(traces.map(secretOf)).size).toBe(traces.length)
  })

  test.each(traces)('$name is found, and gone after the seal', (trace) => {
    const hits = before.findings.filter(({ id, why }) => id === 'needle' && why.includes(`<${trace.name}>`))
    expect(hits.length).toBeGreaterThan(0)
    expect(hits.map(({ where }) => where).join('\n')).toMatch(
      trace.where ?? new RegExp(` in ${trace.name.replaceAll(/[.+]/g, '\\$&')}$`, 'm'),
    )
    if (trace.entry !== undefined) {
      const listed = before.findings.filter(
        ({ id, where }) => id === trace.entry && `${trace.name}/`.startsWith(`${where}/`),
      )
      expect(listed.length).toBeGreaterThan(0)
    }
    expect(grepCount(disk, secretOf(trace))).toBe(0)
  })

  test('nothing is shown of a secret', () => {
    const text = JSON.stringify(before)
    expect(traces.filter((trace) => text.includes(secretOf(trace)))).toEqual([])
  })

  test('data in free space is a finding of its own', () => {
    expect(before.findings.filter(({ id }) => id === 'deleted-data')).toEqual([
      {
        id: 'deleted-data',
        where: expect.stringMatching(/^byte \d+ of the disk and \d+ more places, in free space$/),
        why: expect.stringMatching(/^\d{7,} bytes of deleted files are still there$/),
      },
    ])
  })

  test('a compressed qcow2 gives the same findings', () => {
    const ids = (report: SealReport) => report.findings.map(({ id, why }) => `${id} ${why}`).toSorted()
    expect(ids(asQcow2)).toEqual(ids(before))
    expect(asQcow2.how).toBe('mounted')
  })

  test('so does a look without root', () => {
    const listed = (report: SealReport) =>
      report.findings
        .filter(({ id }) => id !== 'needle')
        .map(({ id, where }) => `${id} ${where}`)
        .toSorted()
    expect(unprivileged.how).toBe('debugfs')
    expect(listed(unprivileged)).toEqual(listed(before))
    expect(unprivileged.filesLooked).toBe(before.filesLooked)
    expect(unprivileged.notLooked).toEqual([])
  })

  test('a sealed and scrubbed disk has no findings, and its file system is sound', async () => {
    expect(after.findings).toEqual([])
    expect(after.filesLooked).toBeGreaterThan(5)
    const fsck = await run('e2fsck', ['-f', '-n', `${disk}?offset=${offset}`], { allowFailure: true })
    expect([fsck.exitCode, fsck.stdout]).toEqual([0, expect.stringContaining('Pass 5')])
  })

  test('a second scrub finds nothing to do', async () => {
    expect(await scrubDisk(context, { disk: { path: disk, format: 'raw' }, workFolder: folder.path })).toEqual({
      bytes: 0,
    })
  })
})

describe.runIf(isRoot)('what no seal reaches', () => {
  const places = [
    'the gap before the first partition',
    'the swap area',
    'slack behind a file',
    'a file of the user',
    'the last sector of the disk',
  ]
  let folder: TempDir
  let report: SealReport

  beforeAll(async () => {
    folder = await tempDir('test-seal-reach')
    const disk = join(folder.path, 'disk.raw')
    const tree = join(folder.path, 'tree')
    await busyboxTree(tree)
    await mkdir(join(tree, 'opt'))
    await writeFile(join(tree, 'opt/slack'), 'short\n')
    await writeFile(join(tree, 'opt/user.conf'), `password=${secretOf({ name: places[3] ?? '' })}\n`)
    await makeDisk(disk, tree)
    const stat = await run('debugfs', ['-R', 'blocks /opt/slack', `${disk}?offset=${offset}`])
    const block = Number(stat.stdout.trim())
    const at = [40 * 512, 66 * offset, offset + block * 4096 + 2000, undefined, 80 * offset - 512]
    const file = await open(disk, 'r+')
    for (const [index, position] of at.entries()) {
      if (position !== undefined) await file.write(secretOf({ name: places[index] ?? '' }), position)
    }
    await file.close()
    report = await sealCheck(context, {
      disk: { path: disk, format: 'raw' },
      secrets: needlesFor(places.map((name) => ({ name }))),
      workFolder: folder.path,
    })
  }, 120_000)
  afterAll(() => folder[Symbol.asyncDispose]())

  test.each([
    [places[0], 'byte 20480 of the disk, outside all partitions'],
    [places[1], `byte ${66 * offset} of the disk, in partition 2`],
    [places[2], expect.stringMatching(/^byte \d+ of the disk, in \/opt\/slack$/)],
    [places[3], expect.stringMatching(/^byte \d+ of the disk, in \/opt\/user\.conf$/)],
    [places[4], `byte ${80 * offset - 512} of the disk, outside all partitions`],
  ])('is found: %s', (name, where) => {
    expect(report.findings.filter(({ why }) => why.includes(`<${name}>`))).toEqual([
      { id: 'needle', where, why: `holds credential <${name}> of the bake` },
    ])
  })

  test('and there is nothing else', () => {
    expect(report.findings.length).toBe(places.length)
  })
})

test.runIf(isRoot)('a key in two pieces on the disk is found in its file', { timeout: 120_000 }, async () => {
  await using folder = await tempDir('test-seal-pieces')
  const disk = join(folder.path, 'disk.raw')
  const tree = join(folder.path, 'tree')
  await busyboxTree(tree)
  await makeDisk(disk, tree)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  // The first line of the key ends with the first block of the file.
  const text = `${'x'.repeat(4096 - 40)}\n${pem}`
  await withSystem(disk, folder.path, async (system) => {
    // A block between the two is written and taken out again.
    const middle = 'z'.repeat(4096)
    await writeFile(join(system.root, 'opt-key'), `${text.slice(0, 4096)}${middle}${text.slice(4096)}`)
    const script = `sync -f "$1" && fallocate --collapse-range --offset 4096 --length 4096 "$1/opt-key" && sync -f "$1" &&
      filefrag "$1/opt-key" && fstrim "$1"`
    const { stdout } = await system.run('sh', ['-c', script, 'sh', system.innerRoot])
    expect(stdout).toMatch(/: [2-9] extents found/)
  })
  const report = await sealCheck(context, { disk: { path: disk, format: 'raw' }, secrets: [], workFolder: folder.path })
  expect(report.findings).toEqual([{ id: 'private-key', where: '/opt-key:2', why: 'a private key' }])
})

describe('what cannot be read', () => {
  test('without root, other file systems are refused in words', async () => {
    await using folder = await tempDir('test-seal-xfs')
    const disk = join(folder.path, 'disk.raw')
    await writeFile(disk, '')
    await truncate(disk, 40 * offset)
    await run('sfdisk', ['-q', disk], { input: 'label: dos\nstart=2048, type=83\n' })
    await run('mke2fs', ['-q', '-t', 'ext4', '-E', `offset=${offset}`, disk, '32M'])
    // A superblock of XFS, as far as anybody looks.
    const file = await open(disk, 'r+')
    await file.write(Buffer.alloc(4096), 0, 4096, offset)
    await file.write('XFSB', offset)
    await file.close()
    const getuid = vi.spyOn(process, 'getuid').mockReturnValue(1000)
    const look = sealCheck(context, { disk: { path: disk, format: 'raw' }, secrets: [], workFolder: folder.path })
    await expect(look).rejects.toThrow('the files of this disk (xfs) can be looked at by root only')
    await expect(look).rejects.toMatchObject({ code: 'seal-check-needs-root' })
    getuid.mockRestore()
    expect((await readFile(disk)).length).toBe(40 * offset)
  })
})
