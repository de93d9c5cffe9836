// A synthetic fleet in a directory store: is the rollup linear, bounded in memory, restartable, cheap for one more hour,
// and does DuckDB, reading the same files, find the same?
//
//   npx tsx bench/fleet/main.ts [--reports 1000000] [--days 90] [--seed 1] [--folder DIR] [--phase NAME]
//
// Needs about 4 KiB of disk and an inode per report. Phases run in order and keep what they found in DIR/results.json:
// small, generate, roll-up, resume, hour, compare, clean; without --phase all of them.
import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { FleetBuilder } from '../../src/profile/rollup/fleet-builder.ts'
import { readDays } from '../../src/profile/rollup/read.ts'
import type { RollUpResult } from '../../src/profile/rollup/roll-up.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { compare } from './compare.ts'
import { duckFigures } from './duckdb.ts'
import { documentsOf, writeDocuments, type FleetOptions } from './synthetic.ts'

const recipe = 'fleet'
const hourMs = 3_600_000
const { values } = parseArgs({
  options: {
    reports: { type: 'string', default: '1000000' },
    days: { type: 'string', default: '90' },
    seed: { type: 'string', default: '1' },
    folder: { type: 'string', default: join(tmpdir(), 'parbake-bench-fleet') },
    phase: { type: 'string' },
  },
})
const reports = Number(values.reports)
const days = Number(values.days)
const { folder } = values
const resultsFile = join(folder, 'results.json')

interface Results {
  /** Milliseconds since the epoch: all phases must mean the same hours. */
  end: number
  measured: Record<string, unknown>
}

mkdirSync(folder, { recursive: true })
const results: Results = existsSync(resultsFile)
  ? (JSON.parse(readFileSync(resultsFile, 'utf8')) as Results)
  : { end: Math.floor(Date.now() / hourMs) * hourMs, measured: {} }

const say = (text: string) => process.stdout.write(`${text}\n`)

function keep(name: string, figures: unknown): void {
  results.measured[name] = figures
  writeFileSync(resultsFile, `${JSON.stringify(results, null, 2)}\n`)
  say(`${name}: ${JSON.stringify(figures)}`)
}

function fleet(count: number): FleetOptions {
  const hours = days * 24
  return { recipe, seed: Number(values.seed), perHour: Math.ceil(count / hours), hours, end: results.end }
}

function seconds<T>(work: () => T): { result: T; seconds: number } {
  const start = performance.now()
  const result = work()
  return { result, seconds: Math.round(performance.now() - start) / 1000 }
}

/** Undefined where it was killed, as asked. */
function rollUpChild(root: string, killAfter?: number): Promise<(RollUpResult & { peakMiB: number }) | undefined> {
  const args = ['--import', 'tsx', join(import.meta.dirname, 'child.ts'), root, recipe]
  const child = spawn(process.execPath, killAfter === undefined ? args : [...args, String(killAfter)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (signal === 'SIGKILL' && killAfter !== undefined) resolve(undefined)
      else if (code === 0) resolve(JSON.parse(text) as RollUpResult & { peakMiB: number })
      else reject(new Error(`the roll-up ended with ${code ?? signal}`))
    })
  })
}

function checkRoom(count: number): void {
  const { bavail, bsize, ffree } = statfsSync(folder)
  if (ffree < count * 1.1 || bavail * bsize < count * 4500) throw new Error(`${folder} has no room for ${count} files`)
}

const main = join(folder, 'store')
const remove = promisify(execFile)

const phases: Readonly<Record<string, () => Promise<void>>> = {
  /** A tenth and a fifth of the fleet: what is linear takes twice as long for the second. */
  small: async () => {
    for (const part of [10, 5]) {
      const root = join(folder, `part-${part}`)
      checkRoom(reports / part)
      writeDocuments(root, documentsOf(fleet(reports / part)))
      keep(`roll-up of a ${part === 10 ? 'tenth' : 'fifth'}`, await rollUpChild(root))
      await remove('rm', ['-rf', root])
    }
  },
  generate: async () => {
    checkRoom(reports)
    const made = seconds(() => writeDocuments(main, documentsOf(fleet(reports))))
    keep('generate', { documents: made.result, seconds: made.seconds })
  },
  /** Killed at two fifths. */
  'roll-up': async () => {
    const start = performance.now()
    await rollUpChild(main, reports * 0.4)
    keep('roll-up until it was killed', { seconds: (performance.now() - start) / 1000 })
  },
  resume: async () => {
    keep('roll-up of the rest', await rollUpChild(main))
  },
  hour: async () => {
    keep('roll-up of nothing new', await rollUpChild(main))
    const { hours, ...options } = fleet(reports)
    // Documents of hours after the fleet's last one, as they arrive.
    for (const [from, to] of [
      [0, 1],
      [1, 3],
      [3, 7],
    ] as const) {
      const later = { ...options, hours: hours + to, end: options.end + to * hourMs }
      writeDocuments(main, documentsOf(later, hours + from, hours + to))
      keep(`roll-up of ${to - from} more hours`, await rollUpChild(main))
    }
  },
  compare: async () => {
    const start = performance.now()
    const builder = new FleetBuilder()
    for await (const { day, tally, rolledUp } of readDays(openDirectoryStore(main), recipe)) {
      builder.add(day, tally, rolledUp)
    }
    const statistics = builder.build(recipe)
    keep('statistics from rollups', { ...statistics.reports, seconds: (performance.now() - start) / 1000 })
    const before = performance.now()
    const duck = await duckFigures(main, recipe)
    keep('DuckDB', { ...duck.counts, seconds: (performance.now() - before) / 1000 })
    const { problems, ...agreement } = compare(statistics, duck)
    keep('agreement', { ...agreement, problems: problems.length })
    for (const problem of problems.slice(0, 20)) say(`! ${problem}`)
    if (problems.length > 0) process.exitCode = 1
  },
  clean: async () => {
    await remove('rm', ['-rf', folder])
  },
}

const wanted = values.phase === undefined ? Object.keys(phases) : [values.phase]
for (const name of wanted) {
  const phase = phases[name]
  if (phase === undefined) throw new Error(`no phase ${name}: ${Object.keys(phases).join(', ')}`)
  await phase()
}
