import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'

const tuneScript = fileURLToPath(new URL('../../bootstrap/tune.sh', import.meta.url))

/** Sizes in sectors: of the disk, and of its partitions by name. */
interface Blocks {
  readonly disk: { readonly name: string; readonly size: number }
  readonly partitions: Readonly<Record<string, Readonly<Record<'start' | 'size', number>>>>
}

/** What the stand-in for growpart says where the kernel shows these block devices; `real` where it hands over. */
async function ask(blocks: Blocks, ...argument: readonly string[]) {
  await using folder = await tempDir('growpart')
  const sizes = new Map<string, Readonly<Record<string, number>>>([
    [blocks.disk.name, { size: blocks.disk.size }],
    ...Object.entries(blocks.partitions),
  ])
  for (const [name, entries] of sizes) {
    await mkdir(join(folder.path, name))
    for (const [key, value] of Object.entries(entries)) await writeFile(join(folder.path, name, key), `${value}\n`)
  }
  const text = await readFile(tuneScript, 'utf8')
  const script = /<<'END' \|\| return\n(#!\/bin\/sh\n# Stands before growpart[^]*?)\nEND\n/.exec(text)?.[1] ?? ''
  const here = script.replace('/sys/class/block', folder.path).replace('exec /usr/bin/growpart', 'echo real')
  expect(here).toContain(folder.path)
  const { exitCode, stdout } = await run('sh', ['-c', here, 'growpart', ...argument], { allowFailure: true })
  return { exitCode, stdout: stdout.trim() }
}

const vda = (size: number) => ({
  disk: { name: 'vda', size },
  partitions: { vda1: { start: 2048, size: 100_000 } },
})
const real = (...argument: readonly string[]) => ({ exitCode: 0, stdout: `real ${argument.join(' ')}` })
const full = { exitCode: 1, stdout: 'NOCHANGE: partition 1 is size 100000. it cannot be grown' }

describe('the stand-in for growpart', () => {
  it.each([
    ['no sector is free', 102_048, full],
    ['less than 1 MiB is free', 102_048 + 2047, full],
    ['1 MiB is free', 102_048 + 2048, real('--dry-run', '/dev/vda', '1')],
  ])('where %s', async (_, size, expected) => {
    expect(await ask(vda(size), '--dry-run', '/dev/vda', '1')).toEqual(expected)
  })

  it('knows disks whose partitions have a p', async () => {
    const nvme = { disk: { name: 'nvme0n1', size: 102_048 }, partitions: { nvme0n1p1: { start: 2048, size: 100_000 } } }
    expect(await ask(nvme, '--dry-run', '/dev/nvme0n1', '1')).toEqual(full)
  })

  it.each([
    ['another question', ['--help']],
    ['to grow', ['/dev/vda', '1']],
    ['a partition that is not there', ['--dry-run', '/dev/vda', '2']],
    ['a disk by another name', ['--dry-run', '/dev/disk/by-id/x', '1']],
  ])('hands over %s', async (_, argument) => {
    expect(await ask(vda(102_048), ...argument)).toEqual(real(...argument))
  })
})
