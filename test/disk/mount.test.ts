import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { exposeRaw, fuseObstacle, withReadAt } from '../../src/disk/expose.ts'
import { sweepDisks } from '../../src/disk/loop.ts'
import { mountSystem } from '../../src/disk/mount.ts'
import { tempDir } from '../../src/system/temp.ts'
import { asRoot, loopsIn, makeDisk, processesOf, sparseFile, toolContext } from './support.ts'

const context = toolContext()
const uuids = ['11111111-2222-4333-8444-555555555501', '11111111-2222-4333-8444-555555555502'] as const
const esp = 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B'
/** Small kernels lack it. */
const vfat =
  asRoot &&
  (spawnSync('modprobe', ['-q', 'vfat']).status === 0 || /\tvfat$/m.test(readFileSync('/proc/filesystems', 'utf8')))
const fuse = await fuseObstacle()
const worker = fileURLToPath(new URL('hold-disk.ts', import.meta.url))

function system(fstab: string): string {
  return `mkdir -p etc usr/lib boot home && echo ID=test >usr/lib/os-release && printf '${fstab}' >etc/fstab`
}

async function eventually(check: () => boolean): Promise<boolean> {
  for (let left = 300; left > 0; left -= 1) {
    if (check()) return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

/** Nothing of this folder is attached or running any more. */
function isClean(folder: string): boolean {
  return (
    loopsIn(folder).length === 0 &&
    processesOf(folder).length === 0 &&
    !readFileSync('/proc/self/mountinfo', 'utf8').includes(folder)
  )
}

describe.skipIf(!asRoot)('a mounted system', () => {
  test('with /boot and ESP, found by fstab; reading leaves every byte as it is', async () => {
    await using folder = await tempDir('mount')
    const path = join(folder.path, 'disk.raw')
    makeDisk(path, [
      { type: 'vfat', sizeMiB: 34, uuid: '12AB-34CD', guid: esp, ...(vfat ? { fill: 'echo loader >grub.efi' } : {}) },
      { type: 'ext4', sizeMiB: 20, uuid: uuids[0], fill: 'mkdir efi && echo kernel >vmlinuz' },
      {
        type: 'ext4',
        sizeMiB: 40,
        uuid: uuids[1],
        fill: system(
          `UUID=${uuids[1]} / ext4 defaults\\nUUID=${uuids[0]} /boot ext4 x\\nUUID=12AB-34CD /boot/efi vfat x\\n`,
        ),
      },
    ])
    const before = execFileSync('sha256sum', [path]).toString()
    {
      await using raw = await exposeRaw(context, { path, format: 'raw', writable: false, workFolder: folder.path })
      await using found = await mountSystem(context, raw, join(folder.path, 'mnt'), { writable: false })
      expect(found.rootPartition.number).toBe(3)
      expect(found.wanted.map(({ target }) => target)).toEqual(['/boot', '/boot/efi'])
      expect(found.mounts.map(({ target }) => target)).toEqual(['/', '/boot', ...(vfat ? ['/boot/efi'] : [])])
      expect(found.missing.map(({ target }) => target)).toEqual(vfat ? [] : ['/boot/efi'])
      if (vfat) expect(readFileSync(join(found.root, 'boot/efi/grub.efi'), 'utf8')).toBe('loader\n')
      expect(readFileSync(join(found.root, 'boot/vmlinuz'), 'utf8')).toBe('kernel\n')
      expect(() => writeFileSync(join(found.root, 'x'), '')).toThrow(/EROFS/)
      // Nobody else sees it.
      expect(readdirSync(join(folder.path, 'mnt'))).toEqual([])
    }
    expect(execFileSync('sha256sum', [path]).toString()).toBe(before)
    expect(isClean(folder.path)).toBe(true)
  })

  test.each([
    ['xfs', 320, system('')],
    [
      'btrfs',
      128,
      // The snapshot comes first by name, and is not what fstab calls the root.
      `btrfs subvolume create @ && btrfs subvolume create @home && cd @ && ${system(
        `UUID=${uuids[0]} / btrfs subvol=/@\\nUUID=${uuids[0]} /home btrfs subvol=@home\\n`,
      )} && cd .. && echo mine >@home/file && btrfs subvolume snapshot @ @-old && echo now >@/etc/now`,
    ],
  ] as const)('on %s', async (type, sizeMiB, fill) => {
    await using folder = await tempDir('mount')
    const path = join(folder.path, 'disk.raw')
    makeDisk(path, [{ type, sizeMiB, uuid: uuids[0], fill }])
    await using raw = await exposeRaw(context, { path, format: 'raw', writable: true, workFolder: folder.path })
    await using found = await mountSystem(context, raw, join(folder.path, 'mnt'), { writable: true })
    expect(found.rootPartition.fs?.type).toBe(type)
    if (type === 'btrfs') {
      expect(readFileSync(join(found.root, 'etc/now'), 'utf8')).toBe('now\n')
      expect(readFileSync(join(found.root, 'home/file'), 'utf8')).toBe('mine\n')
    }
    writeFileSync(join(found.root, 'etc/written'), 'yes')
  })

  test('a mount point that is a link is left alone, for it may lead out of the disk', async () => {
    await using folder = await tempDir('mount')
    const path = join(folder.path, 'disk.raw')
    const outside = join(folder.path, 'outside')
    mkdirSync(outside)
    makeDisk(path, [
      { type: 'ext4', sizeMiB: 20, uuid: uuids[0], fill: 'echo evil >evil' },
      {
        type: 'ext4',
        sizeMiB: 20,
        uuid: uuids[1],
        fill: `${system(`UUID=${uuids[0]} /boot ext4 x\\n`)} && rmdir boot && ln -s ${outside} boot`,
      },
    ])
    await using raw = await exposeRaw(context, { path, format: 'raw', writable: false, workFolder: folder.path })
    await using found = await mountSystem(context, raw, join(folder.path, 'mnt'), { writable: false })
    expect(found.mounts.map(({ target }) => target)).toEqual(['/'])
  })

  test('a disk without a system is refused, and nothing stays', async () => {
    await using folder = await tempDir('mount')
    const path = join(folder.path, 'disk.raw')
    makeDisk(path, [{ type: 'ext4', sizeMiB: 20, uuid: uuids[0], fill: 'echo data >file' }])
    await using raw = await exposeRaw(context, { path, format: 'raw', writable: false, workFolder: folder.path })
    await expect(mountSystem(context, raw, join(folder.path, 'mnt'), { writable: false })).rejects.toMatchObject({
      code: 'no-system',
      hint: expect.stringContaining('1: ext4') as string,
    })
    expect(isClean(folder.path)).toBe(true)
  })

  test('a sweep frees what is in a folder, and nothing else', async () => {
    await using folder = await tempDir('sweep')
    mkdirSync(join(folder.path, 'a'))
    for (const name of ['a/disk', 'disk']) {
      sparseFile(join(folder.path, name), 1024 * 1024)
      execFileSync('losetup', ['--find', join(folder.path, name)])
    }
    await sweepDisks(join(folder.path, 'a'))
    expect(loopsIn(folder.path)).toEqual([join(folder.path, 'disk')])
    await sweepDisks(folder.path)
    expect(loopsIn(folder.path)).toEqual([])
  })
})

describe.skipIf(fuse !== undefined)('a qcow2 shown as a raw file', () => {
  async function overlay(folder: string): Promise<{ readonly base: string; readonly path: string }> {
    const raw = join(folder, 'base.raw')
    const base = join(folder, 'base.qcow2')
    const path = join(folder, 'top.qcow2')
    makeDisk(raw, [{ type: 'ext4', sizeMiB: 40, uuid: uuids[0], fill: system('') }])
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, base])
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', path])
    return { base, path }
  }

  test('is written through, over an untouched base', async () => {
    await using folder = await tempDir('expose')
    const { base, path } = await overlay(folder.path)
    const before = execFileSync('sha256sum', [base]).toString()
    {
      await using raw = await exposeRaw(context, { path, format: 'qcow2', writable: true, workFolder: folder.path })
      await using found = await mountSystem(context, raw, join(folder.path, 'mnt'), { writable: true })
      writeFileSync(join(found.root, 'etc/new'), 'new')
    }
    expect(isClean(folder.path)).toBe(true)
    execFileSync('qemu-img', ['check', '-q', path])
    expect(execFileSync('sha256sum', [base]).toString()).toBe(before)
    await using raw = await exposeRaw(context, { path, format: 'qcow2', writable: false, workFolder: folder.path })
    await using found = await mountSystem(context, raw, join(folder.path, 'mnt'), { writable: false })
    expect(readFileSync(join(found.root, 'etc/new'), 'utf8')).toBe('new')
    expect(await withReadAt(raw, (read) => read(510, 2))).toEqual(Buffer.from([0x55, 0xaa]))
  })

  test.each(['SIGKILL', 'SIGTERM'] as const)('is gone with its mounts when the process ends by %s', async (signal) => {
    await using folder = await tempDir('expose')
    const { path } = await overlay(folder.path)
    const child = spawn(process.execPath, ['--import', 'tsx', worker, path, folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    expect(loopsIn('exposed-').length).toBeGreaterThan(0)
    expect(isClean(folder.path)).toBe(false)
    child.kill(signal)
    expect(await eventually(() => isClean(folder.path))).toBe(true)
  })

  test('what cannot be opened is told', async () => {
    await using folder = await tempDir('expose')
    const path = join(folder.path, 'no.qcow2')
    writeFileSync(path, 'QFI\u00fbnonsense')
    await expect(
      exposeRaw(context, { path, format: 'qcow2', writable: false, workFolder: folder.path }),
    ).rejects.toMatchObject({ code: 'disk-unreadable' })
    expect(isClean(folder.path)).toBe(true)
  })
})
