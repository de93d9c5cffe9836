import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Report, StepReport } from '../../src/profile/report.ts'
import { randomNumbers, type RandomNumbers } from './random.ts'

/**
 * A fleet that never was, the same for the same seed: several regions and instance types, two distributions, images that
 * come and steps that change over the weeks, cron converges, failures, stragglers and broken documents.
 */
export interface FleetOptions {
  readonly recipe: string
  readonly seed: number
  /** Documents in each hour. */
  readonly perHour: number
  readonly hours: number
  /** Milliseconds since the epoch, on the hour: the end of the last hour. */
  readonly end: number
}

export interface SyntheticDocument {
  /** Relative to the store. */
  readonly key: string
  readonly text: string
}

const hourMs = 3_600_000
const regions = ['eu-central-1', 'eu-west-1', 'us-east-1', 'ap-southeast-2']
const instanceTypes = [
  { name: 'm7i.large', speed: 1 },
  { name: 'm7i.xlarge', speed: 0.8 },
  { name: 't3.small', speed: 1.9 },
  { name: 'c7g.large', speed: 0.9 },
]
/** Median wall seconds, spread of its logarithm, received and written bytes. */
const stepKinds = [
  { name: 'packages', wall: 14.8, sigma: 0.25, rx: 48e6, disk: 182e6, when: 'change', every: 40 },
  { name: 'app-venv', wall: 9.4, sigma: 0.35, rx: 7.3e6, disk: 61e6, when: 'change', every: 15 },
  { name: 'compile', wall: 7.9, sigma: 0.1, rx: 1200, disk: 2.3e6, when: 'change', every: 25 },
  { name: 'nginx-site', wall: 0.31, sigma: 0.2, rx: 0, disk: 8192, when: 'change', every: 60 },
  { name: 'register', wall: 1, sigma: 0.3, rx: 512, disk: 4096, when: 'instance', every: 1000 },
  { name: 'heartbeat', wall: 0.02, sigma: 0.5, rx: 0, disk: -4096, when: 'always', every: 1000 },
] as const
/** Days after the start of the fleet at which an image comes, with the steps it has baked. */
const images = [
  { fromDay: 0, id: '', baked: 0 },
  { fromDay: 20, id: 'web-20260911T100000Z-a1b2', baked: 1 },
  { fromDay: 50, id: 'web-20261011T100000Z-c3d4', baked: 3 },
]

/** The documents of the hours `from` up to `to`, counted from the start of the fleet. */
export function* documentsOf(options: FleetOptions, from = 0, to = options.hours): Generator<SyntheticDocument> {
  const start = options.end - options.hours * hourMs
  for (let hour = from; hour < to; hour++) {
    // Each hour has numbers of its own, so that one more hour changes nothing that was before.
    const random = randomNumbers(options.seed * 1_000_003 + hour)
    for (let index = 0; index < options.perHour; index++) {
      const atMs = start + hour * hourMs + Math.floor(random.uniform() * hourMs)
      yield documentOf(options, random, atMs, Math.floor(hour / 24), `${hour}-${index}`)
    }
  }
}

/** Writes documents below a directory store as hosts would; returns how many. Nothing is synced: it is no store's test. */
export function writeDocuments(root: string, documents: Iterable<SyntheticDocument>): number {
  const made = new Set<string>()
  let count = 0
  for (const { key, text } of documents) {
    const folder = key.slice(0, key.lastIndexOf('/'))
    if (!made.has(folder)) mkdirSync(join(root, folder), { recursive: true })
    made.add(folder)
    writeFileSync(join(root, key), text)
    count += 1
  }
  return count
}

function documentOf(
  { recipe }: FleetOptions,
  random: RandomNumbers,
  atMs: number,
  day: number,
  id: string,
): SyntheticDocument {
  const report = reportOf(recipe, random, atMs, day, id)
  const end = new Date(atMs + report.readyUptime * 1000).toISOString().slice(0, 10)
  const key = `reports/${recipe}/dt=${end}/${report.host}-${report.run}.json`
  const text = JSON.stringify(report)
  const luck = random.uniform()
  if (luck < 0.0005) return { key, text: text.slice(0, text.length / 2) }
  if (luck < 0.001) return { key, text: JSON.stringify({ ...report, recipe: 'another' }) }
  return { key, text }
}

interface Boot {
  readonly day: number
  readonly cold: boolean
  readonly baked: number
  /** Position of the step that fails, or -1. */
  readonly failsAt: number
  /** Against the median host. */
  readonly slowness: number
}

function reportOf(recipe: string, random: RandomNumbers, atMs: number, day: number, id: string): Report {
  const type = instanceTypes[random.below(instanceTypes.length)] ?? { name: '', speed: 1 }
  // A tenth of the fleet stays on the image before.
  const known = images.filter(({ fromDay }) => fromDay <= day)
  const image = (random.uniform() < 0.1 ? known.at(-2) : undefined) ?? known.at(-1) ?? { id: '', baked: 0 }
  const cold = random.uniform() < 0.85
  const failed = random.uniform() < 0.015
  const straggler = random.uniform() < 0.001 ? 20 : 1
  const startUptime = hundredths(Math.exp(3.4 + 0.15 * random.normal()))
  const failsAt = failed ? random.below(stepKinds.length) : -1
  const slowness = type.speed * straggler * (cold ? 1 : 0.4)
  const steps = stepsOf({ day, cold, baked: image.baked, failsAt, slowness }, random, startUptime)
  const purpose = random.uniform() < 0.005 ? 'verify' : 'fleet'
  const isOld = random.uniform() < 0.3
  return {
    ...identityOf(recipe, id),
    serial: 1 + Math.floor(day / 15),
    bundle: hex(`bundle ${stepKinds.map((kind) => Math.floor(day / kind.every)).join('-')}`),
    image: image.id,
    trigger: cold ? 'boot' : 'cron',
    purpose,
    first: cold,
    cold,
    startedAt: Math.floor(atMs / 1000),
    startUptime,
    readyUptime: hundredths(steps.reduce((uptime, { wall }) => uptime + wall, startUptime)),
    fetchSeconds: hundredths(0.3 + random.uniform()),
    outcome: failed ? 'failed' : 'ok',
    error: failed ? `step ${stepKinds[failsAt]?.name ?? ''} failed with exit status 1` : '',
    os: isOld
      ? { id: 'debian', version: '12', arch: 'x86_64', kernel: '6.1.0-41-amd64' }
      : { id: 'debian', version: '13', arch: 'x86_64', kernel: '6.12.0-3-amd64' },
    // Some hosts are no cloud's.
    ...(random.uniform() < 0.05
      ? {}
      : { instanceType: type.name, region: regions[random.below(regions.length)] ?? 'eu-central-1' }),
    steps,
  }
}

function identityOf(recipe: string, id: string) {
  const host = `web-${hex(`host ${id}`).slice(0, 8)}`
  return {
    v: 1 as const,
    run: uuid(`run ${id}`),
    host,
    hostname: host.slice(0, -9),
    instance: `i-${hex(`instance ${id}`).slice(0, 17)}`,
    recipe,
    channel: 'stable',
    agentVersion: '1',
    cpus: 2,
    memoryKiB: 7_864_320,
    tools: { fetch: 'curl-sigv4', verify: 'openssl', lock: 'flock' },
    identity: { machineId: hex(`m ${id}`), sshHostKeys: hex(`k ${id}`), hostname: hex(`h ${id}`) },
  }
}

function stepsOf(boot: Boot, random: RandomNumbers, startUptime: number): StepReport[] {
  let uptime = startUptime
  return stepKinds.map((kind, index): StepReport => {
    const state = stepState(kind.when, index, boot, random)
    const wall = state.runs ? hundredths(kind.wall * boot.slowness * Math.exp(kind.sigma * random.normal())) : 0
    const step: StepReport = {
      name: kind.name,
      digest: hex(`${kind.name} ${Math.floor(boot.day / kind.every)}`),
      when: kind.when,
      outcome: state.outcome,
      baked: state.baked,
      startUptime: state.runs ? hundredths(uptime) : 0,
      wall,
      cpu: hundredths(wall * (0.3 + 0.5 * random.uniform())),
      rxBytes: state.runs ? Math.round(kind.rx * (0.9 + 0.2 * random.uniform())) : 0,
      diskBytes: state.runs ? Math.round(kind.disk * (0.9 + 0.2 * random.uniform())) : 0,
      exit: state.outcome === 'failed' ? 1 : 0,
      attempts: state.runs ? 1 : 0,
    }
    uptime += wall
    return state.outcome === 'failed' ? { ...step, output: 'E: Unable to fetch some archives\n' } : step
  })
}

interface StepState {
  readonly outcome: StepReport['outcome']
  readonly baked: boolean
  readonly runs: boolean
}

function stepState(when: StepReport['when'], index: number, boot: Boot, random: RandomNumbers): StepState {
  const baked = boot.cold && when === 'change' && index < boot.baked
  // A converge by cron runs what changed, and what always runs.
  const due = !baked && (boot.cold || when === 'always' || random.uniform() < 0.3)
  if (boot.failsAt !== -1 && index > boot.failsAt) return { outcome: 'blocked', baked: false, runs: false }
  if (index === boot.failsAt) return { outcome: 'failed', baked: false, runs: true }
  return due ? { outcome: 'ran', baked: false, runs: true } : { outcome: 'stamped', baked, runs: false }
}

function hundredths(seconds: number): number {
  return Math.round(seconds * 100) / 100
}

function hex(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function uuid(text: string): string {
  const digits = hex(text)
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20, 32),
  ].join('-')
}
