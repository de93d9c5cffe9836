import { readdir, readFile, writeFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { cliHome, runCli } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'

const originals = join(repository, 'test', 'fixtures', 'import')

/** `npx vitest run --project unit test/import/cli.test.ts -u` writes the files beside this one anew. */
describe('what comes of an original', () => {
  test.each([
    ['web-host.yaml', 'cloud-config'],
    ['notes-app.sh', 'shell'],
    ['packer/site.pkr.hcl', 'packer'],
    ['packer/site.json', 'packer'],
  ])('%s', async (original, format) => {
    await using home = await cliHome()
    const file = join(originals, original)
    const { exitCode, stdout, stderr } = await runCli(['import', file, '-o', 'out'], home)
    expect([exitCode, stdout]).toEqual([0, ''])
    const golden = join('golden', original.replaceAll(/[/.]/g, '-'))
    await expect(stderr.replaceAll(file, original)).toMatchFileSnapshot(`${golden}.txt`)
    await expect(await readFile(join(home.cwd, 'out', 'recipe.yaml'), 'utf8')).toMatchFileSnapshot(`${golden}.yaml`)
    const checked = await runCli(['check', 'out'], home)
    expect([checked.exitCode, checked.stderr.includes('no-errexit')]).toEqual([0, false])
    const json = await runCli(['import', file, '--dry-run', '--json'], home)
    const { format: told, written, steps } = JSON.parse(json.stdout) as Record<string, unknown>
    expect([told, written]).toEqual([format, false])
    expect(checked.stdout).toContain(`${(steps as readonly string[]).length} steps`)
  })

  test('the example for people has about 200 lines, so that it is worth its name', async () => {
    const lines = (await readFile(join(originals, 'web-host.yaml'), 'utf8')).split('\n').length
    expect(lines).toBeGreaterThan(190)
  })
})

const small = '#cloud-config\nruncmd: [ls]\nfinal_message: up\n'

test('a folder in use is left alone, unless told otherwise', async () => {
  await using home = await cliHome()
  await writeFile(join(home.cwd, 'user-data'), small)
  await mkdir(join(home.cwd, 'user-data.d', 'scripts'), { recursive: true })
  await writeFile(join(home.cwd, 'user-data.d', 'scripts', 'old.sh'), '')
  await writeFile(join(home.cwd, 'user-data.d', 'mine'), '')
  const refused = await runCli(['import', 'user-data', '-o', 'user-data.d'], home)
  expect(refused.exitCode).toBe(2)
  expect(refused.stderr).toContain('the folder user-data.d is not empty')
  const forced = await runCli(['import', 'user-data', '-o', 'user-data.d', '--force', '--name', 'My Host'], home)
  expect(forced.exitCode).toBe(0)
  expect((await readdir(join(home.cwd, 'user-data.d'))).toSorted()).toEqual(['mine', 'recipe.yaml'])
  expect(await readFile(join(home.cwd, 'user-data.d', 'recipe.yaml'), 'utf8')).toContain('\nname: my-host\n')
})

test('--strict fails where anything is not carried over, after all is written', async () => {
  await using home = await cliHome()
  await writeFile(join(home.cwd, 'a.yaml'), small)
  const strict = await runCli(['import', 'a.yaml', '--strict'], home)
  expect(strict.exitCode).toBe(1)
  expect(strict.stderr).toContain('1 thing was not carried over')
  expect(await readdir(join(home.cwd, 'a'))).toEqual(['recipe.yaml'])
  await writeFile(join(home.cwd, 'b.yaml'), '#cloud-config\nruncmd: [ls]\n')
  expect((await runCli(['import', 'b.yaml', '--strict'], home)).exitCode).toBe(0)
})

test('--dry-run prints the recipe and writes nothing', async () => {
  await using home = await cliHome()
  await writeFile(join(home.cwd, 'a.yaml'), gzipSync(small))
  const { exitCode, stdout } = await runCli(['import', 'a.yaml', '--dry-run'], home)
  expect(exitCode).toBe(0)
  expect(stdout).toContain('# - line 3, final_message:')
  expect(await readdir(home.cwd)).toEqual(['a.yaml'])
})

test.each([
  ['nothing to do', '#cloud-config\nfinal_message: up\n', 'holds nothing that a recipe could do'],
  ['no format', 'hello\n', 'a.txt:1:1: cannot tell what this is'],
  ['bad YAML', '#cloud-config\na: [\n', 'a.txt:3:1: bad YAML'],
  ['a list', '#cloud-config\n- a\n', 'a.txt:2:1: a cloud-config document must be a mapping'],
  ['no text', Buffer.from([0xff, 0xfe, 0x00]), 'a.txt is no UTF-8 text'],
])('%s is an error', async (_, text, wanted) => {
  await using home = await cliHome()
  await writeFile(join(home.cwd, 'a.txt'), text)
  const { exitCode, stderr } = await runCli(['import', 'a.txt'], home)
  expect(exitCode).toBe(2)
  expect(stderr).toContain(wanted)
})
