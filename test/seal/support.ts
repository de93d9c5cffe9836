import { copyFile, lstat, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Context } from '../../src/context.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { expandBraces } from '../../src/seal/glob.ts'
import type { SealEntry } from '../../src/seal/list.ts'
import { run } from '../../src/system/run.ts'

/** What acts on file systems in these tests: mount, chroot, losetup. */
export const isRoot = process.getuid?.() === 0

export function testContext(): Context {
  return { config: {} as Context['config'], reporter: silentReporter, signal: new AbortController().signal }
}

/** A system of nothing but busybox, small enough to be made for every test. */
export async function busyboxTree(root: string): Promise<void> {
  const busybox = (await run('sh', ['-c', 'command -v busybox'])).stdout.trim()
  const libraries = (await run('ldd', [busybox], { allowFailure: true })).stdout.matchAll(/(\/\S+) \(0x/g)
  for (const path of [...libraries].map((match) => match[1] ?? '')) {
    await mkdir(join(root, dirname(path)), { recursive: true })
    await copyFile(path, join(root, path))
  }
  for (const folder of [
    'bin',
    'dev',
    'etc',
    'home/someone',
    'proc',
    'root',
    'run',
    'srv/app',
    'tmp',
    'usr',
    'var/log',
  ]) {
    await mkdir(join(root, folder), { recursive: true })
  }
  await copyFile(busybox, join(root, 'bin/busybox'))
  for (const applet of (await run(busybox, ['--list'])).stdout
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox')) {
    await symlink('busybox', join(root, 'bin', applet))
  }
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:900:900::/srv/app:/bin/sh\n')
  await writeFile(join(root, 'etc/os-release'), 'ID=busybox\n')
  await writeFile(join(root, 'etc/fstab'), '/dev/vda1 / ext4 defaults 0 1\n')
  await writeFile(join(root, 'etc/hosts'), '127.0.0.1 localhost\n')
}

/** Paths that a glob of the seal list matches, one for every alternative. */
export function samplePaths(glob: string): readonly string[] {
  return expandBraces(glob).map((plain) =>
    plain
      .replace(/^~/, '/srv/app')
      .replaceAll('[a-zA-Z=]', 'a')
      .replaceAll('[0-9a-f]', '0')
      .replaceAll('[0-9]', '1')
      .replaceAll('/**/', '/some/deep/')
      .replaceAll('**', 'some/deep/x7')
      .replaceAll('*', plain.endsWith('/*') ? '.x7' : 'x7'),
  )
}

/** Puts a trace where an entry of the list says that there must be none; what is there already serves as well. */
export async function plantEntry(root: string, entry: SealEntry): Promise<readonly string[]> {
  const { must } = entry
  const text = must.kind === 'without' ? must.sample : must.kind === 'is' ? 'baked-here\n' : 'trace\n'
  const paths = entry.paths.flatMap(samplePaths)
  for (const path of paths) {
    const found = await lstat(join(root, path)).catch(() => undefined)
    if (found?.isDirectory() === true) continue
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return paths
}

/** Deeper paths first, so that a folder is never planted as a file. */
export function byDepth(entries: readonly SealEntry[]): readonly SealEntry[] {
  const depth = ({ paths }: SealEntry) => Math.max(...paths.flatMap(samplePaths).map((path) => path.split('/').length))
  return entries.toSorted((a, b) => depth(b) - depth(a))
}
