import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'

async function write(home: CliHome, script: string): Promise<void> {
  await mkdir(join(home.cwd, 'web'), { recursive: true })
  await writeFile(join(home.cwd, 'web/recipe.yaml'), `steps:\n  - name: only\n    type: script\n    run: ${script}\n`)
}

/** Runs a command line, which must end with this code, and returns what it printed. */
async function parbake(home: CliHome, line: string, code = 0): Promise<{ stdout: string; stderr: string }> {
  const { exitCode, stdout, stderr } = await runCli(line.split(' '), home)
  expect({ line, exitCode, stderr: exitCode === code ? '' : stderr }).toEqual({ line, exitCode: code, stderr: '' })
  return { stdout, stderr }
}

describe('steering from the command line', () => {
  test('a rollout, a rollback, hosts and keys', async () => {
    await using home = await cliHome()
    const json = async (line: string) => JSON.parse((await parbake(home, `${line} --json`)).stdout) as unknown
    await parbake(home, 'keys init')
    await write(home, 'date')
    await parbake(home, 'publish web')
    await write(home, 'uptime')
    expect(await json('rollout start web --percent 5% --tags canary --max-slowdown 2x --dry-run')).toMatchObject({
      dryRun: true,
      rollout: { percent: 5, tags: ['canary'] },
    })
    await parbake(home, 'rollout start web --percent 5 --max-failure-rate 10% --min-hosts 2')
    expect(await json('rollout status web')).toMatchObject({
      bounds: { maxFailureRate: 0.1, maxSlowdown: 1.5, minHosts: 2 },
      judgement: { verdict: 'wait' },
      next: 10,
    })
    expect((await parbake(home, 'rollout status web')).stdout).toContain('wait: only 0 of at least 2 hosts')
    expect((await parbake(home, 'rollout advance web', 1)).stderr).toContain('add --force')
    expect(await json('rollout advance web --to 50 --force')).toMatchObject({ rollout: { percent: 50 } })
    expect((await parbake(home, 'rollout watch web --once')).stdout).toContain('rollout')
    expect((await parbake(home, 'rollout halt web')).stdout).toContain('is halted')
    expect((await parbake(home, 'rollout watch web --once', 1)).stderr).toContain('was halted before')
    expect((await parbake(home, 'rollout undo web')).stdout).toContain('no rollout any more')
    await parbake(home, 'publish web')
    expect((await parbake(home, 'rollback web --list')).stdout).toMatch(/^ +6 .* current\n +5 /m)
    expect(await json('rollback web')).toMatchObject({ serial: 7, from: 5 })
    expect((await parbake(home, 'hosts')).stdout).toContain('web stable: 0 hosts')
    expect(await json('keys rotate --name next')).toMatchObject({ made: true, channels: [{ step: 'introduced' }] })
    expect((await parbake(home, 'keys list')).stdout).toMatch(
      /web\/stable: signs\n[^]*web\/stable: introduced from \d{4}-/,
    )
    expect((await parbake(home, 'keys revoke default', 1)).stderr).toContain('without a key that can sign')
  })

  test('a signature from elsewhere', async () => {
    await using home = await cliHome()
    await parbake(home, 'keys init')
    await write(home, 'date')
    const prepared = (await parbake(home, 'publish web --prepare to-sign')).stdout
    expect(prepared).toMatch(/^recipe +web, channel stable, serial 1$/m)
    expect((await parbake(home, 'sign to-sign')).stdout).toMatch(/step +only \(change\)[^]*signed; next: /)
    expect((await parbake(home, 'publish --signed to-sign')).stdout).toContain('web stable is at serial 1')
  })

  test.each([
    ['rollout start web --percent 101', /no percentage/],
    ['rollout start web --max-failure-rate 2', /no share/],
    ['rollout start web --max-slowdown 0.5', /no factor/],
    ['rollout start web --min-hosts 0', /no number of hosts/],
    ['rollout start web --tags A!', /no tag/],
    ['rollout advance web --percent 20 --finish', /different things/],
    ['rollout watch web --advance 50,10', /no stages/],
    ['rollout watch web --interval soon', /no duration/],
    ['rollback web --to yesterday', /names no earlier version/],
    ['hosts web --days many', /no count/],
    ['keys rotate --not-before someday', /no time/],
    ['publish web --signed x', /takes no recipe/],
    ['publish web --prepare x --dry-run', /cannot be used with/],
    ['sign nowhere', /no channel.unsigned/],
  ])('%s is bad usage', async (line, message) => {
    await using home = await cliHome()
    await parbake(home, 'keys init')
    await write(home, 'date')
    if (line.startsWith('rollback')) await parbake(home, 'publish web')
    expect((await parbake(home, line, 2)).stderr).toMatch(message)
  })
})
