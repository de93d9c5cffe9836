import { describe, expect, test } from 'vitest'
import { findSource, parseFstab, subvolumeOf, wantedMounts } from '../../src/disk/fstab.ts'
import type { DiskLayout } from '../../src/disk/layout.ts'
import { mountOptions } from '../../src/disk/mount.ts'

const layout: DiskLayout = {
  table: 'gpt',
  sectorSize: 512,
  sizeBytes: 1000,
  partitions: [
    { number: 1, startBytes: 0, sizeBytes: 1, role: 'esp', fs: { type: 'vfat', uuid: '12AB-34CD', label: 'EFI' } },
    {
      number: 2,
      startBytes: 1,
      sizeBytes: 1,
      role: 'linux',
      partUuid: 'aa-02',
      fs: { type: 'ext4', uuid: 'u-2', label: 'boot' },
    },
    {
      number: 3,
      startBytes: 2,
      sizeBytes: 1,
      role: 'linux',
      name: 'rootfs',
      fs: { type: 'btrfs', uuid: 'u-3', label: '' },
    },
    { number: 4, startBytes: 3, sizeBytes: 1, role: 'swap', fs: { type: 'swap', uuid: 'u-4', label: '' } },
  ],
}

test.each([
  ['UUID=u-2', 2],
  ['UUID="12ab-34cd"', 1],
  ['LABEL=boot', 2],
  ['LABEL=', undefined],
  ['PARTUUID=AA-02', 2],
  ['PARTLABEL=rootfs', 3],
  ['/dev/disk/by-uuid/u-3', 3],
  ['/dev/vda2', 2],
  ['/dev/nvme0n1p3', 3],
  ['/dev/mapper/vg-root', undefined],
  ['tmpfs', undefined],
  ['UUID=other', undefined],
])('the source %s is partition %s', (source, number) => {
  expect(findSource(layout, source)?.number).toBe(number)
})

describe('an fstab', () => {
  const text = [
    '# comment',
    'UUID=12AB-34CD /boot/efi/ vfat umask=077 0 1',
    'UUID=u-2 /boot ext4 defaults 0 2',
    'UUID=u-3 / btrfs subvol=/@,compress=zstd 0 0',
    'UUID=u-3 /home btrfs subvol=@home 0 0',
    'UUID=u-4 none swap sw 0 0',
    'UUID=u-2 /../../etc ext4 defaults 0 0',
    'UUID=u-2 relative ext4 defaults 0 0',
    'UUID=u-2 /with\\040blank ext4 defaults',
    'tmpfs /tmp tmpfs size=1g 0 0',
    'broken',
  ].join('\n')

  test('is read without what leads nowhere', () => {
    expect(parseFstab(text).map(({ target }) => target)).toEqual([
      '/boot/efi',
      '/boot',
      '/',
      '/home',
      '/with blank',
      '/tmp',
    ])
  })

  test('mounts outer folders first, from this disk only, the root not again', () => {
    expect(
      wantedMounts(layout, parseFstab(text)).map((mount) => [mount.target, mount.partition.number, mount.subvolume]),
    ).toEqual([
      ['/boot', 2, undefined],
      ['/home', 3, '@home'],
      ['/with blank', 2, undefined],
      ['/boot/efi', 1, undefined],
    ])
  })
})

test.each([
  [['subvol=/@'], '@'],
  [['rw', 'subvol=a/b'], 'a/b'],
  [['subvolid=5'], undefined],
])('the subvolume of %j is %s', (options, expected) => {
  expect(subvolumeOf(options)).toBe(expected)
})

test.each([
  ['ext4', false, 'ro,nosuid,nodev,noload'],
  ['ext2', false, 'ro,nosuid,nodev'],
  ['xfs', false, 'ro,nosuid,nodev,nouuid,norecovery'],
  ['btrfs', false, 'ro,nosuid,nodev,rescue=nologreplay'],
  ['xfs', true, 'rw,nosuid,nodev,nouuid'],
])('%s, writable %s, is mounted with %s', (type, writable, expected) => {
  expect(mountOptions(type, writable).join(',')).toBe(expected)
})
