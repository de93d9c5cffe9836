/**
 * Launch-to-ready side by side in one run: the bare base with nothing to do, everything at runtime, the baked image; and
 * the agent's own share of a converge. Targets: image at most 1.0 times the bare base; agent below 3 %.
 *
 *   npm run build && node dist/cli.js demo && npx tsx bench/launch-to-ready.ts [ROUNDS]
 *
 * Uses the configuration, base, bundle and image that the demo left.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findBase } from '../src/base/cache.ts'
import { cloudConfig } from '../src/cloud-config/index.ts'
import type { Context } from '../src/context.ts'
import { fetchImage, findImage } from '../src/image/images.ts'
import { createOverlay } from '../src/image/qemu-img.ts'
import { loadTrustedKeys } from '../src/keys/index.ts'
import { launch, type LaunchDisk } from '../src/launch/launch.ts'
import { loadConfig } from '../src/load-config.ts'
import type { Report } from '../src/profile/report.ts'
import { loadRecipe } from '../src/recipe/load.ts'
import { silentReporter } from '../src/report/reporters.ts'
import { openStore } from '../src/store/open.ts'
import { tempDir } from '../src/system/temp.ts'
import { probeAccelerator } from '../src/vm/accelerator.ts'
import { writeSeedIso } from '../src/vm/seed.ts'
import { startGuest } from '../src/vm/vm.ts'
import { countArgument, figureRows, median } from './figures.ts'

const rounds = countArgument(process.argv[2], 3)
const controller = new AbortController()
process.once('SIGINT', () => controller.abort())
const context: Context = {
  config: await loadConfig(process.cwd()),
  reporter: silentReporter,
  signal: controller.signal,
}

/** Seconds from power-on until a runcmd that only says so has run. */
async function bareBase(path: string): Promise<number> {
  await using work = await tempDir('bench')
  const [disk, seed] = [join(work.path, 'disk.qcow2'), join(work.path, 'seed.iso')]
  const userData = cloudConfig().runCommand('echo bench-ready >/dev/console').render()
  await createOverlay(disk, path)
  await writeSeedIso(seed, { userData, metaData: `instance-id: ${randomUUID()}\nlocal-hostname: bench\n` }, context)
  await using vm = await startGuest({
    disk,
    seed,
    memoryMiB: context.config.vm.memoryMiB,
    cpus: context.config.vm.cpus,
    accelerator: await probeAccelerator(context.config.vm.accelerator),
    consoleLog: join(work.path, 'console.log'),
    signal: context.signal,
    timeoutSeconds: 300,
  })
  return ((await vm.waitForLine(/bench-ready/, 300)).atMs - vm.startedAtMs) / 1000
}

/** Share of the time between the first step's start and the last step's end that was in no step. */
function agentShare(report: Report): number {
  const ran = report.steps.filter((step) => step.attempts > 0)
  const start = Math.min(...ran.map((step) => step.startUptime))
  const end = Math.max(...ran.map((step) => step.startUptime + step.wall))
  const inSteps = ran.reduce((sum, step) => sum + step.wall, 0)
  return 1 - inSteps / (end - start)
}

const recipe = await loadRecipe(fileURLToPath(new URL('../recipes/web', import.meta.url)))
const base = await findBase(context.config.base, context)
const store = await openStore(context.config.store)
const place = {
  store,
  recipe: recipe.name,
  channel: context.config.channel,
  trustedKeys: loadTrustedKeys(context.config),
}
const manifest = await findImage(place, 'latest', context.signal)
const image: LaunchDisk = {
  path: await fetchImage(context, place, manifest),
  imageId: manifest.imageId,
  base: manifest.base.name,
}
store.close()

const groups = new Map<string, number[]>([
  ['bare base', []],
  ['everything at runtime', []],
  ['baked image', []],
])
const shares: number[] = []
for (let round = 1; round <= rounds; round += 1) {
  groups.get('bare base')?.push(await bareBase(base.path))
  for (const [name, disk] of [
    ['everything at runtime', { path: base.path, imageId: '', base: base.name }],
    ['baked image', image],
  ] as const) {
    await using launched = await launch(context, { recipe, disk, purpose: 'verify' })
    groups.get(name)?.push(launched.launchSeconds)
    if (disk.imageId === '') shares.push(agentShare(launched.report))
  }
  process.stderr.write(`round ${round} of ${rounds} done\n`)
}
process.stdout.write(`${figureRows(groups, 's')}\n`)
process.stdout.write(`agent outside steps: ${(median(shares) * 100).toFixed(2)} % of the converge\n`)
