import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentReporter } from '../../src/report/reporters.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { writeDataIso, writeSeedIso } from '../../src/vm/seed.ts'

const context = { reporter: silentReporter, signal: new AbortController().signal }

async function unpack(iso: string, folder: string): Promise<string> {
  await run('xorriso', ['-osirrox', 'on', '-indev', iso, '-extract', '/', folder])
  const { stdout, stderr } = await run('xorriso', ['-indev', iso, '-pvd_info'])
  return /Volume Id\s*:\s*(.*)/.exec(stdout + stderr)?.[1]?.trim() ?? ''
}

test('a seed has cloud-init’s label and documents, and only those given', async () => {
  await using folder = await tempDir('test-seed')
  const iso = join(folder.path, 'seed.iso')
  const out = join(folder.path, 'out')
  await writeFile(iso, 'an older one')
  await writeSeedIso(iso, { userData: '#cloud-config\n', metaData: 'instance-id: i-1\n' }, context)
  expect(await unpack(iso, out)).toBe('cidata')
  expect(await readFile(join(out, 'user-data'), 'utf8')).toBe('#cloud-config\n')
  expect(await readFile(join(out, 'meta-data'), 'utf8')).toBe('instance-id: i-1\n')
  await expect(readFile(join(out, 'network-config'))).rejects.toThrow()
})

test('a data disk keeps long names and content', async () => {
  await using folder = await tempDir('test-data')
  const name = 'a-rather-long-name.with.many.dots.tar.gz'
  const source = join(folder.path, 'source')
  await mkdir(join(source, 'sub'), { recursive: true })
  await writeFile(join(source, 'sub', name), 'content')
  const iso = join(folder.path, 'data.iso')
  await writeDataIso(iso, source, 'PARBAKE', context)
  const out = join(folder.path, 'out')
  expect(await unpack(iso, out)).toBe('PARBAKE')
  expect(await readFile(join(out, 'sub', name), 'utf8')).toBe('content')
})
