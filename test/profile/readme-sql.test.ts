import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { documentsOf, writeDocuments } from '../../bench/fleet/synthetic.ts'
import type { FleetStatistics } from '../../src/profile/fleet.ts'
import { reportSchema } from '../../src/profile/report.ts'
import { FleetBuilder } from '../../src/profile/rollup/fleet-builder.ts'
import { readDays } from '../../src/profile/rollup/read.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { repository } from '../support/source-files.ts'

const readme = await readFile(join(repository, 'README.md'), 'utf8')

/** The one block of SQL that is marked so. */
function sqlOf(engine: string): string {
  const found = [...readme.matchAll(new RegExp(`^\`\`\`sql ${engine}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))]
  expect(found).toHaveLength(1)
  return found[0]?.[1] ?? ''
}

let dir: TempDir
let instance: DuckDBInstance
let connection: DuckDBConnection
let fleet: FleetStatistics

beforeAll(async () => {
  dir = await tempDir('readme-sql')
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
  const end = Date.UTC(2026, 10, 20)
  writeDocuments(dir.path, documentsOf({ recipe: 'web', seed: 2, perHour: 10, hours: 60, end }))
  const builder = new FleetBuilder()
  for await (const { day, tally } of readDays(openDirectoryStore(dir.path), 'web', { now: end }))
    builder.add(day, tally)
  fleet = builder.build('web')
})

afterAll(async () => {
  connection.closeSync()
  instance.closeSync()
  await dir[Symbol.asyncDispose]()
})

async function rowsOf(sql: string): Promise<readonly Record<string, unknown>[]> {
  return (await connection.runAndReadAll(sql)).getRowObjects()
}

/** What a query found, against parbake's own figures. */
function expectSame(rows: readonly Record<string, unknown>[]): void {
  const ours = fleet.steps.flatMap(({ name, digest, cold }) =>
    cold.wall === undefined ? [] : [{ name, digest, ...cold.wall }],
  )
  expect(rows.length).toBe(ours.length)
  expect(ours.length).toBeGreaterThan(5)
  for (const row of rows) {
    const step = ours.find(({ digest }) => digest === row['digest'])
    expect([row['name'], Number(row['runs'])]).toEqual([step?.name, step?.count])
    expect(Math.abs(Number(row['median']) / step!.median - 1)).toBeLessThan(0.006)
    expect(Math.abs(Number(row['p95']) / step!.p95 - 1)).toBeLessThan(0.006)
  }
}

const fromFolder = (sql: string) => sql.replace('store/reports/', `${dir.path}/reports/`)

describe('SQL in README.md', () => {
  it('for DuckDB finds what parbake finds', async () => {
    const sql = fromFolder(sqlOf('duckdb'))
    expect(sql).toContain(dir.path)
    expectSame(await rowsOf(sql))
  })

  it('for Trino finds the same, as far as DuckDB understands it', async () => {
    const columns = /CREATE EXTERNAL TABLE reports_web \(([\s\S]*?)\n\)/.exec(sqlOf('athena'))?.[1] ?? ''
    // The table of the README, in DuckDB's words.
    const duckColumns = columns
      .trim()
      .replaceAll(/array<struct<([^>]*)>>/g, (_, fields: string) => `STRUCT(${fields.replaceAll(':', '')})[]`)
      .replaceAll('string', 'VARCHAR')
      .split(/,\s*(?![^(]*\))/)
      .map((column) => {
        const [name = '', ...type] = column.trim().split(' ')
        // The SerDe reads member names without regard to case.
        const member = [...Object.keys(reportSchema.shape)].find((key) => key.toLowerCase() === name)
        expect(member, `${name} is a member of reports`).toBeDefined()
        return `${member}: '${type.join(' ')}'`
      })
    await connection.run(`create or replace view reports_web as select * from read_json('${dir.path}/reports/web/*/*.json',
      format = 'newline_delimited', hive_partitioning = true, ignore_errors = true, columns = {${duckColumns.join(', ')}})`)
    await connection.run('create or replace macro approx_percentile(x, p) as quantile_cont(x, p)')
    const sql = sqlOf('trino')
    // Trino makes a column of each member of a row, DuckDB has to be told.
    const lateral = sql.replace('CROSS JOIN UNNEST(steps) AS', ', LATERAL (SELECT unnest(steps, max_depth := 2)) AS')
    expect(lateral).not.toBe(sql)
    expectSame(await rowsOf(lateral))
  })

  it('for Athena names the folders that reports lie in', () => {
    const sql = sqlOf('athena')
    const [location] = /(?<=LOCATION ')[^']*/.exec(sql) ?? []
    expect(location).toMatch(/\/reports\/web\/$/)
    expect(sql).toContain(`'storage.location.template' = '${location}dt=\${dt}/'`)
  })
})
