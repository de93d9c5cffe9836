import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { tempDir } from '../../src/system/temp.ts'
import { findUefiFiles } from '../../src/vm/firmware.ts'

const small = ['usr/share/OVMF/OVMF_CODE.fd', 'usr/share/OVMF/OVMF_VARS.fd']
const large = ['usr/share/OVMF/OVMF_CODE_4M.fd', 'usr/share/OVMF/OVMF_VARS_4M.fd']

test.each<[string, readonly string[], readonly string[]]>([
  ['the larger flash first', [...small, ...large], large],
  ['the smaller where there is no other', small, small],
  ['no code without its variables', [large[0] ?? '', ...small], small],
])('OVMF: %s', async (_name, files, [code, vars]) => {
  await using root = await tempDir('test-ovmf')
  for (const file of files) {
    await mkdir(dirname(join(root.path, file)), { recursive: true })
    await writeFile(join(root.path, file), '')
  }
  expect(await findUefiFiles(root.path)).toEqual({
    code: join(root.path, code ?? ''),
    vars: join(root.path, vars ?? ''),
  })
})

test('without OVMF, the package is named', async () => {
  await using root = await tempDir('test-ovmf')
  await expect(findUefiFiles(root.path)).rejects.toMatchObject({
    code: 'tool-missing',
    hint: expect.stringContaining('apt-get install ovmf') as string,
  })
})
