import { existsSync } from 'node:fs'
import { copyFile, readFile } from 'node:fs/promises'
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
  async () => {
    await using folder = await tempDir('test-initrd')
    const base = join(cache, 'bases', (await readFile(name, 'utf8')).trim(), 'disk.qcow2')
    const path = join(folder.path, 'disk.qcow2')
    await createOverlay(path, base)
    await using disk = await exposeRaw(context, { path, format: 'qcow2', writable: true, workFolder: folder.path })
    await using system = await mountSystem(context, disk, join(folder.path, 'root'), { writable: true })
    const before = await contents(system)
    const script = new URL('../../bootstrap/tune.sh', import.meta.url).pathname
    await copyFile(script, join(system.root, 'root/tune.sh'))
    const tuned = await system.run('chroot', [system.innerRoot, 'sh', '/root/tune.sh', 'initrd-trim'])
    expect(tuned.stdout).toContain('initrd-trim: done')
    // Had it been made anew, update-initramfs would have said so.
    expect(`${tuned.stdout}${tuned.stderr}`).not.toContain('Generating')
    const trimmed = await contents(system)
    expect(trimmed.length).toBeLessThan(before.length)
    await system.run('chroot', [system.innerRoot, 'update-initramfs', '-u', '-k', 'all'])
    expect(await contents(system)).toBe(trimmed)
  },
)
