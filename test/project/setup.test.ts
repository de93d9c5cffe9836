import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { toolSpecs } from '../../src/system/tools.ts'
import { cliHome, type CliHome } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'

const exec = promisify(execFile)
const setup = await readFile(join(repository, '.ci', 'setup'), 'utf8')

/** Ways to run what the script needs of the system, but neither apt nor the programs it looks for. */
async function bareSystem(home: CliHome): Promise<string> {
  const bin = join(home.cwd, 'bin')
  await mkdir(bin)
  for (const name of ['sh', 'awk', 'sed', 'cat', 'find', 'head', 'sha256sum', 'dirname', 'id', 'node', 'npm', 'grep']) {
    await fake(bin, name, `exec "$(PATH=${process.env['PATH'] ?? ''} command -v ${name})" "$@"`)
  }
  return bin
}

/** Written as a new file, never through a link to the real program. */
async function fake(bin: string, name: string, line: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${line}\n`, { flag: 'wx' })
  await chmod(join(bin, name), 0o755)
}

/** Runs the set-up of a copy of the checkout's outline, so that it cannot build or install into ours. */
async function runSetup(home: CliHome, bin: string, mode: string) {
  const copy = join(home.cwd, 'copy')
  await mkdir(join(copy, '.ci'), { recursive: true })
  await writeFile(join(copy, '.ci', 'setup'), setup)
  await writeFile(join(copy, 'package-lock.json'), '{}\n')
  return exec('/bin/sh', [join(copy, '.ci', 'setup'), mode], { env: { PATH: bin, HOME: home.env['HOME'] ?? '' } }).then(
    ({ stdout, stderr }) => ({ exitCode: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({ ...error, exitCode: error.code }),
  )
}

describe('.ci/setup', () => {
  test('brings every tool that parbake looks for', () => {
    // In every Debian and Ubuntu.
    const essential = ['util-linux', 'coreutils']
    const packages = new Set([...setup.matchAll(/^([a-z0-9.+-]+) (?:cmd|file|py):/gm)].map((match) => match[1]))
    const missing = toolSpecs.map((spec) => spec.debianPackage).filter((name) => !packages.has(name))
    expect(missing.filter((name) => !essential.includes(name))).toEqual([])
  })

  test('without apt it says which programs and packages are missing', async () => {
    await using home = await cliHome()
    const bin = await bareSystem(home)
    const { exitCode, stdout, stderr } = await runSetup(home, bin, 'demo')
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toContain('qemu-system-x86_64 (Debian and Ubuntu: package qemu-system-x86)')
    expect(stderr).toContain('apt-get install --no-install-recommends qemu-system-x86 ')
    expect(stderr).not.toContain('shellcheck')
  })

  test('runs nothing but apt-get by sudo, and gives up when that does not help', async () => {
    await using home = await cliHome()
    const bin = await bareSystem(home)
    const log = join(home.cwd, 'sudo.log')
    await writeFile(join(bin, 'id'), '#!/bin/sh\necho 1000\n')
    await fake(bin, 'dpkg-query', 'exit 1')
    await fake(bin, 'apt-get', 'exit 0')
    await fake(bin, 'apt-cache', 'echo "  Candidate: 1.0"')
    await fake(bin, 'sudo', `echo "$*" >> ${log}; [ "$1" = -n ] || exec "$@"`)
    await fake(bin, 'env', 'shift; exec "$@"')
    const { exitCode, stderr } = await runSetup(home, bin, 'demo')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('still missing:')
    const calls = (await readFile(log, 'utf8')).trimEnd().split('\n')
    expect(calls[0]).toBe('-n true')
    expect(calls[1]).toBe('apt-get -qq update')
    expect(calls[2]).toMatch(
      /^env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 install --no-install-recommends \S/,
    )
    expect(calls.length).toBe(3)
  })

  test('refuses an old Node', async () => {
    await using home = await cliHome()
    const bin = await bareSystem(home)
    await writeFile(join(bin, 'node'), '#!/bin/sh\necho 20.18.3\n')
    const { exitCode, stderr } = await runSetup(home, bin, 'test')
    expect(exitCode).toBe(1)
    expect(stderr).toContain('Node 20.18.3 is too old')
  })

  test('refuses an unknown mode', async () => {
    await using home = await cliHome()
    expect((await runSetup(home, await bareSystem(home), 'frobnicate')).exitCode).toBe(2)
  })
})
