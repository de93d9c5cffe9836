import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkEngines, checkTool, judgeSpace } from '../../src/doctor/diagnose.ts'
import { diagnosisOf } from '../../src/doctor/model.ts'
import { tempDir } from '../../src/system/temp.ts'
import { findTool, missingTool, needTool, parseVersion, probeTool, toolSpecs } from '../../src/system/tools.ts'

test.each([
  ['QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)', '7.2.22'],
  ['mke2fs 1.47.0 (5-Feb-2023)\n\tUsing EXT2FS Library version 1.47.0', '1.47.0'],
  ['grub-mkimage (GRUB) 2.06-13+deb12u2', '2.06-13+deb12u2'],
  ['tar (GNU tar) 1.34\n', '1.34'],
  ['nothing of the kind', undefined],
])('parseVersion(%j)', (text, expected) => {
  expect(parseVersion(text)).toBe(expected)
})

test('a tool is found on PATH only if it is an executable file', async () => {
  await using folder = await tempDir('test-tools')
  const tool = join(folder.path, 'parbake-test-tool')
  expect(await findTool('parbake-test-tool', folder.path)).toBeUndefined()
  await writeFile(tool, '#!/bin/sh\necho tool version 1.2.3 >&2\nexit 3\n')
  expect(await findTool('parbake-test-tool', folder.path)).toBeUndefined()
  await chmod(tool, 0o755)
  expect(await findTool('parbake-test-tool', `:${folder.path}`)).toBe(tool)
})

test('programs in sbin are found without a PATH', async () => {
  expect(await findTool('mke2fs', '')).toMatch(/sbin\/mke2fs$/)
})

test('a missing tool names its purpose and its package', async () => {
  expect(missingTool('qemu-img')).toMatchObject({
    message: "'qemu-img' was not found, which is needed to create and convert disk images",
    hint: 'install it: apt-get install qemu-utils (on Debian and Ubuntu)',
  })
  await expect(needTool('parbake-no-such-tool', 'test this')).rejects.toThrow(
    "'parbake-no-such-tool' was not found, which is needed to test this",
  )
})

test('every tool of the table that is here tells its version', async () => {
  for (const spec of toolSpecs) {
    const found = await probeTool(spec)
    if (found.path !== undefined) expect(`${spec.name} ${found.version}`).toMatch(/^\S+ \d/)
  }
})

test('findings: a missing tool, its engine, little space', () => {
  const [qemu] = toolSpecs
  expect(checkTool(qemu!, { name: qemu!.name, path: undefined, version: undefined })).toMatchObject({
    state: 'missing',
    hint: 'apt-get install qemu-system-x86',
  })
  const nspawn = { name: 'systemd-nspawn', neededFor: 'container' } as const
  const states = (missing: Parameters<typeof checkEngines>[0], asRoot: boolean) =>
    checkEngines(missing, asRoot).map((check) => check.state)
  expect(states([qemu!], true)).toEqual(['missing', 'ok'])
  expect(states([nspawn], true)).toEqual(['ok', 'note'])
  expect(states([], true)).toEqual(['ok', 'ok'])
  expect(states([], false)).toEqual(['ok', 'note'])
  expect([1, 5, 50].map((gib) => judgeSpace(gib * 1024 ** 3, '/cache').state)).toEqual(['missing', 'note', 'ok'])
  expect(diagnosisOf(checkEngines([])).ok).toBe(true)
  expect(diagnosisOf(checkEngines([qemu!])).ok).toBe(false)
})
