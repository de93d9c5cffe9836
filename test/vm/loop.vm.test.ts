import { createServer } from 'node:net'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BakeResult } from '../../src/bake/bake.ts'
import type { Plan } from '../../src/plan/model.ts'
import type { Profile } from '../../src/profile/model.ts'
import type { Report } from '../../src/profile/report.ts'
import { cliHome, collect, runCli, startCli, type CliHome } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'
import { cliJson, keepLaunched, qemuProcessesOf, sharedCache, vmEnvironment } from './support.ts'

/** The whole loop on recipes/web with the embedded store, through the real program, in real VMs. */

interface LaunchJson {
  readonly launchSeconds: number
  readonly image: string
  readonly report: Report
}

const recipe = join(repository, 'recipes', 'web')
const mustBake = ['packages', 'application']
const mustRun = ['services', 'register', 'healthy', 'site', 'settings']

let home: CliHome
let env: Record<string, string>
let port: number

beforeAll(async () => {
  home = await cliHome()
  env = await vmEnvironment(home)
  port = await freePort()
  await cliJson(home, env, 'keys', 'init')
  await cliJson(home, env, 'base', 'build', 'debian-12')
})

afterAll(async () => {
  await home[Symbol.asyncDispose]()
})

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

async function fetched(path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`)
  expect(response.status).toBe(200)
  return response.text()
}

/** What the host serves, seen from outside the VM. */
async function expectService(launch: LaunchJson): Promise<void> {
  expect(await fetched('/')).toBe('hello from parbake\n')
  // As another sieve, in another language, counts them below 8,000,000.
  expect((await fetched('/catalog')).split('\n', 3)).toEqual(['primes 539777', '2', '3'])
  const instance = JSON.parse(await fetched('/instance')) as { instance: string; hostname: string }
  expect(instance).toEqual({ instance: launch.report.instance, hostname: launch.report.hostname })
}

const outcomes = (report: Report) => Object.fromEntries(report.steps.map((step) => [step.name, step.outcome]))

describe('the loop on recipes/web', () => {
  let before: LaunchJson
  let image: BakeResult

  test('a VM provisions itself from the store and serves', async () => {
    await cliJson(home, env, 'publish', recipe)
    const kept = await keepLaunched<LaunchJson>(home, env, 'launch', recipe, '--forward', `${port}:80`)
    before = kept.result
    try {
      expect(before.report.outcome).toBe('ok')
      expect(before.report).toMatchObject({ image: '', cold: true, first: true, trigger: 'boot', purpose: 'fleet' })
      expect(new Set(Object.values(outcomes(before.report)))).toEqual(new Set(['ran']))
      const packages = before.report.steps.find((step) => step.name === 'packages')
      expect(packages?.rxBytes).toBeGreaterThan(10_000_000)
      expect(packages?.diskBytes).toBeGreaterThan(50_000_000)
      expect(packages?.cpu).toBeGreaterThan(1)
      await expectService(before)
    } finally {
      const { exitCode } = await kept.stop()
      expect(exitCode).toBe(130)
    }
    expect(await qemuProcessesOf(env['TMPDIR'] ?? '')).toEqual([])
  })

  test('profile and plan name the slow steps', async () => {
    const profile = await cliJson<Profile>(home, env, 'profile', recipe)
    expect(profile.reports).toMatchObject({ fleet: 1, cold: 1, failed: 0 })
    const plan = await cliJson<Plan>(home, env, 'plan', recipe)
    const decisions = new Map(plan.steps.map((step) => [step.name, step.decision]))
    expect(mustBake.map((name) => decisions.get(name))).toEqual(mustBake.map(() => 'bake'))
    expect(mustRun.map((name) => decisions.get(name))).toEqual(mustRun.map(() => 'runtime'))
    expect(plan.prediction?.bakedSeconds).toBeLessThan(plan.prediction?.unbakedSeconds ?? 0)
  })

  test('a bake that is interrupted leaves nothing', async () => {
    // The cache is shared with other tests: with a state from it, this bake would start and end elsewhere.
    const child = startCli(['bake', '--no-cache', recipe], { cwd: home.cwd, env })
    const ended = collect(child)
    await new Promise<void>((resolve, reject) => {
      child.stderr?.on('data', (chunk: Buffer) => {
        if (chunk.toString('utf8').includes('boot the base')) setTimeout(resolve, 3000)
      })
      void ended.then(({ stderr }) => reject(new Error(`the bake ended by itself:\n${stderr}`)))
    })
    child.kill('SIGINT')
    expect((await ended).exitCode).toBe(130)
    expect(await qemuProcessesOf('parbake-bake-')).toEqual([])
    expect(await readdir(join(sharedCache, 'bakes'))).toEqual([])
    const missing = await runCli(['launch', recipe, '--image', 'latest'], { cwd: home.cwd, env })
    expect(missing.exitCode).toBe(1)
    expect(missing.stderr).toContain("there is no image of web in channel 'stable' yet")
  })

  test('the bake is verified and published', async () => {
    image = await cliJson<BakeResult>(home, env, 'bake', recipe)
    const { manifest } = image
    expect(image.reused).toBe(false)
    expect(manifest.steps.map((step) => step.name)).toEqual(expect.arrayContaining(mustBake))
    expect(manifest.verification?.checks.filter((check) => !check.ok)).toEqual([])
    expect(manifest.verification?.checks.length).toBe(8)
    expect(manifest.addedBytes).toBeGreaterThan(0)
  })

  test('the same bake again reuses the image', async () => {
    const again = await cliJson<BakeResult>(home, env, 'bake', recipe)
    expect(again.reused).toBe(true)
    expect(again.manifest.imageId).toBe(image.manifest.imageId)
  })

  test('the image skips what is baked, runs the rest, and serves the same', async () => {
    const kept = await keepLaunched<LaunchJson>(
      home,
      env,
      'launch',
      recipe,
      '--image',
      'latest',
      '--forward',
      `${port}:80`,
    )
    const after = kept.result
    try {
      const baked = new Set(image.manifest.steps.map((step) => step.name))
      for (const step of after.report.steps) {
        expect([step.name, step.outcome, step.baked]).toEqual(
          baked.has(step.name) ? [step.name, 'stamped', true] : [step.name, 'ran', false],
        )
      }
      expect(after.report.image).toBe(image.manifest.imageId)
      expect(after.report.bundle).toBe(before.report.bundle)
      for (const part of ['machineId', 'sshHostKeys', 'hostname'] as const) {
        expect(after.report.identity[part]).not.toBe('')
        expect(after.report.identity[part]).not.toBe(before.report.identity[part])
      }
      await expectService(after)
    } finally {
      await kept.stop()
    }
  })
})
