import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { keys } from '../store/keys.ts'
import { listAll, type ObjectInfo, type ObjectStore } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import { readDocuments } from './ingest.ts'
import { readLaunches } from './launches.ts'
import type { Report } from './report.ts'
import { waterfallOf, type Waterfall } from './waterfall.ts'

export interface FindBootInput {
  readonly store: ObjectStore
  readonly recipe: string
  /** A run id, or `last`: the newest first converge of a boot. */
  readonly run: string
  /** Where `parbake launch` on this machine keeps its records. */
  readonly stateDir: string
  readonly signal?: AbortSignal
}

export interface FoundBoot {
  readonly report: Report
  readonly waterfall: Waterfall
}

const dayMs = 86_400_000
/** `last` looks no further back. */
const lastDays = 31

/** The same with the configured store. */
export async function loadBoot({ config, signal }: Context, recipe: string, run: string): Promise<FoundBoot> {
  const store = await openStore(config.store)
  try {
    return await findBoot({ store, recipe, run, stateDir: config.stateDir, signal })
  } finally {
    store.close()
  }
}

/**
 * Finds one boot in the store and lays it out. Throws UserError where there is none (`no-boot`), where the run did not
 * begin with a boot, and where the store fails.
 */
export async function findBoot(input: FindBootInput): Promise<FoundBoot> {
  const report = input.run === 'last' ? await lastBoot(input) : await boot(input)
  const launches = await readLaunches(input.stateDir, input.recipe)
  const launch = launches.find((each) => each.run === report.run)
  return { report, waterfall: waterfallOf(report, launch) }
}

async function lastBoot({ store, recipe, signal }: FindBootInput): Promise<Report> {
  const now = Date.now()
  // A host's clock may be ahead by some hours.
  for (let back = -1; back <= lastDays; back += 1) {
    const objects: ObjectInfo[] = []
    for await (const info of listAll(store, dayPrefix(recipe, now - back * dayMs), signal)) objects.push(info)
    const newestFirst = objects.toSorted((a, b) => b.modifiedMs - a.modifiedMs)
    for await (const { document } of readDocuments(store, recipe, newestFirst, signal)) {
      if (document !== undefined && !('reason' in document) && isBoot(document)) return document
    }
  }
  throw new UserError(`no host has reported a boot of ${recipe} in the last ${lastDays} days`, {
    hint: 'launch it first, or name the run: parbake profile RECIPE --boot RUN',
    code: 'no-boot',
  })
}

function isBoot(report: Report): boolean {
  return report.purpose === 'fleet' && report.first && report.trigger !== 'cron' && report.bundle !== ''
}

/** The key of a report ends with its run id, but begins with a day and a host. */
async function boot({ store, recipe, run, stateDir, signal }: FindBootInput): Promise<Report> {
  const launch = (await readLaunches(stateDir, recipe)).find((each) => each.run === run)
  const days = launch === undefined ? [] : [-1, 0, 1].map((day) => Date.parse(launch.at) + day * dayMs)
  for (const prefix of [...days.map((day) => dayPrefix(recipe, day)), keys.reportsPrefix(recipe)]) {
    for await (const info of listAll(store, prefix, signal)) {
      if (!info.key.endsWith(`-${run}.json`)) continue
      for await (const { document } of readDocuments(store, recipe, [info], signal)) {
        if (document === undefined || 'reason' in document) continue
        if (document.first) return document
        throw new UserError(`run ${run} of ${recipe} was not the first converge of a boot`, {
          hint: 'only those tell how a boot went',
          code: 'no-boot',
        })
      }
    }
  }
  throw new UserError(`there is no report of a run ${run} of ${recipe}`, {
    hint: "a run id is in the line 'parbake: ready …' on the console; 'last' takes the newest boot",
    code: 'no-boot',
  })
}

function dayPrefix(recipe: string, ms: number): string {
  return `${keys.reportsPrefix(recipe)}dt=${new Date(ms).toISOString().slice(0, 10)}/`
}
