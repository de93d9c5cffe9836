import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { silentReporter } from '../../src/report/reporters.ts'
import { publishImage } from '../../src/image/images.ts'
import type { ImageManifest } from '../../src/image/manifest.ts'
import { loadSigningKey } from '../../src/keys/files.ts'
import { signerOf } from '../../src/keys/signer.ts'
import { loadConfig } from '../../src/load-config.ts'
import { reportSchema, type Report, type StepReport } from '../../src/profile/report.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { random as seeded } from '../../bench/random.ts'
import type { Recipe, Step } from '../../src/recipe/model.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { keys } from '../../src/store/keys.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { runCli, type CliHome } from '../support/cli.ts'

const recipeYaml = (release: string) => `name: web
description: A web server with its application
steps:
  - name: packages
    type: packages
    install: [nginx-light, python3-venv, build-essential]
  - name: application
    type: script
    run: make RELEASE=${release}
  - name: assets
    type: script
    needs: [packages]
    run: tar -xf assets.tar
  - name: site
    type: template
    content: "server {}"
    destination: /etc/nginx/sites-enabled/site
  - name: register
    type: script
    needs: [packages]
    when: instance
    run: curl register
  - name: heartbeat
    type: script
    needs: []
    when: always
    run: date
`

/** What a step takes on a plain base at first boot: median seconds, share of CPU, bytes received, bytes on disk. */
const costs: Readonly<Record<string, readonly [seconds: number, cpu: number, rx: number, disk: number]>> = {
  packages: [34, 0.55, 92e6, 310e6],
  application: [21, 0.92, 4e6, 58e6],
  assets: [6.5, 0.2, 61e6, 64e6],
  site: [0.4, 0.5, 0, 8192],
  register: [1.1, 0.1, 2048, 4096],
  heartbeat: [0.06, 0.5, 0, 0],
}

export interface FleetOptions {
  readonly seed?: number
  readonly days?: number
  /** YYYY-MM-DD of the last day. */
  readonly lastDay?: string
  /** Goes into everything that hosts choose: names, errors, instance types. */
  readonly foreign?: string
  /** No image is ever baked. */
  readonly withoutImages?: boolean
}

/** Writes recipe, keys, weeks of reports and two images into a home's store, as hosts and bakes would. */
export async function writeFleet(home: CliHome, options: FleetOptions = {}): Promise<{ readonly folder: string }> {
  const { days = 56, lastDay = '2026-11-19', withoutImages = false } = options
  const random = seeded(options.seed ?? 1)
  const folder = join(home.cwd, 'recipes', 'web')
  const old = await writeRecipe(folder, '1')
  const now = await writeRecipe(folder, '2')
  const store = openDirectoryStore(join(home.env['PARBAKE_STATE'] ?? '', 'store'))
  const images = withoutImages ? [] : await publishImages(home, store, [old, now], { days, lastDay })
  const start = Date.parse(`${lastDay}T00:00:00Z`) / 1000 - (days - 1) * 86_400
  for (let day = 0; day < days; day += 1) {
    const launches = 3 + Math.floor(random() * 6)
    for (let launch = 0; launch < launches; launch += 1) {
      const recipe = day < days * 0.4 ? old : now
      const newest = images.findLast((image) => day >= image.day)
      const image = random() < 0.12 ? undefined : newest
      const startedAt = Math.round(start + day * 86_400 + random() * 86_000)
      const run = `${String(day).padStart(3, '0')}-${launch}`
      await put(store, makeReport({ recipe, image: image?.manifest, startedAt, run, random, foreign: options.foreign }))
    }
  }
  store.close()
  return { folder }
}

async function writeRecipe(folder: string, release: string): Promise<Recipe> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'recipe.yaml'), recipeYaml(release))
  return loadRecipe(folder)
}

/** Puts a report where its host would. */
export async function put(store: ObjectStore, report: Report): Promise<void> {
  const day = new Date(report.startedAt * 1000).toISOString().slice(0, 10)
  await store.put(keys.report(report.recipe, day, `host-${report.run}`, report.run), JSON.stringify(report))
}

interface Made {
  readonly recipe: Recipe
  readonly image: ImageManifest | undefined
  readonly startedAt: number
  readonly run: string
  readonly random: () => number
  readonly foreign?: string | undefined
}

const instanceTypes = [
  ['t3.small', 1.35],
  ['m6i.large', 1],
  ['c6i.xlarge', 0.8],
] as const

/** One first boot: machine, cloud-init, agent and steps follow each other, each a little different every time. */
export function makeReport({ recipe, image, startedAt, run, random, foreign = '' }: Made): Report {
  const vary = (seconds: number) => seconds * (0.85 + 0.3 * random() + (random() < 0.04 ? random() : 0))
  const [instanceType, slowness] = instanceTypes[Math.floor(random() * instanceTypes.length)] ?? ['m6i.large', 1]
  const boot = makeBoot(vary, image !== undefined)
  let clock = boot.end
  const phases = ['wait', 'channel', 'verify', 'bundle', 'extract'].map((name) => {
    const wall = vary(name === 'wait' ? 0.4 : 0.15)
    const phase = { name, start: clock, wall }
    clock += wall
    return phase
  })
  const fails = random() < 0.03
  const baked = new Set(image?.steps.map((step) => step.digest))
  let blocked = false
  const steps = recipe.steps.map((step): StepReport => {
    if (blocked) return idle(step, 'blocked')
    if (baked.has(step.digest)) return idle(step, 'stamped')
    const [seconds = 1, cpu = 0.5, rxBytes = 0, diskBytes = 0] = costs[step.name] ?? []
    const wall = vary(seconds) * slowness
    const failed = fails && step.name === 'assets'
    const startUptime = clock
    clock += wall
    blocked = failed
    return {
      ...idle(step, failed ? 'failed' : 'ran'),
      startUptime,
      wall,
      cpu: wall * cpu,
      rxBytes,
      diskBytes,
      exit: failed ? 1 : 0,
      attempts: 1,
      lockSeconds: step.name === 'packages' && random() < 0.2 ? 2 : 0,
      ...(failed ? { output: `tar: cannot open${foreign}` } : {}),
    }
  })
  return reportSchema.parse({
    v: 1,
    run,
    host: `web-${run}${foreign}`,
    hostname: `web-${run}${foreign}`,
    instance: `i-${run}`,
    recipe: recipe.name,
    channel: 'stable',
    serial: 1,
    bundle: sha256(recipe.steps.map((step) => step.digest).join()),
    agentVersion: '1',
    image: image?.imageId ?? '',
    trigger: 'boot',
    purpose: 'fleet',
    first: true,
    cold: true,
    startedAt,
    startUptime: boot.end,
    readyUptime: clock + 0.05,
    fetchSeconds: 0.6,
    outcome: blocked ? 'failed' : 'ok',
    error: blocked ? `step assets failed${foreign}` : '',
    os: { id: `debian${foreign}`, version: '12', arch: 'x86_64', kernel: '6.1.0-41-cloud-amd64' },
    cpus: 2,
    memoryKiB: 2_000_000,
    tools: { fetch: 'curl', verify: 'openssl', lock: 'flock' },
    identity: { machineId: sha256(`m${run}`), sshHostKeys: sha256(`k${run}`), hostname: sha256(`h${run}`) },
    boot: boot.record,
    phases,
    instanceType: `${instanceType}${foreign}`,
    region: random() < 0.7 ? 'eu-central-1' : 'us-east-1',
    steps,
  })
}

function idle(step: Step, outcome: StepReport['outcome']): StepReport {
  return {
    name: step.name,
    digest: step.digest,
    when: step.when,
    outcome,
    baked: outcome === 'stamped',
    startUptime: 0,
    wall: 0,
    cpu: 0,
    rxBytes: 0,
    diskBytes: 0,
    exit: 0,
    attempts: 0,
  }
}

function makeBoot(vary: (seconds: number) => number, tuned: boolean) {
  const kernelSeconds = vary(0.9)
  const initrdSeconds = vary(tuned ? 1.1 : 1.7)
  let clock = kernelSeconds + initrdSeconds
  const next = (name: string, seconds: number, gap = 0) => {
    const start = clock + gap
    clock = start + vary(seconds)
    return { name, start, end: clock }
  }
  const units = [
    next('systemd', 0.5),
    next('dev-sda1.device', 0.9),
    next('systemd-remount-fs.service', 0.1),
    next('systemd-udevd.service', 0.25),
  ]
  const module = (name: string, seconds: number) => ({ ...next(name, seconds), result: 'SUCCESS' })
  const cloudInit = [
    module('init-local', 0.8),
    module('init-network/config-ssh', tuned ? 0.4 : 1.6),
    module('init-network/config-users_groups', 0.3),
    module('modules-config/config-apt_configure', 0.5),
    module('modules-config/config-locale', 0.3),
    module('modules-config/config-timezone', 0.02),
    module('modules-final/config-scripts_user', 0.1),
  ]
  const record = {
    clock: 'uptime',
    kernelSeconds,
    initrdSeconds,
    firmwareSeconds: vary(1.8),
    loaderSeconds: vary(0.5),
    units,
    cloudInit,
  }
  return { record, end: clock + 0.3 }
}

interface MadeImage {
  /** Day from which hosts boot it. */
  readonly day: number
  readonly manifest: ImageManifest
}

/** Two images, published and signed by the real code; their disks hold nothing. */
async function publishImages(
  home: CliHome,
  store: ObjectStore,
  recipes: readonly [Recipe, Recipe],
  period: { readonly days: number; readonly lastDay: string },
): Promise<MadeImage[]> {
  const made = await runCli(['keys', 'init'], home)
  if (made.exitCode !== 0) throw new Error(made.stderr)
  const config = {
    ...(await loadConfig(home.cwd, undefined)),
    cacheDir: home.env['PARBAKE_CACHE'] ?? '',
    stateDir: home.env['PARBAKE_STATE'] ?? '',
    keysDir: join(home.env['PARBAKE_STATE'] ?? '', 'keys'),
  }
  const signingKey = loadSigningKey(config, { env: {} })
  const context = { config, reporter: silentReporter, signal: new AbortController().signal }
  const disk = join(home.cwd, 'disk')
  await writeFile(disk, 'no disk')
  const plans = [
    { share: 0.22, recipe: recipes[0], steps: ['packages'], sizeBytes: 301_000_000 },
    { share: 0.62, recipe: recipes[1], steps: ['packages', 'application', 'assets'], sizeBytes: 352_000_000 },
  ]
  const images: MadeImage[] = []
  for (const { share, recipe, steps, sizeBytes } of plans) {
    const day = Math.round(period.days * share)
    const date = new Date(Date.parse(`${period.lastDay}T08:00:00Z`) - (period.days - 1 - day) * 86_400_000)
    const manifest = makeManifest(recipe, steps, date, sizeBytes)
    await publishImage(
      context,
      { store, recipe: 'web', channel: 'stable', trustedKeys: [signingKey.publicKey] },
      { disk, manifest, signer: signerOf(signingKey) },
    )
    images.push({ day, manifest })
  }
  return images
}

function makeManifest(recipe: Recipe, names: readonly string[], date: Date, sizeBytes: number): ImageManifest {
  const createdAt = `${date.toISOString().slice(0, 19)}Z`
  const baked = recipe.steps.filter((step) => names.includes(step.name))
  const saved = names.reduce((sum, name) => sum + (costs[name]?.[0] ?? 0), 0)
  return {
    v: 1,
    imageId: `web-${createdAt.replaceAll(/[-:]/g, '')}-5c1d`,
    recipe: 'web',
    channel: 'stable',
    createdAt,
    base: { name: 'debian-12', digest: sha256('base') },
    bundle: sha256(recipe.steps.map((step) => step.digest).join()),
    steps: baked.map(({ name, digest }) => ({
      name,
      digest,
      seconds: (costs[name]?.[0] ?? 0) * 0.8,
      diskBytes: costs[name]?.[3] ?? 0,
    })),
    tunings: ['one-cloud-init'],
    planDigest: sha256(createdAt),
    format: { type: 'qcow2', compression: 'zstd' },
    sizeBytes,
    sha256: sha256('no disk'),
    virtualSizeBytes: 4 * 1024 ** 3,
    addedBytes: sizeBytes - 212_000_000,
    tools: { qemu: '7.2.22' },
    parbakeVersion: '0.1.0',
    accelerator: 'native',
    engine: 'container',
    verification: {
      readyUptime: 74 - saved,
      launchSeconds: 78.4 - saved,
      checks: [{ name: 'machine-id-fresh', ok: true }],
    },
    predicted: { unbakedSeconds: 76, bakedSeconds: 76 - saved },
  }
}
