import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bootMethods, describeDisk, findRoot } from '../../src/base/inspect.ts'
import type { Partition } from '../../src/disk/layout.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { findTool, needTool } from '../../src/system/tools.ts'

const context = { reporter: silentReporter, signal: new AbortController().signal }
const MiB = 1024 ** 2
const espType = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'
/** xfs makes nothing smaller, and btrfs not much. */
const rootMiB = 320
const uuid = '01234567-89ab-4def-8123-456789abcdef'

interface Plan {
  readonly table: 'dos' | 'gpt'
  readonly root: 'ext4' | 'xfs' | 'btrfs'
  readonly boot: boolean
  readonly esp: boolean
}

/** Makes a disk as distributions lay theirs out, without mounting or booting anything. */
async function makeDisk(folder: string, plan: Plan): Promise<string> {
  const parts = [
    ...(plan.esp ? [{ fs: 'vfat', sizeMiB: 36, type: plan.table === 'gpt' ? espType : 'ef' }] : []),
    ...(plan.boot ? [{ fs: 'ext4', sizeMiB: 40, type: 'linux' }] : []),
    { fs: plan.root, sizeMiB: rootMiB, type: 'linux' },
  ]
  let at = 1
  const placed = parts.map((part) => {
    const own = { ...part, startMiB: at }
    at += part.sizeMiB
    return own
  })
  const disk = join(folder, 'disk.raw')
  await writeFile(disk, '')
  await truncate(disk, (at + 1) * MiB)
  const lines = placed.map(({ startMiB, sizeMiB, type }) => `start=${startMiB}MiB, size=${sizeMiB}MiB, type=${type}`)
  const input = `label: ${plan.table}\n\n${lines.join('\n')}\n`
  await run(await needTool('sfdisk'), ['--quiet', '--no-reread', '--no-tell-kernel', disk], { input })
  for (const { fs, startMiB, sizeMiB } of placed) {
    const image = join(folder, 'part.raw')
    await writeFile(image, '')
    await truncate(image, sizeMiB * MiB)
    await makeFileSystem(fs, image, sizeMiB === rootMiB)
    await run('dd', ['if=' + image, 'of=' + disk, 'bs=1M', `seek=${startMiB}`, 'conv=notrunc,sparse', 'status=none'])
  }
  return disk
}

async function makeFileSystem(type: string, image: string, isRoot: boolean): Promise<void> {
  const label = isRoot ? 'rootfs' : 'other'
  const [tool, args] =
    type === 'ext4'
      ? ['mke2fs', ['-q', '-F', '-t', 'ext4', '-L', label, ...(isRoot ? ['-U', uuid] : [])]]
      : type === 'xfs'
        ? ['mkfs.xfs', ['-q', '-f', '-L', label, '-m', `uuid=${uuid}`]]
        : type === 'btrfs'
          ? ['mkfs.btrfs', ['-q', '-f', '-L', label, '-U', uuid]]
          : ['mkfs.fat', ['-F', '32', '-s', '1', '-n', 'ESP']]
  await run(await needTool(tool), [...args, image])
}

const plans = (['dos', 'gpt'] as const).flatMap((table) =>
  (['ext4', 'xfs', 'btrfs'] as const).flatMap((root) =>
    [true, false].flatMap((boot) => [true, false].map((esp): Plan => ({ table, root, boot, esp }))),
  ),
)

describe('disks', () => {
  test.for(plans)('$table, root on $root, /boot $boot, ESP $esp', async (plan, { skip }) => {
    if ((await findTool(`mkfs.${plan.root}`)) === undefined) skip(`no mkfs.${plan.root} here`)
    await using folder = await tempDir('test-inspect')
    const disk = await makeDisk(folder.path, plan)
    const { layout, rootPartition, boot } = await describeDisk(disk, context)
    const number = 1 + Number(plan.boot) + Number(plan.esp)
    expect(layout).toMatchObject({ table: plan.table === 'dos' ? 'mbr' : 'gpt', sectorSize: 512 })
    expect(layout.partitions).toHaveLength(number)
    expect(rootPartition).toBe(number)
    expect(layout.partitions.at(-1)).toMatchObject({
      ...{ number, sizeBytes: rootMiB * MiB, fs: { type: plan.root, uuid, label: 'rootfs' } },
    })
    expect(layout.partitions.map(({ fs }) => fs?.type)).toEqual([
      ...(plan.esp ? ['vfat'] : []),
      ...(plan.boot ? ['ext4'] : []),
      plan.root,
    ])
    expect(boot).toEqual(plan.esp ? ['uefi'] : [])
    if (plan.table === 'dos' || plan.boot !== plan.esp) return
    const image = join(folder.path, 'disk.qcow2')
    await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', '-c', '-o', 'compression_type=zstd', disk, image])
    expect(await describeDisk(image, context)).toEqual({ layout, rootPartition, boot })
  })
})

const partition = (number: number, sizeBytes: number, type?: string, role: Partition['role'] = 'linux') =>
  ({
    ...{ number, startBytes: number * MiB, sizeBytes, role },
    ...(type !== undefined && { fs: { type, uuid: '', label: '' } }),
  }) as Partition

test.each<[string, Partition[], number]>([
  ['the only one', [partition(3, 5, 'ext4')], 3],
  ['the largest, not /boot', [partition(1, 5, 'ext4'), partition(2, 50, 'xfs')], 2],
  ['whatever the order', [partition(1, 50, 'btrfs'), partition(2, 5, 'ext4')], 1],
  [
    'not swap, FAT or what is empty',
    [partition(1, 50, 'swap'), partition(2, 60, 'vfat'), partition(3, 70), partition(4, 1, 'ext4')],
    4,
  ],
  ['without a table', [partition(0, 50, 'ext4')], 0],
])('the root is %s', (_name, partitions, number) => {
  expect(findRoot({ partitions }).number).toBe(number)
})

test.each<[string, Partition[], RegExp]>([
  ['nothing', [], /no Linux root file system on the disk \(partitions: none\)/],
  ['Windows', [partition(1, 5, 'vfat', 'esp'), partition(2, 50, undefined, 'other')], /partitions: 1 vfat, 2 other/],
  ['LVM', [partition(1, 5, 'ext4'), partition(2, 50, 'lvm')], /inside LVM \(partition 2\)/],
  ['LUKS', [partition(1, 5, 'ext4'), partition(2, 50, 'luks')], /inside an encrypted partition \(partition 2\)/],
])('%s is no root', (_name, partitions, message) => {
  expect(() => findRoot({ partitions })).toThrow(message)
})

test.each<[boolean, Partition[], string[]]>([
  [true, [], ['bios']],
  [false, [partition(1, 5, 'vfat', 'esp')], ['uefi']],
  [true, [partition(1, 5, 'vfat', 'esp')], ['bios', 'uefi']],
  [false, [partition(1, 5, undefined, 'esp')], []],
])('boot code %j and %j start by %j', (hasBootCode, partitions, expected) => {
  expect(bootMethods({ partitions }, hasBootCode)).toEqual(expected)
})
