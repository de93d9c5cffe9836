import { lstatSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { baseObstacle, type BaseFacts } from '../../src/bake/container/base-facts.ts'
import { findHierarchies } from '../../src/bake/container/cgroup.ts'
import { findChanges, pathsInLayers, removePaths } from '../../src/bake/container/changes.ts'
import { chooseNet, networkdUnit, prohibited } from '../../src/bake/container/network.ts'
import { driverService, isNoise, nspawnArgs } from '../../src/bake/container/nspawn.ts'
import { firstAllowed } from '../../src/bake/container/in-order.ts'
import { journalExtents } from '../../src/bake/container/write-back.ts'
import { tempDir } from '../../src/system/temp.ts'

const facts: BaseFacts = {
  v: 1,
  architecture: 'x64',
  systemd: true,
  cloudInit: true,
  resolver: 'resolved',
  rootType: 'ext4',
  mounts: ['/boot', '/boot/efi'],
}

test.each<[Partial<BaseFacts>, RegExp | undefined]>([
  [{}, undefined],
  [{ resolver: 'file' }, undefined],
  [{ systemd: false }, /no systemd/],
  [{ cloudInit: false }, /no cloud-init/],
  [{ architecture: 'arm64' }, /processor \(x64\)/],
  [{ mounts: ['/boot', '/var', '/home'] }, /for \/var, \/home$/],
  [{ resolver: 'unknown' }, /name servers/],
])('a base with %j', (change, expected) => {
  const obstacle = baseObstacle({ ...facts, ...change }, 'x64')
  if (expected === undefined) expect(obstacle).toBeUndefined()
  else expect(obstacle).toMatch(expected)
})

describe('the network', () => {
  const host = (address: string, netmask: string) => ({ address, netmask })

  test.each([
    [[host('192.0.2.2', '255.255.255.0')], '10.0.2'],
    // In a virtual machine of QEMU's the network is taken.
    [[host('10.0.2.15', '255.255.255.0')], '10.0.3'],
    [[host('10.1.2.3', '255.0.0.0')], '172.29.213'],
    [[host('10.0.2.130', '255.255.255.128')], '10.0.3'],
    [[host('10.0.0.1', '255.255.0.0')], '10.213.77'],
  ])('of a host with %j is %s', (addresses, expected) => {
    expect(chooseNet(addresses)).toBe(expected)
  })

  test('keeps off every address of the host, and cloud metadata', () => {
    const addresses = [
      host('127.0.0.1', '255.0.0.0'),
      host('192.0.2.2', '255.255.255.0'),
      host('192.0.2.2', '255.255.255.0'),
    ]
    expect(prohibited(addresses)).toEqual(['192.0.2.2/32', '169.254.0.0/16'])
  })

  test('is told to networkd, which shall not ask for addresses', () => {
    expect(networkdUnit('10.0.3')).toContain('Address=10.0.3.15/24\nGateway=10.0.3.2\nDNS=10.0.3.3\n')
    expect(networkdUnit('10.0.3')).not.toContain('DHCP')
  })
})

describe('nspawn', () => {
  const args = nspawnArgs({
    ...{ name: 'n', hostname: 'h', root: '/work/root', control: '/work:1/control' },
    readOnly: [{ source: '/work/base/boot', target: '/boot' }],
  })

  test('changes nothing in the tree, and has neither the rights nor the network of the host', () => {
    for (const wanted of ['--resolv-conf=off', '--timezone=off', '--link-journal=no', '--private-users=identity']) {
      expect(args).toContain(wanted)
    }
    expect(args).toContain('--private-network')
    expect(args.filter((argument) => /capability|no-new-privileges=y/.test(argument))).toEqual([])
    // Only what is in memory there, and the boot loader's folders.
    const targets = args.flatMap((argument) => /^--bind(?:-ro)?=(?:[^:\\]|\\.)+:(.*)$/.exec(argument)?.[1] ?? [])
    expect(targets.filter((target) => !target.startsWith('/run/'))).toEqual(['/boot'])
    expect(args).toContain('--bind=/work\\:1/control:/run/parbake-bake')
  })

  test('its words for process 1 come last', () => {
    expect(args.slice(args.indexOf('--') + 1)).toContain('ds=nocloud;s=/run/parbake-bake/seed/')
  })

  test('the driver starts when the config stage of cloud-init has ended, and not the last one', () => {
    const unit = driverService({ in: 'a', out: 'b' })
    expect(unit).toContain('bake.sh /run/parbake-bake/a /run/parbake-bake/b\n')
    expect(unit).toMatch(/After=.* cloud-config\.service$/m)
    expect(unit).not.toContain('cloud-final')
  })

  test.each([
    ['Attempted to remove disk file system under "/run/systemd/nspawn/x", and we can\'t allow that.', true],
    ['Failed to join network namespace: Operation not permitted', false],
  ])('%s is noise: %s', (line, noise) => {
    expect(isNoise(line)).toBe(noise)
  })
})

test('control groups are found in both versions and in a container', () => {
  const mountinfo = [
    '30 20 0:26 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,xattr,name=systemd',
    '31 20 0:27 /docker/1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '32 20 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
    '33 20 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    '34 20 0:30 / /proc rw - proc proc rw',
    '',
  ].join('\n')
  const cgroups = '9:name=systemd:/a/b\n4:memory:/docker/1/x\n3:cpuacct,cpu:/\n2:pids:/none\n0::/user.slice/c:d\n'
  expect(findHierarchies(cgroups, mountinfo)).toEqual([
    { controllers: ['name=systemd'], folder: '/sys/fs/cgroup/systemd/a/b' },
    { controllers: ['memory'], folder: '/sys/fs/cgroup/memory/x' },
    { controllers: ['cpuacct', 'cpu'], folder: '/sys/fs/cgroup/cpu,cpuacct' },
    { controllers: [], folder: '/sys/fs/cgroup/unified/user.slice/c:d' },
  ])
})

test("a journal's blocks, but for its header", () => {
  const text = 'Inode: 8   Type: regular\nSize: 67108864\nEXTENTS:\n(0-16382):458752-475134, (16383):9\n'
  expect(journalExtents(text)).toEqual([
    { first: 458_753, count: 16_382 },
    { first: 9, count: 1 },
  ])
  expect(journalExtents('EXTENTS:\n(0):7\n')).toEqual([])
  expect(journalExtents('no such inode')).toEqual([])
})

test.each([
  ['Cpus_allowed:\t3\nCpus_allowed_list:\t0-1\n', '0'],
  ['Cpus_allowed_list:\t6\n', '6'],
  ['Cpus_allowed_list:\t2-5,8\n', '2'],
  ['', undefined],
])('%j lets a process run on %s first', (status, first) => {
  expect(firstAllowed(status)).toBe(first)
})

describe('what must change on the disk', () => {
  /** Files by path; ending in a slash: a folder; with an arrow: a link. */
  function tree(root: string, paths: readonly string[]): string {
    mkdirSync(root, { recursive: true })
    for (const path of paths) {
      const [name = '', target] = path.split(' -> ')
      mkdirSync(join(root, name.endsWith('/') ? name : join(name, '..')), { recursive: true })
      if (target !== undefined) symlinkSync(target, join(root, name))
      else if (!name.endsWith('/')) writeFileSync(join(root, name), path)
    }
    return root
  }

  async function changes(layers: readonly (readonly string[])[], merged: readonly string[], disk: readonly string[]) {
    await using folder = await tempDir('changes')
    const uppers = layers.map((paths, index) => tree(join(folder.path, `upper${index}`), paths))
    const found = findChanges(
      pathsInLayers(uppers),
      tree(join(folder.path, 'merged'), merged),
      tree(join(folder.path, 'disk'), disk),
    )
    return { remove: [...found.remove].toSorted(), copy: [...found.copy].toSorted() }
  }

  test('files with holes are told apart', async () => {
    await using folder = await tempDir('test-sparse')
    for (const name of ['upper', 'merged', 'disk']) mkdirSync(join(folder.path, name, 'var'), { recursive: true })
    for (const name of ['upper', 'merged']) {
      writeFileSync(join(folder.path, name, 'var/plain'), 'x'.repeat(10_000))
      writeFileSync(join(folder.path, name, 'var/holes'), 'x')
      truncateSync(join(folder.path, name, 'var/holes'), 1 << 20)
    }
    const paths = pathsInLayers([join(folder.path, 'upper')])
    expect(findChanges(paths, join(folder.path, 'merged'), join(folder.path, 'disk'))).toEqual({
      ...{ remove: [], copy: ['.', 'var', 'var/plain'], sparse: ['var/holes'] },
    })
  })

  test('new and changed files; what did not change is left alone', async () => {
    expect(
      await changes([['etc/new', 'etc/changed']], ['etc/new', 'etc/changed', 'etc/same'], ['etc/changed', 'etc/same']),
    ).toEqual({
      remove: ['etc/changed'],
      copy: ['.', 'etc', 'etc/changed', 'etc/new'],
    })
  })

  test('what was removed goes, with all below it', async () => {
    expect(await changes([['etc/', 'usr/share/']], ['etc/', 'usr/share/'], ['etc/gone', 'usr/share/doc/a/b'])).toEqual({
      remove: ['etc/gone', 'usr/share/doc'],
      copy: ['.', 'etc', 'usr', 'usr/share'],
    })
  })

  test('a folder that hides the one below', async () => {
    expect(await changes([['opt/app/new']], ['opt/app/new'], ['opt/app/old', 'opt/app/deep/er'])).toEqual({
      remove: ['opt/app/deep', 'opt/app/old'],
      copy: ['.', 'opt', 'opt/app', 'opt/app/new'],
    })
  })

  test('folders and files that took the place of each other', async () => {
    expect(await changes([['a/file', 'b']], ['a/file', 'b'], ['a', 'b/file'])).toEqual({
      remove: ['a', 'b'],
      copy: ['.', 'a', 'a/file', 'b'],
    })
  })

  test('what a later layer took away again is in nobody’s way', async () => {
    expect(
      await changes(
        [
          ['tmp/was', 'x/y/z'],
          ['tmp/', 'x'],
        ],
        ['tmp/', 'x'],
        ['tmp/'],
      ),
    ).toEqual({
      remove: [],
      copy: ['.', 'tmp', 'x'],
    })
  })

  test('no path is followed through a link, wherever it leads', async () => {
    await using outside = await tempDir('outside')
    writeFileSync(join(outside.path, 'secret'), 'secret')
    // An earlier layer has a folder where a later one has a link.
    expect(await changes([['a/secret'], [`a -> ${outside.path}`]], [`a -> ${outside.path}`], ['b'])).toEqual({
      remove: ['b'],
      copy: ['.', 'a'],
    })
    // The base has a link where the layers have a folder.
    const found = await changes([['a/secret']], ['a/secret'], [`a -> ${outside.path}`])
    expect(found).toEqual({ remove: ['a'], copy: ['.', 'a', 'a/secret'] })
  })

  test('removing takes links, not what they lead to', async () => {
    await using folder = await tempDir('remove')
    const kept = join(folder.path, 'kept')
    mkdirSync(join(folder.path, 'disk', 'sub'), { recursive: true })
    mkdirSync(kept)
    writeFileSync(join(kept, 'file'), 'x')
    symlinkSync(kept, join(folder.path, 'disk', 'link'))
    symlinkSync(kept, join(folder.path, 'disk', 'sub', 'link'))
    removePaths(join(folder.path, 'disk'), ['link', 'sub', 'never-there'])
    expect(readFileSync(join(kept, 'file'), 'utf8')).toBe('x')
    expect(lstatSync(join(folder.path, 'disk', 'sub'), { throwIfNoEntry: false })).toBeUndefined()
  })
})
