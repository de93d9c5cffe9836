import { expect, test } from 'vitest'
import { linkGrub, planDisk, sfdiskScript, uuidFrom } from '../../src/base/disk-plan.ts'
import type { BaseDisk, BootMethod } from '../../src/base/definition.ts'

const disk: BaseDisk = { sizeMiB: 4096, id: '1-2', espMiB: 48, rootLabel: 'root', rootUuid: 'u' }

test.each<[BootMethod[], [string, number, number, number][]]>([
  [
    ['bios', 'uefi'],
    [
      ['bios-boot', 14, 2048, 2048],
      ['esp', 15, 4096, 98_304],
      ['root', 1, 102_400, 8_286_168],
    ],
  ],
  [
    ['bios'],
    [
      ['bios-boot', 14, 2048, 2048],
      ['root', 1, 4096, 8_384_472],
    ],
  ],
  [
    ['uefi'],
    [
      ['esp', 15, 2048, 98_304],
      ['root', 1, 100_352, 8_288_216],
    ],
  ],
])('a disk for %j', (boot, expected) => {
  const partitions = planDisk({ disk, boot })
  expect(partitions.map(({ role, number, start, sectors }) => [role, number, start, sectors])).toEqual(expected)
  // Whole blocks of 4 KiB, and the end of the disk is left to the second copy of the table.
  const root = partitions.at(-1)
  expect((root?.sectors ?? 1) % 8).toBe(0)
  expect((root?.start ?? 0) + (root?.sectors ?? 0)).toBeLessThanOrEqual(4096 * 2048 - 33)
})

test('the table for sfdisk', () => {
  const script = sfdiskScript(disk, planDisk({ disk, boot: ['bios'] }))
  expect(script.split('\n')).toEqual([
    'label: gpt',
    'label-id: 1-2',
    'unit: sectors',
    '',
    `14 : start=2048, size=2048, type=21686148-6449-6e6f-744e-656564454649, uuid=${uuidFrom('1-2 bios-boot')}, name="bios-boot"`,
    `1 : start=4096, size=8384472, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, uuid=${uuidFrom('1-2 root')}, name="root"`,
    '',
  ])
})

test('a UUID from a text is always the same and of version 8', () => {
  expect(uuidFrom('a')).toBe(uuidFrom('a'))
  expect(uuidFrom('a')).not.toBe(uuidFrom('b'))
  for (const text of ['', 'a', 'b', 'c', 'd', 'e'])
    expect(uuidFrom(text)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('GRUB’s pieces are linked by sector numbers, and only where they have the known shape', () => {
  const boot = Buffer.alloc(512)
  boot.writeUInt16LE(0xaa55, 510)
  const core = Buffer.alloc(1024)
  core.writeBigUInt64LE(2n, 0x1f4)
  const linked = linkGrub(boot, core, 2048)
  expect(linked.boot.readBigUInt64LE(0x5c)).toBe(2048n)
  expect(linked.core.readBigUInt64LE(0x1f4)).toBe(2049n)
  expect(boot.readBigUInt64LE(0x5c)).toBe(0n)
  expect(() => linkGrub(Buffer.alloc(512), core, 2048)).toThrow(RangeError)
  expect(() => linkGrub(boot, Buffer.alloc(1024), 2048)).toThrow(RangeError)
})
