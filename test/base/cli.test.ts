import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../../src/system/run.ts'
import { needTool } from '../../src/system/tools.ts'
import { cliHome, runCli } from '../support/cli.ts'

test('an imported image is listed and shown with its layout, its age and updates as unknown', async () => {
  await using home = await cliHome()
  const disk = join(home.cwd, 'disk.raw')
  await writeFile(disk, '')
  await truncate(disk, 16 * 1024 ** 2)
  await run(await needTool('sfdisk'), ['--quiet', '--no-reread', '--no-tell-kernel', disk], {
    input: 'label: gpt\nstart=2048, size=16384, type=linux, name=system\n',
  })
  await run(await needTool('mke2fs'), [
    ...['-q', '-F', '-t', 'ext4', '-L', 'here', '-U', '01234567-89ab-4def-8123-456789abcdef'],
    ...['-E', `offset=${1024 ** 2}`, disk, '8192k'],
  ])
  const imported = await runCli(['base', 'import', disk, '--name', 'mine'], home)
  expect(imported).toMatchObject({ exitCode: 0 })

  const shown = await runCli(['base', 'show', 'mine'], home)
  expect(shown.exitCode).toBe(0)
  expect(shown.stdout).toMatch(/^age +unknown \(taken in 20/m)
  expect(shown.stdout).toMatch(/^boot +no boot loader was found$/m)
  expect(shown.stdout).toMatch(/^updates +unknown: imported images bring no list of packages$/m)
  expect(shown.stdout).toMatch(/^ *1 +1\.0 MiB +8\.0 MiB +ext4, root +here +01234567-89ab-4def-8123-456789abcdef$/m)

  const listed = await runCli(['base', 'list', '--json'], home)
  expect(JSON.parse(listed.stdout)).toMatchObject([
    {
      ...{ name: 'mine', rootPartition: 1, boot: [] },
      layout: { table: 'gpt', partitions: [{ number: 1, name: 'system', fs: { type: 'ext4', label: 'here' } }] },
      freshness: { maxAgeDays: 30, tooOld: false, pending: { known: false } },
    },
  ])
  const table = await runCli(['base', 'list'], home)
  expect(table.stdout).toMatch(/^mine .* unknown +unknown: imported images/m)
})

test('a base that is not there says how to get it; a bad definition says where it is wrong', async () => {
  await using home = await cliHome()
  expect(await runCli(['base', 'show'], home)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("run 'parbake base build debian-12'") as string,
  })
  await writeFile(join(home.cwd, 'mine.yaml'), 'extends: debian-12\nsuit: x\n')
  expect(await runCli(['base', 'build', 'mine.yaml'], home)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringMatching(
      /^parbake: mine\.yaml:2:1: unknown key 'suit'\n    suit: x\n    \^\n  did you mean 'suite'\?/,
    ) as string,
  })
})
