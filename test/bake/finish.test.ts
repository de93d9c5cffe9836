import { open, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { finishDisk } from '../../src/bake/finish.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { signingKey } from '../support/agent.ts'
import { busyboxTree, isRoot, testContext } from '../seal/support.ts'
import { bakeJob } from './vm-job.ts'

const mib = 1024 * 1024

// The kernel gives freed blocks back a moment after it has written that they are free; a trim in that moment leaves them.
test.runIf(isRoot)('what a trim of a raw disk has missed is not in the image', async () => {
  await using folder = await tempDir('finish')
  const tree = join(folder.path, 'tree')
  await busyboxTree(tree)
  const disk = join(folder.path, 'disk.raw')
  await writeFile(disk, '')
  await truncate(disk, 66 * mib)
  await run('sfdisk', ['-q', disk], { input: 'label: dos\nstart=2048, size=131072, type=83\n' })
  await run('mke2fs', ['-q', '-t', 'ext4', '-b', '4096', '-E', `offset=${mib}`, '-d', tree, disk, '64M'])
  const deleted = Buffer.from('deleted a moment ago\n'.repeat(40))
  const file = await open(disk, 'r+')
  // The last block of the file system, which nothing uses.
  await file.write(deleted, 0, deleted.length, 65 * mib - 4096)
  await file.close()
  const base = join(folder.path, 'base.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', base, '66M'])
  const context = testContext()
  const job = await bakeJob({ name: 'tiny', digest: sha256('tiny'), path: base }, [])
  const target = join(folder.path, 'image.qcow2')
  const { look } = await finishDisk(
    { ...context, config: { ...context.config, cacheDir: join(folder.path, 'cache') } },
    {
      job,
      sealed: { path: disk, format: 'raw' },
      thin: false,
      target,
      needles: [],
      signingKey: signingKey(),
      work: folder.path,
    },
  )
  expect(look.findings).toEqual([])
  const back = join(folder.path, 'back.raw')
  await run('qemu-img', ['convert', '-O', 'raw', target, back])
  expect((await readFile(back)).includes('deleted a moment ago')).toBe(false)
})
