import { generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publishImage } from '../../src/image/images.ts'
import { signerOf } from '../../src/keys/signer.ts'
import type { ImageManifest } from '../../src/image/manifest.ts'
import { loadSigningKey } from '../../src/keys/index.ts'
import { loadConfig } from '../../src/load-config.ts'
import type { Plan, PlannedStep } from '../../src/plan/model.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import type { Recipe } from '../../src/recipe/model.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { report, stepReport } from '../profile/support.ts'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'

const recipeYaml = `name: web
steps:
  - { name: build, type: script, run: sleep 9, needs: [] }
  - { name: tidy, type: script, run: sleep 1, needs: [] }
  - { name: quick, type: script, run: 'true', needs: [] }
  - { name: register, type: script, run: hostname, when: instance, needs: [build] }
`
const seconds: Record<string, number> = { build: 9, tidy: 1, quick: 0.1, register: 0.2 }

let home: CliHome
let recipe: Recipe

/** Three cold boots of the base, in a store of its own. */
beforeAll(async () => {
  home = await cliHome()
  await mkdir(join(home.cwd, 'web'))
  await writeFile(join(home.cwd, 'web', 'recipe.yaml'), recipeYaml)
  recipe = await loadRecipe(join(home.cwd, 'web'))
  const store = openDirectoryStore(join(home.env['PARBAKE_STATE'] as string, 'store'))
  const steps = recipe.steps.map((each) =>
    stepReport(each.name, seconds[each.name] ?? 0, { digest: each.digest, when: each.when }),
  )
  const now = Math.floor(Date.now() / 1000)
  for (const startedAt of [now, now - 60, now - 120]) {
    const document = report(steps, { startedAt, readyUptime: 50 + ((now - startedAt) / 60) * 2 })
    const day = new Date(startedAt * 1000).toISOString().slice(0, 10)
    await store.put(`reports/web/dt=${day}/${document.host}-${document.run}.json`, JSON.stringify(document))
  }
  store.close()
})

afterAll(() => home[Symbol.asyncDispose]())

async function plan(...options: string[]): Promise<Plan> {
  const { exitCode, stdout, stderr } = await runCli(['plan', 'web', '--json', ...options], home)
  expect([exitCode, stderr]).toEqual([0, ''])
  return JSON.parse(stdout) as Plan
}

const baked = (of: Plan) => of.steps.flatMap((each) => (each.decision === 'bake' ? [each.name] : []))

describe('parbake plan', () => {
  it.each<[string[], string[]]>([
    [[], ['build', 'tidy']],
    [
      ['--objective', 'fastest'],
      ['build', 'tidy', 'quick'],
    ],
    [['--objective', 'smallest'], ['build']],
    [['--target', '43500ms'], ['build']],
    [['--min-saving', '2s'], ['build']],
    [
      ['--objective', 'fastest', '--max-image-growth', '2K'],
      ['build', 'tidy'],
    ],
  ])('%j', async (options, expected) => {
    expect(baked(await plan(...options))).toEqual(expected)
  })

  it('takes settings from parbake.yaml, and options before them', async () => {
    const config = join(home.cwd, 'own.yaml')
    await writeFile(config, 'plan: { target: 43s, launchesPerDay: 4 }\n')
    const configured = await plan('--config', config)
    expect(configured).toMatchObject({ settings: { objective: 'target', targetSeconds: 43 } })
    expect(configured.model.launchesPerDay).toEqual({ value: 4, source: 'setting' })
    const balanced = await plan('--config', config, '--objective', 'balanced')
    expect(balanced.settings).not.toHaveProperty('targetSeconds')
    expect(baked(balanced)).toEqual(['build', 'tidy'])
  })

  it('predicts from the boots, in which steps ran side by side, with an interval', async () => {
    const { prediction } = await plan()
    expect(prediction).toMatchObject({
      basis: 'base',
      unbakedSeconds: 52,
      interval: { formula: 'student-t', samples: 3 },
    })
    expect(prediction?.bakedSeconds).toBeCloseTo(52 - 9 + 0.04, 6)
  })

  it('--why shows one step', async () => {
    const text = await runCli(['plan', 'web', '--why', 'build'], home)
    expect(text).toMatchObject({ exitCode: 0, stderr: '' })
    expect(text.stdout).toMatch(/^build is baked: median 9\.00 s over 3 cold boots/)
    expect(text.stdout).toMatch(/\nIt would be left below one launch in \d+ days\.\n$/)
    const json = await runCli(['plan', 'web', '--why', 'build', '--json'], home)
    expect((JSON.parse(json.stdout) as PlannedStep).name).toBe('build')
  })

  it.each([
    [['--why', 'biuld'], "web has no step 'biuld'\n  did you mean 'build'?"],
    [['--objective', 'target'], 'the objective target needs a launch-to-ready to reach'],
    [['--objective', 'fastest', '--target', '4s'], '--target does not go with --objective fastest'],
    [['--target', 'soon'], "'soon' is no duration for --target"],
    [['--max-image-growth', 'much'], "'much' is no size for --max-image-growth"],
  ])('refuses %j', async (options, message) => {
    const { exitCode, stdout, stderr } = await runCli(['plan', 'web', ...options], home)
    expect([exitCode, stdout]).toEqual([2, ''])
    expect(stderr).toContain(message)
  })
})

describe('with an image in force', () => {
  it('plans against it, and learns from its launch', async () => {
    expect((await runCli(['keys', 'init'], home)).exitCode).toBe(0)
    const manifest = await publish(['build', 'quick'])
    const of = await plan()
    expect(of.inForce).toEqual({
      ...{ imageId: manifest.imageId, added: ['tidy'], removed: ['quick'], changed: [], kept: false },
    })
    expect(of.steps.find((each) => each.name === 'quick')).toMatchObject({ inForce: 'this-version' })
    expect(of.earlier).toEqual([
      {
        imageId: manifest.imageId,
        predictedSeconds: 40,
        measuredSeconds: 42,
        launches: 1,
        error: expect.closeTo(0.05, 9) as number,
      },
    ])
  })

  it('warns of one that is not genuine, and plans without it', async () => {
    await publish(['build'], 'stranger')
    const { exitCode, stdout, stderr } = await runCli(['plan', 'web', '--json', '--channel', 'stranger'], home)
    expect(exitCode).toBe(0)
    expect(stderr).toContain('the plan is made as if there were no image yet')
    expect(JSON.parse(stdout)).not.toHaveProperty('inForce')
  })
})

/** Publishes an image with these steps as a bake would; to any channel but `stable` with a key that nobody trusts. */
async function publish(names: readonly string[], channel = 'stable'): Promise<ImageManifest> {
  const config = await loadConfig(home.cwd, undefined, home.env)
  const context = { config, reporter: silentReporter, signal: new AbortController().signal }
  const pair = generateKeyPairSync('ed25519')
  const stranger = {
    privateKey: pair.privateKey,
    publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  }
  const signingKey = channel === 'stable' ? loadSigningKey(config) : stranger
  const disk = join(home.cwd, 'disk')
  await writeFile(disk, 'disk')
  const manifest: ImageManifest = {
    ...{ v: 1, imageId: `web-20261120T000000Z-${channel}`, recipe: 'web', channel },
    createdAt: '2026-11-20T00:04:00.000Z',
    base: { name: 'debian-12', digest: sha256('base') },
    bundle: sha256('bundle'),
    steps: recipe.steps
      .filter((each) => names.includes(each.name))
      .map(({ name, digest }) => ({ name, digest, seconds: 1, diskBytes: 4096, cached: false })),
    planDigest: sha256('plan'),
    format: { type: 'qcow2', compression: 'zstd' },
    ...{ sizeBytes: 4, sha256: sha256('disk'), virtualSizeBytes: 4096, addedBytes: 4096 },
    ...{ tools: {}, parbakeVersion: '0.1.0', accelerator: 'tcg' },
    verification: { readyUptime: 42, launchSeconds: 46, checks: [] },
    predicted: {
      unbakedSeconds: 52,
      bakedSeconds: 40,
      lowSeconds: 35,
      highSeconds: 45,
      fromPowerOn: false,
      measuredSeconds: 42,
    },
  }
  const store = openDirectoryStore(join(home.env['PARBAKE_STATE'] as string, 'store'))
  const place = { store, recipe: 'web', channel, trustedKeys: [signingKey.publicKey] }
  await publishImage(context, place, { disk, manifest, signer: signerOf(signingKey) })
  store.close()
  return manifest
}
