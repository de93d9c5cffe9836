import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { compare } from '../../bench/fleet/compare.ts'
import { duckFigures } from '../../bench/fleet/duckdb.ts'
import { documentsOf, writeDocuments } from '../../bench/fleet/synthetic.ts'
import { FleetBuilder } from '../../src/profile/rollup/fleet-builder.ts'
import { readDays } from '../../src/profile/rollup/read.ts'
import { rollUp } from '../../src/profile/rollup/roll-up.ts'
import { openStore } from '../../src/store/open.ts'
import { startEmbedded, type Embedded } from '../support/embedded.ts'
import { accountEnv, minioUrl, s3Url } from '../support/s3.ts'

const dayMs = 86_400_000

let embedded: Embedded
beforeAll(async () => {
  embedded = await startEmbedded()
})
afterAll(() => embedded[Symbol.asyncDispose]())

it.each([
  ['s3', s3Url],
  ['minio', minioUrl],
] as const)('counts once over %s:// what runs at the same time read, in a day of several pages', async (place, url) => {
  // So long ago that the days are not looked at again.
  const end = Math.floor(Date.now() / dayMs - 20) * dayMs + 7_200_000
  const options = { recipe: 'web', seed: 4, perHour: 60, hours: 26, end }
  const documents = writeDocuments(join(embedded.directory, place), documentsOf(options))
  const store = await openStore(url(embedded.account, 'parbake', place), { env: accountEnv(embedded.account) })
  const results = await Promise.all([100, 333].map((batch) => rollUp(store, 'web', { batch })))
  expect(results.reduce((sum, result) => sum + result.documents, 0)).toBe(documents)
  const builder = new FleetBuilder()
  for await (const { day, tally, rolledUp } of readDays(store, 'web')) builder.add(day, tally, rolledUp)
  const fleet = builder.build('web')
  expect(fleet.reports.rolledUp).toBe(documents)
  expect(compare(fleet, await duckFigures(join(embedded.directory, place), 'web')).problems).toEqual([])
  store.close()
})
