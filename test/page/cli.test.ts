import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { keys } from '../../src/store/keys.ts'
import { cliHome, runCli } from '../support/cli.ts'
import { writeFleet } from './fleet.ts'

describe('parbake report', () => {
  test('writes report.html and says so', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 3 })
    const result = await runCli(['report', 'recipes/web'], home)
    expect(result).toMatchObject({ exitCode: 0, stderr: '' })
    expect(result.stdout).toMatch(/^report\.html {2}\(\d+ KiB; open it in a browser\)\n$/)
    expect(await readFile(join(home.cwd, 'report.html'), 'utf8')).toMatch(/^<!doctype html>/i)
  })

  test('writes to stdout with -o -', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 2 })
    const result = await runCli(['report', 'recipes/web', '-o', '-'], home)
    expect(result).toMatchObject({ exitCode: 0, stderr: '' })
    expect(result.stdout).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/i)
  })

  test('with --json prints the data and writes no file', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 2 })
    const result = await runCli(['report', 'recipes/web', '--json'], home)
    expect(result.exitCode).toBe(0)
    expect(JSON.parse(result.stdout)).toMatchObject({ v: 1, recipe: 'web' })
    await expect(readFile(join(home.cwd, 'report.html'))).rejects.toThrow('ENOENT')
  })

  test('says what to do where nothing was reported yet', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 0, withoutImages: true })
    expect(await runCli(['report', 'recipes/web'], home)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'parbake: no reports for web\n  launch it first: parbake launch recipes/web\n',
    })
  })

  test('says where it cannot write', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 1, withoutImages: true })
    await writeFile(join(home.cwd, 'file'), '')
    const result = await runCli(['report', 'recipes/web', '-o', 'file/page.html'], home)
    expect(result).toMatchObject({ exitCode: 1, stdout: '' })
    expect(result.stderr).toMatch(/^parbake: cannot write the report to file\/page\.html: /)
  })

  test.each([
    [['--serve', '-o', 'x.html'], '--serve writes no file'],
    [['--json', '-o', '-'], 'both want stdout'],
    [['--port', '80'], '--port is for --serve'],
    [['--serve', '--port', '70000'], 'A port is 0 to 65535.'],
  ])('refuses %j', async (options, message) => {
    await using home = await cliHome()
    const result = await runCli(['report', 'recipes/web', ...options], home)
    expect(result).toMatchObject({ exitCode: 2, stdout: '' })
    expect(result.stderr).toContain(message)
  })

  test('leaves out an image with a broken manifest, and trusts no channel that is not signed', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 20 })
    const store = openDirectoryStore(join(home.env['PARBAKE_STATE'] ?? '', 'store'))
    await store.put(keys.imageFile('web', 'broken', 'manifest.json'), '{"v":1}')
    await store.put(keys.imageChannel('web', 'stable'), 'parbake-image-channel 1\n')
    store.close()
    const result = await runCli(['report', 'recipes/web', '--json'], home)
    expect(result.exitCode).toBe(0)
    const { images } = JSON.parse(result.stdout) as { images: { current: boolean }[] }
    expect(images.map(({ current }) => current)).toEqual([false, false])
    expect(result.stderr).toContain('an image is left out')
    expect(result.stderr).toContain('no image counts as the current one')
  })
})
