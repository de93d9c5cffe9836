import * as fs from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { recall, repeat, Watch } from '../../src/remembered.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'

const dated = 'steps: [{name: dated, type: script, file: dated.sh}]\n'

/** Two recipes: one with nothing to say about it, one with a finding in a script. */
async function project(): Promise<CliHome> {
  const home = await cliHome()
  for (const name of ['good', 'dated']) await mkdir(join(home.cwd, 'recipes', name), { recursive: true })
  await writeFile(join(home.cwd, 'recipes/good/recipe.yaml'), "steps: [{name: a, type: script, run: 'true'}]\n")
  await writeFile(join(home.cwd, 'recipes/dated/recipe.yaml'), dated)
  await writeFile(join(home.cwd, 'recipes/dated/dated.sh'), 'date >/etc/stamp\n')
  return home
}

function answersOf(home: CliHome): string {
  return join(home.env['PARBAKE_CACHE'] ?? '', 'lint', 'answers')
}

async function kept(home: CliHome): Promise<readonly string[]> {
  return readdir(answersOf(home)).catch(() => [])
}

const afresh = (args: readonly string[], home: CliHome) =>
  runCli(args, { ...home, env: { ...home.env, NODE_DISABLE_COMPILE_CACHE: '1' } })

/** Runs until the answer is kept: what changed within a tick of the clock, and what shellcheck has to see, is not at once. */
async function untilKept(args: readonly string[], home: CliHome): Promise<string> {
  const before = await kept(home)
  for (let tries = 0; tries < 20; tries += 1) {
    await runCli(args, home)
    const added = (await kept(home)).find((name) => !before.includes(name))
    if (added !== undefined) return join(answersOf(home), added)
  }
  throw new Error('the answer was never kept')
}

/** Puts a word into what is remembered that no check says. */
async function mark(path: string): Promise<void> {
  const memory = JSON.parse(await readFile(path, 'utf8')) as object
  await writeFile(path, JSON.stringify({ ...memory, said: [[1, 'from memory\n']] }))
}

test.each<[readonly string[], number]>([
  [['check'], 0],
  [['check', '--json'], 0],
  [['check', '--strict'], 2],
  [['check', '--strict', '--json', 'recipes/dated'], 2],
  [['check', '--hints', '--only', 'bakes-time'], 0],
])('%j is said again word by word', async (args, exitCode) => {
  await using home = await project()
  const full = await afresh(args, home)
  expect(full.exitCode).toBe(exitCode)
  expect(`${full.stdout}${full.stderr}`).toContain('bakes-time')
  const path = await untilKept(args, home)
  expect(await runCli(args, home)).toEqual(full)
  await mark(path)
  expect(await runCli(args, home)).toEqual({ exitCode, stdout: 'from memory\n', stderr: '' })
})

describe('is not said again after a change of', () => {
  const editSameSize = async ({ cwd }: CliHome) => {
    const path = join(cwd, 'recipes/dated/dated.sh')
    const { atime, mtime } = await stat(path)
    await writeFile(path, 'data >/etc/stamp\n')
    await utimes(path, atime, mtime)
  }
  test.each<[string, (home: CliHome) => Promise<unknown>, Readonly<Record<string, string>>?]>([
    ['a script, of the same size and time', editSameSize],
    [
      'a recipe',
      ({ cwd }) => writeFile(join(cwd, 'recipes/good/recipe.yaml'), dated.replace(/file: .*\}/, "run: ':'}")),
    ],
    ['what recipes there are', ({ cwd }) => rename(join(cwd, 'recipes/good'), join(cwd, 'recipes/better'))],
    ['a script that is gone', ({ cwd }) => rm(join(cwd, 'recipes/dated/dated.sh'))],
    [
      'a script that is behind a link out of the recipe',
      async ({ cwd }) => {
        await rename(join(cwd, 'recipes/dated/dated.sh'), join(cwd, 'moved.sh'))
        await symlink('../../moved.sh', join(cwd, 'recipes/dated/dated.sh'))
      },
    ],
    [
      'the configuration',
      ({ cwd }) => writeFile(join(cwd, 'parbake.yaml'), 'check: {allow: {bakes-time: it may be old}}\n'),
    ],
    ['the environment', async () => {}, { XDG_STATE_HOME: '/elsewhere', PARBAKE_STATE: '/elsewhere' }],
    ['the programs there are', async () => {}, { PATH: '/nowhere' }],
  ])('%s', async (_, change, env = {}) => {
    await using home = await project()
    await mark(await untilKept(['check'], home))
    expect((await runCli(['check'], home)).stdout).toBe('from memory\n')
    await change(home)
    const changed = { ...home, env: { ...home.env, ...env } }
    expect(await runCli(['check'], changed)).toEqual(await afresh(['check'], changed))
  })

  test('the words, or the place', async () => {
    await using home = await project()
    await mark(await untilKept(['check'], home))
    for (const args of [
      ['check', '--hints'],
      ['check', 'recipes/good'],
      ['check', '--env', 'none'],
    ]) {
      expect((await runCli(args, home)).stdout).not.toBe('from memory\n')
    }
    expect((await runCli(['check'], { ...home, cwd: join(home.cwd, 'recipes/good') })).stdout).toBe('.: ok, 1 step\n')
  })
})

test('what is torn, or could be written by others, is not said', async () => {
  await using home = await project()
  const full = await afresh(['check'], home)
  const path = await untilKept(['check'], home)
  await mark(path)
  fs.chmodSync(path, 0o622)
  expect(await runCli(['check'], home)).toEqual(full)
  await truncate(path, 100)
  expect(await runCli(['check'], home)).toEqual(full)
})

describe('a watch', () => {
  const argv = ['node', 'parbake', 'check']
  let dir: TempDir
  let file: string
  const old = new Date(Date.now() - 10_000)

  beforeEach(async () => {
    dir = await tempDir('watch-test')
    file = join(dir.path, 'file')
    await writeFile(file, 'a')
    // Changes of links and modes are told by a time that nobody can set.
    await new Promise((resolve) => setTimeout(resolve, 60))
    return () => dir[Symbol.asyncDispose]()
  })

  async function watched(run: (files: typeof fs, watch: Watch) => unknown, exitCode = 0): Promise<boolean> {
    const watch = new Watch(dir.path, argv, file)
    await watch.during(async () => {
      await run(watch.watched('node:fs', fs), watch)
      return exitCode
    })
    watch.keep()
    return recall(dir.path, argv) !== undefined
  }

  test('keeps what only looks, and says the same', async () => {
    const said = await watched((files) => {
      process.stderr.write(`${files.readFileSync(file, 'utf8')}\n`)
      process.stdout.write(`${files.existsSync(`${file}.not`)}\n`)
    }, 2)
    expect(said).toBe(true)
    const answer = recall(dir.path, argv)
    expect(answer).toMatchObject({
      exitCode: 2,
      said: [
        [2, 'a\n'],
        [1, 'false\n'],
      ],
    })
    expect(recall(dir.path, [...argv, '--strict'])).toBeUndefined()
    expect(answer === undefined ? undefined : repeat(answer)).toBe(2)
    await writeFile(`${file}.not`, '')
    expect(recall(dir.path, argv)).toBeUndefined()
  })

  test.each<[string, (files: typeof fs, watch: Watch) => unknown, number?]>([
    ['writes', (files) => files.writeFileSync(`${file}.new`, '')],
    ['opens', (files) => files.closeSync(files.openSync(file, 'r'))],
    ['writes by promises', (files) => files.promises.writeFile(`${file}.new`, '')],
    ['looks at what is no path', (files) => files.existsSync(Buffer.from(file))],
    ['reads all of the environment', () => ({ ...process.env })],
    ['writes bytes', () => process.stdout.write(new Uint8Array(0))],
    ['starts programs', (_, watch) => watch.watched('../system/run.js', { run: () => {} }).run()],
    ['ends by a bug', () => {}, 70],
    ['is interrupted', () => {}, 130],
    ['looks at what has just been changed', (files) => (fs.writeFileSync(file, 'b'), files.readFileSync(file))],
    ['looks at what changes meanwhile', (files) => (files.statSync(file), fs.writeFileSync(file, 'bb'))],
    [
      'looks at what changed in this second, where the clock has no more',
      async (files) => {
        await utimes(file, old, Math.floor(Date.now() / 1000))
        files.readFileSync(file)
      },
    ],
  ])('does not keep what %s', async (_, run, exitCode) => {
    expect(await watched(run, exitCode)).toBe(false)
  })

  test('tells a link from what it leads to', async () => {
    const link = `${file}.link`
    await symlink(file, link)
    await new Promise((resolve) => setTimeout(resolve, 60))
    const look = (files: typeof fs) => [files.lstatSync(link), files.realpathSync(file)]
    expect(await watched(look)).toBe(true)
    await rm(link)
    await symlink(file, link)
    expect(recall(dir.path, argv)).toBeUndefined()
  })

  test('keeps the newest of many', async () => {
    const keepOf = async (word: string) => {
      const watch = new Watch(dir.path, [...argv, word], file)
      await watch.during(async () => 0)
      watch.keep()
    }
    for (let index = 0; index < 60; index += 1) await keepOf(`recipe-${index}`)
    expect(await readdir(join(dir.path, 'lint/answers'))).toHaveLength(50)
    expect(recall(dir.path, [...argv, 'recipe-0'])).toBeUndefined()
    expect(recall(dir.path, [...argv, 'recipe-59'])).toBeDefined()
  })
})
