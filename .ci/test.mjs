// Runs every check, one after the other, whatever fails, and ends with one line: `N passed, N failed[, N skipped]`.
// Usage: node .ci/test.mjs [--no-vm]
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'))

const unknown = process.argv.slice(2).filter((argument) => argument !== '--no-vm')
if (unknown.length > 0) {
  console.error(`unknown argument: ${unknown.join(' ')}\nusage: node .ci/test.mjs [--no-vm]`)
  process.exit(2)
}
const withVm = !process.argv.includes('--no-vm')

const total = { passed: 0, failed: 0, skipped: 0 }
const summary = []
const failures = []
const scratch = mkdtempSync(join(tmpdir(), 'parbake-test-'))
let child
let stopped = false

// Each check leads its own process group, so that a stop reaches what it started too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (stopped) killGroup('SIGKILL')
    else killGroup('SIGTERM')
    stopped = true
    // Time for tests to power off their guests.
    setTimeout(() => killGroup('SIGKILL'), 15_000).unref()
  })
}

function killGroup(signal) {
  if (child?.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // Gone already.
  }
}

/** Runs one command with its output passed on; resolves to its exit code, or 1 where it could not start or was killed. */
function run(command, args) {
  return new Promise((resolve) => {
    child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true })
    child.on('error', (error) => {
      console.log(`${command}: ${error.message}`)
      resolve(1)
    })
    child.on('close', (code) => resolve(code ?? 1))
  })
}

async function section(name, work) {
  if (stopped) return
  console.log(`\n=== ${name}`)
  const start = performance.now()
  const counts = await work()
  for (const key of Object.keys(total)) total[key] += counts[key]
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  summary.push(`${counts.failed === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s): ${describe(counts)}`)
}

/** A check that is one command: it passes or fails as a whole. */
function check(name, command, args) {
  return section(name, async () => {
    const passed = (await run(command, args)) === 0
    return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 }
  })
}

function tests(project) {
  return section(`vitest ${project}`, async () => {
    const file = join(scratch, `${project}.json`)
    const args = ['run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
    const code = await run(tool('vitest'), args)
    return countTests(code, file)
  })
}

/** What the JSON reporter wrote, with every way of failing without a failed test counted as one failure. */
function countTests(code, file) {
  if (!existsSync(file)) {
    console.log('vitest ended without a result')
    return { passed: 0, failed: 1, skipped: 0 }
  }
  const result = JSON.parse(readFileSync(file, 'utf8'))
  const brokenFiles = result.testResults.filter(
    (suite) => suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed'),
  )
  for (const suite of result.testResults) {
    const name = relative(process.cwd(), suite.name ?? '')
    if (brokenFiles.includes(suite)) failures.push(`${name}\n${indented(suite.message ?? '')}`)
    for (const test of suite.assertionResults) {
      if (test.status !== 'failed') continue
      failures.push(`${name}: ${test.fullName}\n${indented(test.failureMessages.join('\n'))}`)
    }
  }
  const counts = {
    passed: result.numPassedTests,
    failed: result.numFailedTests + brokenFiles.length,
    skipped: result.numPendingTests + result.numTodoTests,
  }
  if (counts.failed === 0 && (code !== 0 || counts.passed === 0)) {
    console.log(code === 0 ? 'no test ran' : `vitest failed outside the tests (exit code ${code})`)
    counts.failed = 1
  }
  return counts
}

/** The beginning of a message, for a log whose end is all that is kept of it. */
function indented(text) {
  return stripVTControlCharacters(text)
    .split('\n')
    .slice(0, 12)
    .map((line) => `    ${line.slice(0, 300)}`)
    .join('\n')
}

function describe({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`
}

function tool(name) {
  return join('node_modules', '.bin', name)
}

function shellScripts() {
  const found = ['bootstrap', 'recipes', 'bench']
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('.sh'))
  return ['.ci/setup', '.ci/run', ...found]
}

const code = ['src', 'test', 'bench', '.ci', 'vitest.config.ts'].filter((path) => existsSync(path))
await check('format', tool('oxfmt'), ['--check', ...code])
await check('lint', tool('oxlint'), ['--type-aware', '--deny-warnings', ...code])
await check('types: src', tool('tsc'), ['-p', '.', '--noEmit'])
await check('types: test, bench', tool('tsc'), ['-p', 'test'])
await check('shellcheck', 'shellcheck', shellScripts())
await tests('unit')
if (withVm) await tests('vm')

rmSync(scratch, { recursive: true, force: true })
if (stopped) {
  console.log('\ninterrupted')
  process.exit(130)
}
if (failures.length > 0) console.log(`\n=== failed\n${failures.join('\n')}`)
console.log(`\n=== summary\n${summary.join('\n')}\n${describe(total)}`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
