import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { cliHome, collect, type CliHome } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'

const good = { numPassedTests: 3, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] }

interface Fakes {
  readonly oxlint?: string
  /** A shell line; `$out` is where the JSON result belongs. */
  readonly vitest?: string
}

/** A checkout's outline in which every tool is a stand-in. */
async function outline(home: CliHome, fakes: Fakes): Promise<string> {
  const bin = join(home.cwd, 'node_modules', '.bin')
  await mkdir(bin, { recursive: true })
  await mkdir(join(home.cwd, '.ci'))
  await cp(join(repository, '.ci', 'test.mjs'), join(home.cwd, '.ci', 'test.mjs'))
  const vitest = fakes.vitest ?? `echo '${JSON.stringify(good)}' > "$out"`
  const lines: Record<string, string> = {
    oxfmt: 'exit 0',
    oxlint: fakes.oxlint ?? 'exit 0',
    tsc: 'exit 0',
    shellcheck: 'exit 0',
    vitest: `for a; do case $a in --outputFile.json=*) out=\${a#*=} ;; esac; done\n${vitest}`,
  }
  for (const [name, line] of Object.entries(lines)) {
    await writeFile(join(bin, name), `#!/bin/sh\n${line}\n`)
    await chmod(join(bin, name), 0o755)
  }
  return bin
}

function start(home: CliHome, bin: string, args: readonly string[]) {
  return spawn(process.execPath, [join(home.cwd, '.ci', 'test.mjs'), ...args], {
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, TMPDIR: home.cwd },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

const result = (changes: object) => `printf %s '${JSON.stringify({ ...good, ...changes })}' > "$out"`

test.each<[string, Fakes, readonly string[], string, number]>([
  ['all is well', {}, [], '11 passed, 0 failed', 0],
  ['without VMs', {}, ['--no-vm'], '8 passed, 0 failed', 0],
  ['a failing check stops nothing', { oxlint: 'exit 1' }, ['--no-vm'], '7 passed, 1 failed', 1],
  [
    'skipped and failed tests',
    { vitest: `${result({ numFailedTests: 2, numPendingTests: 1, numTodoTests: 1 })}; exit 1` },
    ['--no-vm'],
    '8 passed, 2 failed, 2 skipped',
    1,
  ],
  [
    'a file that cannot be loaded',
    { vitest: `${result({ testResults: [{ status: 'failed', assertionResults: [] }] })}; exit 1` },
    ['--no-vm'],
    '8 passed, 1 failed',
    1,
  ],
  ['an error outside the tests', { vitest: `${result({})}; exit 1` }, ['--no-vm'], '8 passed, 1 failed', 1],
  ['a vitest that crashes', { vitest: 'kill -SEGV $$' }, ['--no-vm'], '5 passed, 1 failed', 1],
  ['a vitest that runs nothing', { vitest: result({ numPassedTests: 0 }) }, ['--no-vm'], '5 passed, 1 failed', 1],
])('%s', async (_, fakes, args, last, exitCode) => {
  await using home = await cliHome()
  const ended = await collect(start(home, await outline(home, fakes), args))
  expect(ended.stdout.trimEnd().split('\n').at(-1)).toBe(last)
  expect(ended.exitCode).toBe(exitCode)
})

test('an unknown argument is refused', async () => {
  await using home = await cliHome()
  expect((await collect(start(home, await outline(home, {}), ['--novm']))).exitCode).toBe(2)
})

test('a signal ends what runs and its children', async () => {
  await using home = await cliHome()
  const started = join(home.cwd, 'started')
  const survived = join(home.cwd, 'survived')
  const bin = await outline(home, {
    oxlint: `(trap '' INT; touch ${started}; sleep 2; touch ${survived}) & wait`,
  })
  const child = start(home, bin, [])
  const ended = collect(child)
  while (!existsSync(started)) await sleep(20)
  child.kill('SIGINT')
  expect((await ended).exitCode).toBe(130)
  await sleep(2500)
  expect(existsSync(survived)).toBe(false)
})

test('the end of the log says which tests failed, and how', async () => {
  await using home = await cliHome()
  const failed = { status: 'failed', fullName: 'adds up', failureMessages: ['expected 1 to be 2\n  at add.ts:3'] }
  const testResults = [
    { name: join(home.cwd, 'test/add.test.ts'), status: 'failed', assertionResults: [{ status: 'passed' }, failed] },
    { name: join(home.cwd, 'test/bad.test.ts'), status: 'failed', message: 'no such module', assertionResults: [] },
  ]
  const bin = await outline(home, { vitest: `${result({ numFailedTests: 1, testResults })}; exit 1` })
  const { stdout } = await collect(start(home, bin, ['--no-vm']))
  expect(stdout.slice(stdout.indexOf('=== failed'))).toContain(
    [
      ...['=== failed', 'test/add.test.ts: adds up', '    expected 1 to be 2', '      at add.ts:3'],
      ...['test/bad.test.ts', '    no such module'],
    ].join('\n'),
  )
})
