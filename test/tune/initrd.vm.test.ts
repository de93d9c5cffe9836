import { existsSync } from 'node:fs'
import { appendFile, copyFile, cp, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exposeRaw } from '../../src/disk/expose.ts'
import { mountSystem, type MountedSystem } from '../../src/disk/mount.ts'
import { createOverlay } from '../../src/image/qemu-img.ts'
import { tempDir } from '../../src/system/temp.ts'
import { isRoot, testContext } from '../seal/support.ts'

const cache =
  process.env['PARBAKE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'parbake')
const name = join(cache, 'bases/names/debian-12')
const context = testContext()

/** Mounts a copy of the base with bootstrap/tune.sh in it, for as long as `use` takes. */
async function inCopy(use: (system: MountedSystem, base: string) => Promise<void>): Promise<void> {
  await using folder = await tempDir('test-initrd')
  const base = join(cache, 'bases', (await readFile(name, 'utf8')).trim())
  const path = join(folder.path, 'disk.qcow2')
  await createOverlay(path, join(base, 'disk.qcow2'))
  await using disk = await exposeRaw(context, { path, format: 'qcow2', writable: true, workFolder: folder.path })
  await using system = await mountSystem(context, disk, join(folder.path, 'root'), { writable: true })
  await copyFile(new URL('../../bootstrap/tune.sh', import.meta.url).pathname, join(system.root, 'root/tune.sh'))
  await use(system, base)
}

const digest = async (system: MountedSystem, path: string) =>
  (await system.run('chroot', [system.innerRoot, 'sh', '-c', `sha256sum <$(ls ${path})`])).stdout

/** What is in the base's RAM disk: every path with its type, rights and size, and every file's digest. */
async function contents(system: MountedSystem): Promise<string> {
  const script = `
folder=$(mktemp -d) && unmkinitramfs "$(ls /boot/initrd.img-*)" "$folder" && cd "$folder" || exit
find . -printf '%p %y %m %s %l\\n' | sort && find . -type f -exec sha256sum {} + | sort && rm -r "$folder"`
  return (await system.run('chroot', [system.innerRoot, 'sh', '-c', script])).stdout
}

test.runIf(isRoot && existsSync(name))(
  'the RAM disk that tuning trims is what update-initramfs makes, which still accepts it',
  { timeout: 300_000 },
  () =>
    inCopy(async (system) => {
      const before = await contents(system)
      const tuned = await system.run('chroot', [system.innerRoot, 'sh', '/root/tune.sh', 'initrd-trim'])
      expect(tuned.stdout).toContain('initrd-trim: done')
      // Had it been made anew, update-initramfs would have said so.
      expect(`${tuned.stdout}${tuned.stderr}`).not.toContain('Generating')
      const trimmed = await contents(system)
      expect(trimmed.length).toBeLessThan(before.length)
      await system.run('chroot', [system.innerRoot, 'update-initramfs', '-u', '-k', 'all'])
      expect(await contents(system)).toBe(trimmed)
    }),
)

test.runIf(isRoot && existsSync(name))(
  'what was made ready with the base is what tuning makes, and is taken in the place of just this RAM disk',
  { timeout: 300_000 },
  () =>
    inCopy(async (system, base) => {
      const tune = (...args: string[]) =>
        system.run('chroot', [system.innerRoot, ...args, 'sh', '/root/tune.sh', 'initrd-trim'])
      const ready = join(system.root, 'root/ready')
      await cp(join(base, 'ready'), ready, { recursive: true })
      // A mark, to see that it was taken.
      await appendFile(join(ready, 'initrd'), 'mark')
      await system.run('chroot', [system.innerRoot, 'sh', '-c', 'cp /boot/initrd.img-* /root/before'])
      await tune('env', 'READY=/root/ready')
      expect(await digest(system, '/boot/initrd.img-*')).toBe(await digest(system, '/root/ready/initrd'))
      await system.run('chroot', [system.innerRoot, 'sh', '-c', 'cp /root/before $(ls /boot/initrd.img-*)'])
      await tune()
      await copyFile(join(base, 'ready/initrd'), join(ready, 'initrd'))
      expect(await digest(system, '/boot/initrd.img-*')).toBe(await digest(system, '/root/ready/initrd'))
      // Now the RAM disk is another one than what this was made for.
      await appendFile(join(ready, 'initrd'), 'mark')
      await tune('env', 'READY=/root/ready')
      expect(await digest(system, '/boot/initrd.img-*')).not.toBe(await digest(system, '/root/ready/initrd'))
    }),
)
