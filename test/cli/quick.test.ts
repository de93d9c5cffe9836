import { chmod, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'

const yaml = "name: one\nparams: {a: b}\nsteps: [{name: a, type: script, run: 'true', env: {A: '{{a}}'}}]\n"

function compiledFolder(home: CliHome): string {
  return join(home.env['PARBAKE_CACHE'] ?? '', 'compiled')
}

async function compiled(home: CliHome): Promise<readonly string[]> {
  return readdir(compiledFolder(home)).catch(() => [])
}

test('a command leaves what was compiled for the next process, for its owner alone', async () => {
  await using home = await cliHome()
  await writeFile(join(home.cwd, 'recipe.yaml'), yaml)
  const first = await runCli(['check'], home)
  expect(first).toEqual({ exitCode: 0, stdout: '.: ok, 1 step\n', stderr: '' })
  const [name, ...others] = await compiled(home)
  expect(name).toMatch(/^check-v/)
  expect(others).toEqual([])
  const path = join(compiledFolder(home), name ?? '')
  const { mode, mtimeMs } = await stat(path)
  expect(mode & 0o777).toBe(0o600)
  expect(await runCli(['check'], home)).toEqual(first)
  expect((await stat(path)).mtimeMs).toBe(mtimeMs)
})

test('what is damaged, or could be written by others, is not used', async () => {
  await using home = await cliHome()
  await writeFile(join(home.cwd, 'recipe.yaml'), yaml)
  const first = await runCli(['check'], home)
  const path = join(compiledFolder(home), (await compiled(home))[0] ?? '')
  const { size } = await stat(path)
  await truncate(path, 1000)
  // In other words, for what was said to these is remembered.
  expect(await runCli(['check', '--hints'], home)).toEqual(first)
  expect((await stat(path)).size).toBeGreaterThan(size / 2)
  await writeFile(path, 'not written by this user alone')
  await chmod(path, 0o666)
  expect(await runCli(['check', '--quiet'], home)).toEqual(first)
  expect(await readFile(path, 'latin1')).not.toContain('not written')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})

test('it can be turned off, and a home that cannot be written is no failure', async () => {
  await using home = await cliHome()
  await writeFile(join(home.cwd, 'recipe.yaml'), yaml)
  const expected = { exitCode: 0, stdout: '.: ok, 1 step\n', stderr: '' }
  const off = { NODE_DISABLE_COMPILE_CACHE: '1' }
  expect(await runCli(['check'], { ...home, env: { ...home.env, ...off } })).toEqual(expected)
  expect(await compiled(home)).toEqual([])
  // Below a file there can be no folder.
  const nowhere = { PARBAKE_CACHE: join(home.cwd, 'recipe.yaml', 'cache') }
  expect((await runCli(['user-data', 'x'], { ...home, env: { ...home.env, ...nowhere } })).exitCode).toBe(2)
})

test('errors of modules outside of the bundle are told as those inside', async () => {
  await using home = await cliHome()
  const commit = 'a'.repeat(40)
  await writeFile(join(home.cwd, 'recipe.yaml'), `name: one\nextends: [{git: /nowhere/at/all, commit: ${commit}}]\n`)
  const { exitCode, stderr } = await runCli(['check'], home)
  expect(stderr).toContain('recipe.yaml:2:11: extends[0] cannot be fetched: cannot fetch /nowhere/at/all')
  expect(exitCode).toBe(2)
})

test('the version is told without loading a command', async () => {
  await using home = await cliHome()
  const { exitCode, stdout } = await runCli(['--version'], home)
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string })
})
