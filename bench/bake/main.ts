/**
 * Makes the same image with every tool, one after the other in each round, and compares time, size and memory.
 *
 *   npm run build && npx tsx bench/bake/main.ts [--tools packer,virt,container,vm] [--runs 3] [--quick] [--install]
 *     [--json FILE]
 *
 * Tools: packer (QEMU builder), packer-zstd (the same, with compression as fast as qemu-img has it), virt (virt-customize,
 * virt-sysprep, virt-sparsify), container and vm (parbake's engines). All bake the base debian-12 with the six scripts of
 * bench/bake/recipe. --quick: one round, and no look at how cost grows with what is written. --install lets apt-get install
 * what a tool needs. Every image is checked for what must be in it.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildBase, findBase, type Base } from '../../src/base/index.ts'
import type { Context } from '../../src/context.ts'
import { formatUserError, UserError } from '../../src/errors.ts'
import { loadConfig } from '../../src/load-config.ts'
import { plainReporter } from '../../src/report/reporters.ts'
import { tempDir } from '../../src/system/temp.ts'
import { probeAccelerator } from '../../src/vm/accelerator.ts'
import { countArgument } from '../figures.ts'
import type { Bench, Contender, Sample } from './contender.ts'
import { checkContents, workloadResult } from './contents.ts'
import { measureGrowth, type GrowthSample } from './growth.ts'
import { aptInstall, missingPackages } from './install.ts'
import { packers } from './packer.ts'
import { parbake } from './parbake.ts'
import { aimsTable, growthTable, judgeAims, samplesTable } from './results.ts'
import { virtTools } from './virt.ts'

const engines = ['container', 'vm'] as const
const all: readonly Contender[] = [...packers, virtTools, ...engines.map(parbake)]

interface Options {
  readonly contenders: readonly Contender[]
  readonly runs: number
  readonly growth: boolean
  readonly install: boolean
  readonly json: string | undefined
}

function parseOptions(): Options {
  const { values } = parseArgs({
    options: {
      tools: { type: 'string', default: 'packer,virt,container,vm' },
      runs: { type: 'string' },
      quick: { type: 'boolean', default: false },
      install: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
  })
  const contenders = values.tools.split(',').map((name) => {
    const found = all.find((contender) => contender.name === name)
    if (found !== undefined) return found
    throw new RangeError(`'${name}' is none of ${all.map((contender) => contender.name).join(', ')}`)
  })
  const runs = countArgument(values.runs, values.quick ? 1 : 3)
  return { contenders, runs, growth: !values.quick, install: values.install, json: values.json }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

async function needPackages({ contenders, install }: Options): Promise<void> {
  let missing = await missingPackages(contenders)
  if (missing.length > 0 && install) {
    aptInstall(missing)
    missing = await missingPackages(contenders)
  }
  if (missing.length === 0) return
  throw new UserError(`missing: ${missing.join(', ')}`, {
    hint: `let the bench install it (--install), install it (apt-get install --no-install-recommends ${missing.join(' ')}), or leave a tool out (--tools)`,
  })
}

async function anyBase(name: string, context: Context): Promise<Base> {
  try {
    return await findBase(name, context)
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'base-missing') throw error
    return buildBase(name, context)
  }
}

/** One image by each tool, each in a folder that is gone afterwards. */
async function round(bench: Bench, contenders: readonly Contender[], samples: Map<string, Sample[]>): Promise<void> {
  for (const contender of contenders) {
    const folder = join(bench.work, contender.name)
    await mkdir(folder)
    try {
      await contender.bake(bench, folder, async (label, sample, disk) => {
        await checkContents(disk, workloadResult(50), bench.signal)
        samples.set(label, [...(samples.get(label) ?? []), sample])
        const parts = Object.entries(sample.parts ?? {}).map(([name, seconds]) => `${name} ${seconds.toFixed(1)}`)
        bench.say(
          `${label}: ${sample.seconds.toFixed(1)} s, ${(sample.sizeBytes / 1e6).toFixed(0)} MB, ` +
            `peak ${sample.peakMiB.toFixed(0)} MiB${parts.length === 0 ? '' : ` (${parts.join(', ')} s)`}`,
        )
      })
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    }
  }
}

async function main(signal: AbortSignal): Promise<void> {
  const options = parseOptions()
  await needPackages(options)
  const config = await loadConfig(process.cwd())
  const reporter = plainReporter({ stream: process.stderr, verbose: false, quiet: false })
  const base = await anyBase('debian-12', { config, reporter, signal })
  const { name: accelerator, reason } = await probeAccelerator(config.vm.accelerator)
  await using work = await tempDir('bench')
  // Outlives the folder, for it tells what went wrong.
  const log = join(tmpdir(), `parbake-bench-${process.pid}.log`)
  const bench: Bench = { basePath: base.path, accelerator, work: work.path, log, signal, say }
  say(`base ${base.digest.slice(0, 12)}, ${accelerator} (${reason}), output of the tools in ${log}`)
  for (const contender of options.contenders) await contender.prepare?.(bench)
  const samples = new Map<string, Sample[]>()
  for (let index = 1; index <= options.runs; index += 1) {
    say(`round ${index} of ${options.runs}`)
    await round(bench, options.contenders, samples)
  }
  const growth = new Map<string, readonly GrowthSample[]>()
  for (const engine of engines) {
    if (!options.growth || !options.contenders.some(({ name }) => name === engine)) continue
    growth.set(engine, await measureGrowth(bench, engine))
  }
  await tell(options, { base: base.digest, accelerator, samples, growth })
}

interface Outcome {
  readonly base: string
  readonly accelerator: string
  readonly samples: ReadonlyMap<string, readonly Sample[]>
  readonly growth: ReadonlyMap<string, readonly GrowthSample[]>
}

async function tell({ json, runs }: Options, { base, accelerator, samples, growth }: Outcome): Promise<void> {
  const results = judgeAims(samples)
  const tables = [samplesTable(samples), aimsTable(results), growthTable(growth)]
  process.stdout.write(`${tables.filter((table) => table !== '').join('\n\n')}\n`)
  if (json === undefined) return
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, memoryBytes: totalmem(), node: process.versions.node }
  const document = {
    ...{ at: new Date().toISOString(), machine, base, accelerator, runs },
    ...{ samples: Object.fromEntries(samples), aims: results, growth: Object.fromEntries(growth) },
  }
  await writeFile(json, `${JSON.stringify(document, null, 2)}\n`)
}

const controller = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => controller.abort(new Error(signal)))
try {
  await main(controller.signal)
} catch (error) {
  say(error instanceof UserError ? formatUserError(error) : error instanceof Error ? error.message : String(error))
  process.exitCode = controller.signal.aborted ? 130 : 1
}
