import { expect, it } from 'vitest'
import { compare } from '../../bench/fleet/compare.ts'
import { duckFigures } from '../../bench/fleet/duckdb.ts'
import { documentsOf, writeDocuments, type FleetOptions } from '../../bench/fleet/synthetic.ts'
import type { FleetStatistics } from '../../src/profile/fleet.ts'
import { FleetBuilder } from '../../src/profile/rollup/fleet-builder.ts'
import { readDays } from '../../src/profile/rollup/read.ts'
import { rollUp } from '../../src/profile/rollup/roll-up.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { tempDir } from '../../src/system/temp.ts'

const options: FleetOptions = { recipe: 'web', seed: 11, perHour: 40, hours: 96, end: Date.UTC(2026, 10, 20, 12) }

/** Rolled up but for the last hours, which are read. */
async function statisticsOf(root: string): Promise<FleetStatistics> {
  const store = openDirectoryStore(root)
  writeDocuments(root, documentsOf(options, 0, 90))
  await rollUp(store, 'web', { now: options.end })
  writeDocuments(root, documentsOf(options, 90))
  const builder = new FleetBuilder()
  for await (const { day, tally, rolledUp } of readDays(store, 'web', { now: options.end })) {
    builder.add(day, tally, rolledUp)
  }
  return builder.build('web')
}

it('DuckDB, reading the same files, finds the same counts, and quantiles within the stated error', async () => {
  await using dir = await tempDir('duckdb')
  const fleet = await statisticsOf(dir.path)
  const duck = await duckFigures(dir.path, 'web')
  const { problems, exact, quantiles } = compare(fleet, duck)
  expect(problems).toEqual([])
  // Both kinds of sketch were compared, and enough of them.
  expect(exact).toBeGreaterThan(500)
  expect(quantiles).toBeGreaterThan(150)
  const counts = fleet.steps.map(({ cold }) => cold.count)
  expect(Math.max(...counts)).toBeGreaterThan(fleet.quantiles.exactUpTo)
  expect(duck.counts.skipped).toBeGreaterThan(0)
  expect(duck.counts.failed).toBeGreaterThan(0)
  // The comparison finds a single report too many, and a quantile that is off.
  const [first] = duck.steps
  const more = { ...duck, counts: { ...duck.counts, cold: duck.counts.cold + 1 } }
  expect(compare(fleet, more).problems).toHaveLength(1)
  const off = { ...duck, steps: [{ ...first!, median: first!.median * 1.02 }, ...duck.steps.slice(1)] }
  expect(compare(fleet, off).problems).toHaveLength(1)
})
