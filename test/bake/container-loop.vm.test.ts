import { readdir, readFile, stat, writeFile, mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BakeResult } from '../../src/bake/bake.ts'
import { imageInfo } from '../../src/image/qemu-img.ts'
import { cliHome, runCli, runShell, type CliHome, type CliResult } from '../support/cli.ts'
import { cliJson, sharedCache } from '../vm/support.ts'

/** Bakes through the real program with the container engine: going on from kept states, failures, thin images, bounds. */

const recipe = (second: string) => `\
name: small
steps:
  - {name: first, type: script, bake: always, run: 'echo one >/srv/first; sleep 4'}
  - {name: second, type: script, bake: always, env: {WORD: two words}, run: '${second}'}
`

let home: CliHome
let env: Record<string, string>
let folder: string

beforeAll(async () => {
  home = await cliHome()
  const base = await cliJson<{ path: string }>(
    home,
    { ...home.env, PARBAKE_CACHE: sharedCache },
    'base',
    'build',
    'debian-12',
  )
  env = { ...home.env }
  // The bases of all tests, and kept states of this one alone.
  await mkdir(env['PARBAKE_CACHE'] ?? '', { recursive: true })
  await symlink(dirname(dirname(base.path)), join(env['PARBAKE_CACHE'] ?? '', 'bases'))
  await cliJson(home, env, 'keys', 'init')
  folder = join(home.cwd, 'small')
  await mkdir(folder)
})

afterAll(async () => {
  await home[Symbol.asyncDispose]()
})

function bake(...args: string[]): Promise<CliResult> {
  return runCli(['bake', folder, '--engine', 'container', '--output', 'disk.qcow2', '--no-verify', ...args], {
    cwd: home.cwd,
    env,
  })
}

async function bakeJson(...args: string[]): Promise<BakeResult> {
  const result = await bake('--json', ...args)
  if (result.exitCode !== 0) throw new Error(`the bake ended with ${result.exitCode}:\n${result.stderr}`)
  return JSON.parse(result.stdout) as BakeResult
}

/** Mounts, loop devices and processes of bakes of this home. */
async function leftovers(): Promise<string[]> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').filter((line) => line.includes(home.cwd))
  const loops = await runShell('losetup --list --noheadings --output BACK-FILE', { cwd: home.cwd, env })
  const mine = loops.stdout.split('\n').filter((line) => line.includes(dirname(home.cwd)))
  const work = await readdir(join(env['PARBAKE_CACHE'] ?? '', 'bakes')).catch(() => [])
  return [...mounts, ...mine, ...work]
}

const isRoot = process.getuid?.() === 0

describe.skipIf(!isRoot)('bakes in a container', () => {
  test('a failing step stops the bake with its output, its environment and where it goes on', async () => {
    await writeFile(join(folder, 'recipe.yaml'), recipe('echo before; ls /nowhere'))
    const failed = await bake()
    expect(failed.exitCode).toBe(1)
    expect(failed.stdout).toBe('')
    expect(failed.stderr).toContain('step second failed with exit status 2')
    expect(failed.stderr).toContain('  | before\n')
    expect(failed.stderr).toContain("environment: WORD='two words'")
    expect(failed.stderr).toContain('it goes on after step first')
    await expect(stat(join(home.cwd, 'disk.qcow2'))).rejects.toThrow('ENOENT')
    expect(await leftovers()).toEqual([])
  })

  test('a shell opens in the failed system', async () => {
    const line = `printf 'cat /srv/first; echo in-$((40 + 2))\\nexit\\n' | $PARBAKE bake ${folder} --engine container --on-failure shell --output x.qcow2 --no-verify`
    const failed = await runShell(line, { cwd: home.cwd, env })
    expect(failed.exitCode).toBe(1)
    expect(failed.stdout + failed.stderr).toMatch(/one\s+in-42/)
    expect(await leftovers()).toEqual([])
  })

  test('the mended recipe goes on from the step before', async () => {
    await writeFile(join(folder, 'recipe.yaml'), recipe('echo "$WORD" >/srv/second'))
    const { manifest, output } = await bakeJson()
    expect(manifest.steps.map(({ name, cached }) => [name, cached])).toEqual([
      ['first', true],
      ['second', false],
    ])
    expect(manifest.engine).toBe('container')
    expect(manifest.verification).toBeUndefined()
    expect(output).toBe(join(home.cwd, 'disk.qcow2'))
    const info = await imageInfo(output ?? '')
    expect([info.compression, info.backingFile]).toEqual(['zstd', undefined])
    expect(await leftovers()).toEqual([])
  })

  test('a change of the first step runs both again', async () => {
    const text = recipe('echo "$WORD" >/srv/second').replace('echo one', 'echo uno')
    await writeFile(join(folder, 'recipe.yaml'), text)
    const { manifest } = await bakeJson()
    expect(manifest.steps.map(({ cached }) => cached)).toEqual([false, false])
  })

  test('without the cache every step runs', async () => {
    const { manifest } = await bakeJson('--no-cache')
    expect(manifest.steps.map(({ cached }) => cached)).toEqual([false, false])
  })

  test('a thin image has what differs, and the base as its backing file', async () => {
    const { manifest, output } = await bakeJson('--thin')
    const whole = await imageInfo(output ?? '')
    expect(whole.backingFile).toContain(`base-${manifest.base.digest}.qcow2`)
    expect(manifest.sizeBytes).toBeLessThan(20 * 1024 ** 2)
    expect(manifest.format).toMatchObject({ type: 'qcow2', compression: 'zstd' })
  })

  test('a bound on the growth is kept, and nothing is handed over', async () => {
    await writeFile(join(home.cwd, 'parbake.yaml'), 'bake: {maxGrowth: 1}\n')
    await writeFile(join(folder, 'recipe.yaml'), recipe('head -c 60000000 /dev/urandom >/srv/second'))
    const refused = await bake('--output', 'large.qcow2')
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain('more than bake.maxGrowth allows')
    await expect(stat(join(home.cwd, 'large.qcow2'))).rejects.toThrow('ENOENT')
    await writeFile(join(home.cwd, 'parbake.yaml'), '')
  })

  test('what a step leaves of a secret is found, and nothing is handed over', async () => {
    const key = '-----BEGIN OPENSSH PRIVATE KEY-----'
    await writeFile(
      join(folder, 'recipe.yaml'),
      recipe(`ssh-keygen -q -t ed25519 -N "" -f /srv/key; grep -q -- "${key}" /srv/key`),
    )
    const refused = await bake('--output', 'leaky.qcow2')
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toContain('the sealed disk still holds what must not be in an image')
    expect(refused.stderr).toContain('private-key: /srv/key')
    await expect(stat(join(home.cwd, 'leaky.qcow2'))).rejects.toThrow('ENOENT')
  })

  test('an image that was not verified is not published', async () => {
    const refused = await runCli(['bake', folder, '--no-verify'], { cwd: home.cwd, env })
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr).toContain('--no-verify --output disk.qcow2')
  })
})
