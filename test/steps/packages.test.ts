import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { writeTree } from '../recipe/support.ts'
import { renderType } from './support.ts'

/** An apt-get that notes its calls and fails the first `failures` times. */
const fakeApt = (failures: number) => `#!/bin/sh
echo "$DEBIAN_FRONTEND $*" >>"$CALLS"
[ "$(wc -l <"$CALLS")" -gt ${failures} ]
`

async function install(spec: Readonly<Record<string, unknown>>, failures: number | undefined, shell = 'dash') {
  await using dir = await tempDir('packages-test')
  const calls = join(dir.path, 'calls')
  const { script } = await renderType('packages', spec)
  await writeTree(dir.path, {
    calls: '',
    'run*': script,
    'bin/sleep*': '#!/bin/sh\n',
    ...(failures === undefined ? {} : { 'bin/apt-get*': fakeApt(failures) }),
  })
  // Nothing but the fake and what the fake itself needs is on PATH.
  const shellPath = (await run('which', [shell])).stdout.trim()
  const wc = (await run('which', ['wc'])).stdout.trim()
  await run('ln', ['-s', wc, join(dir.path, 'bin', 'wc')])
  const args = shell === 'busybox' ? ['sh', 'run'] : ['run']
  const result = await run(shellPath, args, {
    cwd: dir.path,
    env: { PATH: join(dir.path, 'bin'), CALLS: calls },
    allowFailure: true,
  })
  const lines = (await readFile(calls, 'utf8')).trimEnd().split('\n')
  return { ...result, calls: lines.map((line) => line.replace(/ -q .*--force-confold/, ' …')) }
}

describe('packages', () => {
  it.each(['dash', 'bash', 'busybox'])('updates and installs under %s', async (shell) => {
    const { exitCode, calls } = await install({ install: ['nginx', 'curl=7.88.1-10+deb12u8'] }, 0, shell)
    expect(exitCode).toBe(0)
    expect(calls).toEqual([
      'noninteractive … update',
      'noninteractive … install --no-install-recommends -- nginx curl=7.88.1-10+deb12u8',
    ])
  })

  it('leaves the update out', async () => {
    const { calls } = await install({ install: ['nginx'], update: false }, 0)
    expect(calls).toEqual(['noninteractive … install --no-install-recommends -- nginx'])
  })

  it('tries again, and again', async () => {
    const { exitCode, calls } = await install({ install: ['nginx'], update: false }, 3)
    expect([exitCode, calls.length]).toEqual([0, 4])
  })

  it('gives up in the end, without going on to the installation', async () => {
    const { exitCode, calls, stderr } = await install({ install: ['nginx'] }, 99)
    expect([exitCode, calls.length]).toEqual([1, 4])
    expect(stderr).toContain('parbake: apt-get update failed 4 times')
  })

  it('says so where there is no apt', async () => {
    const { exitCode, stderr } = await install({ install: ['nginx'] }, undefined)
    expect([exitCode, stderr]).toEqual([1, 'parbake: this step installs Debian packages, but this host has no apt-get'])
  })

  it('waits for the lock and keeps changed configuration files', async () => {
    const { script } = await renderType('packages', { install: ['nginx'] })
    expect(script).toContain('-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3')
    expect(script).toContain('-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold')
  })

  it('is clean to shellcheck', async () => {
    await using dir = await tempDir('packages-test')
    await writeTree(dir.path, { run: (await renderType('packages', { install: ['nginx'] })).script })
    await run('shellcheck', ['-s', 'dash', join(dir.path, 'run')])
  })
})
