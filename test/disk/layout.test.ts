import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { withReadAt } from '../../src/disk/expose.ts'
import { readLayout, type ReadAt } from '../../src/disk/layout.ts'
import { findTool } from '../../src/system/tools.ts'
import { tempDir } from '../../src/system/temp.ts'

const mib = 1024 * 1024

/** Reads from bytes, with zeros around them. */
function readerOf(pieces: Readonly<Record<number, Buffer>>, size: number): ReadAt {
  return (offset, length) => {
    const result = Buffer.alloc(Math.max(0, Math.min(length, size - offset)))
    for (const [at, bytes] of Object.entries(pieces)) {
      const start = Number(at) - offset
      for (let index = 0; index < bytes.length; index += 1) {
        const place = start + index
        if (place >= 0 && place < result.length) result[place] = bytes[index] ?? 0
      }
    }
    return Promise.resolve(result)
  }
}

interface Slot {
  readonly type: number
  readonly start: number
  readonly sectors: number
}

function bootRecord(slots: readonly Slot[], diskId = 0): Buffer {
  const sector = Buffer.alloc(512)
  sector.writeUInt32LE(diskId, 440)
  for (const [index, slot] of slots.entries()) {
    sector.writeUInt8(slot.type, 446 + index * 16 + 4)
    sector.writeUInt32LE(slot.start, 446 + index * 16 + 8)
    sector.writeUInt32LE(slot.sectors, 446 + index * 16 + 12)
  }
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}

describe('MBR', () => {
  test('primary and logical partitions, empty slots left out', async () => {
    const read = readerOf(
      {
        0: bootRecord(
          [
            { type: 0x83, start: 2048, sectors: 4096 },
            { type: 0, start: 0, sectors: 0 },
            { type: 0x05, start: 8192, sectors: 20_000 },
            { type: 0xef, start: 40_960, sectors: 100 },
          ],
          0xdeadbeef,
        ),
        [8192 * 512]: bootRecord([
          { type: 0x82, start: 2048, sectors: 10 },
          { type: 0x05, start: 10_000, sectors: 4096 },
        ]),
        [18_192 * 512]: bootRecord([{ type: 0x83, start: 2048, sectors: 20 }]),
      },
      64 * mib,
    )
    const layout = await readLayout(read, 64 * mib)
    expect(layout.table).toBe('mbr')
    expect(
      layout.partitions.map((part) => [part.number, part.startBytes / 512, part.sizeBytes / 512, part.role]),
    ).toEqual([
      [1, 2048, 4096, 'linux'],
      [4, 40_960, 100, 'esp'],
      [5, 10_240, 10, 'swap'],
      [6, 20_240, 20, 'linux'],
    ])
    expect(layout.partitions.map(({ partUuid }) => partUuid)).toEqual([
      'deadbeef-01',
      'deadbeef-04',
      'deadbeef-05',
      'deadbeef-06',
    ])
  })

  test('a chain of logical partitions that bites its tail ends', async () => {
    const read = readerOf(
      {
        0: bootRecord([{ type: 0x0f, start: 2048, sectors: 4096 }]),
        [2048 * 512]: bootRecord([
          { type: 0x83, start: 10, sectors: 10 },
          { type: 0x05, start: 0, sectors: 10 },
        ]),
      },
      8 * mib,
    )
    expect((await readLayout(read, 8 * mib)).partitions.map(({ number }) => number)).toEqual([5])
  })

  test('nothing known is refused with what is', async () => {
    await expect(readLayout(readerOf({}, mib), mib)).rejects.toMatchObject({ code: 'disk-unreadable' })
  })
})

const tools = await Promise.all(
  [
    'sfdisk',
    'mkfs.ext4',
    'mkfs.ext3',
    'mkfs.ext2',
    'mkfs.xfs',
    'mkfs.btrfs',
    'mkfs.vfat',
    'mkswap',
    'cryptsetup',
    'pvcreate',
  ].map(async (name) => [name, await findTool(name)] as const),
)
const pathOf = (name: string) => tools.find(([tool]) => tool === name)?.[1]

const uuid = '0b7f9d2e-6c1a-4c55-9a51-1f2e3d4c5b6a'

interface Made {
  readonly tool: string
  readonly args: readonly string[]
  readonly fs: { readonly type: string; readonly uuid?: string; readonly label: string }
}

const fileSystems: readonly Made[] = [
  { tool: 'mkfs.ext4', args: ['-q', '-F', '-U', uuid, '-L', 'root4'], fs: { type: 'ext4', uuid, label: 'root4' } },
  { tool: 'mkfs.ext3', args: ['-q', '-F', '-U', uuid, '-L', 'three'], fs: { type: 'ext3', uuid, label: 'three' } },
  { tool: 'mkfs.ext2', args: ['-q', '-F', '-U', uuid], fs: { type: 'ext2', uuid, label: '' } },
  { tool: 'mkfs.xfs', args: ['-q', '-f', '-m', `uuid=${uuid}`, '-L', 'x'], fs: { type: 'xfs', uuid, label: 'x' } },
  { tool: 'mkfs.btrfs', args: ['-q', '-f', '-U', uuid, '-L', 'b t'], fs: { type: 'btrfs', uuid, label: 'b t' } },
  {
    tool: 'mkfs.vfat',
    args: ['-F', '32', '-i', '1234abcd', '-n', 'EFI'],
    fs: { type: 'vfat', uuid: '1234-ABCD', label: 'EFI' },
  },
  { tool: 'mkfs.vfat', args: ['-F', '16', '-i', '0000000f'], fs: { type: 'vfat', uuid: '0000-000F', label: '' } },
  { tool: 'mkswap', args: ['-q', '-U', uuid, '-L', 'swp'], fs: { type: 'swap', uuid, label: 'swp' } },
  {
    tool: 'cryptsetup',
    args: ['luksFormat', '-q', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000', '--uuid', uuid, '--label', 'l'],
    fs: { type: 'luks', uuid, label: 'l' },
  },
]

describe('file systems as their own tools make them', () => {
  for (const { tool, args, fs } of fileSystems) {
    const path = pathOf(tool)
    test.skipIf(path === undefined)(`${tool} ${args.join(' ')}`, async () => {
      await using folder = await tempDir('layout')
      const file = join(folder.path, 'disk')
      const size = (tool === 'mkfs.xfs' ? 320 : 128) * mib
      const fd = openSync(file, 'w+')
      ftruncateSync(fd, size)
      closeSync(fd)
      execFileSync(path ?? '', [...args, file], { input: 'secret', stdio: ['pipe', 'ignore', 'inherit'] })
      const layout = await withReadAt({ path: file }, (read) => readLayout(read, size))
      expect(layout).toMatchObject({ table: 'none', partitions: [{ number: 0, startBytes: 0, sizeBytes: size, fs }] })
    })
  }
})

describe.skipIf(pathOf('sfdisk') === undefined || pathOf('mkfs.ext4') === undefined)('GPT as sfdisk makes it', () => {
  const script = [
    'label: gpt',
    'start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, name="bios"',
    'start=4096, size=8192, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
    `start=12288, size=40960, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name="root", uuid=${uuid}`,
    '',
  ].join('\n')
  const size = 32 * mib

  async function gptDisk(folder: string): Promise<string> {
    const file = join(folder, 'disk')
    const part = join(folder, 'part')
    for (const [path, bytes] of [
      [file, size],
      [part, 20 * mib],
    ] as const) {
      const fd = openSync(path, 'w+')
      ftruncateSync(fd, bytes)
      closeSync(fd)
    }
    execFileSync(pathOf('sfdisk') ?? '', ['-q', file], { input: script })
    execFileSync(pathOf('mkfs.ext4') ?? '', ['-q', '-F', '-L', 'r', part])
    execFileSync('dd', [`if=${part}`, `of=${file}`, 'bs=1M', 'seek=6', 'conv=notrunc', 'status=none'])
    return file
  }

  test('partitions, their names and what is in them; the copy at the end serves where the first is broken', async () => {
    await using folder = await tempDir('gpt')
    const file = await gptDisk(folder.path)
    const read = () => withReadAt({ path: file }, (bytes) => readLayout(bytes, size))
    const whole = await read()
    expect(whole).toMatchObject({ table: 'gpt', sectorSize: 512 })
    expect(whole.partitions).toMatchObject([
      { number: 1, startBytes: mib, sizeBytes: mib, role: 'bios-boot', name: 'bios' },
      { number: 2, startBytes: 2 * mib, sizeBytes: 4 * mib, role: 'esp' },
      {
        number: 3,
        startBytes: 6 * mib,
        sizeBytes: 20 * mib,
        role: 'linux',
        name: 'root',
        partUuid: uuid,
        fs: { type: 'ext4', label: 'r' },
      },
    ])
    const fd = openSync(file, 'r+')
    writeSync(fd, Buffer.from([1]), 0, 1, 512 + 40)
    closeSync(fd)
    expect(await read()).toEqual(whole)
  })
})
