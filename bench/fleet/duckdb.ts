import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'

/** Figures that DuckDB computes from the very files; nothing of parbake's code is used to read them. */
export interface DuckFigures {
  readonly counts: Readonly<Record<'fleet' | 'cold' | 'failed' | 'warmFailed' | 'otherPurpose' | 'skipped', number>>
  readonly steps: readonly DuckRow[]
  readonly groups: readonly DuckRow[]
  readonly stepGroups: readonly DuckRow[]
  readonly days: readonly DuckRow[]
  readonly outcomes: readonly DuckOutcome[]
}

/** Exact statistics of one group of samples, and the two samples next to each quantile. */
export interface DuckRow {
  /** What was grouped by, e.g. a step digest and `cold`. */
  readonly key: string
  readonly n: number
  readonly median: number
  readonly p95: number
  readonly min: number
  readonly max: number
  readonly mean: number
  readonly stddev: number
}

export interface DuckOutcome {
  readonly key: string
  readonly failures: number
  readonly baked: number
}

const isFleet = `purpose = 'fleet'`
const isReady = `${isFleet} and cold and outcome = 'ok'`
const dimensions = {
  instanceType: `coalesce(instanceType, 'unknown')`,
  region: `coalesce(region, 'unknown')`,
  image: 'image',
  distribution: `os.id || '-' || os.version`,
}

/** Reads all reports of a recipe below a directory store and computes everything that is compared. */
export async function duckFigures(root: string, recipe: string): Promise<DuckFigures> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' })
  const connection = await instance.connect()
  try {
    // Else it reads small files one by one, in order.
    await connection.run('set preserve_insertion_order = false')
    await connection.run(loadSql(root, recipe))
    await connection.run(`create table runs as
      select cold, image, instanceType, region, os, unnest(steps, max_depth := 2) from reports where ${isFleet}`)
    return {
      counts: await countsOf(connection),
      steps: await rows(connection, `digest || ' ' || cold`, 'wall', `runs where outcome = 'ran'`),
      groups: await perDimension(connection, (value) => value, 'readyUptime', `reports where ${isReady}`),
      stepGroups: await perDimension(
        connection,
        (value) => `digest || ' ' || cold || ' ' || ${value}`,
        'wall',
        `runs where outcome = 'ran'`,
      ),
      days: await rows(connection, `dt || ' ' || image || ' ' || bundle`, 'readyUptime', `reports where ${isReady}`),
      outcomes: await outcomesOf(connection),
    }
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** The README has the same for people. A line that is no JSON becomes a row without a version. */
function loadSql(root: string, recipe: string): string {
  const glob = `${root}/reports/${recipe}/*/*.json`.replaceAll(`'`, `''`)
  return `
    create table everything as
    select * from read_json('${glob}', format = 'newline_delimited', hive_partitioning = true, hive_types_autocast = false,
      ignore_errors = true, columns = {
        v: 'INTEGER', recipe: 'VARCHAR', purpose: 'VARCHAR', cold: 'BOOLEAN', outcome: 'VARCHAR', image: 'VARCHAR',
        bundle: 'VARCHAR', readyUptime: 'DOUBLE', instanceType: 'VARCHAR', region: 'VARCHAR',
        os: 'STRUCT(id VARCHAR, version VARCHAR)',
        steps: 'STRUCT(name VARCHAR, digest VARCHAR, outcome VARCHAR, baked BOOLEAN, wall DOUBLE)[]'
      });
    create view reports as select * from everything where v = 1 and recipe = '${recipe}'`
}

async function countsOf(connection: DuckDBConnection): Promise<DuckFigures['counts']> {
  const [row] = await query(
    connection,
    `select
      count(*) filter (${isFleet}) fleet,
      count(*) filter (${isFleet} and cold) cold,
      count(*) filter (${isFleet} and cold and outcome = 'failed') failed,
      count(*) filter (${isFleet} and not cold and outcome = 'failed') "warmFailed",
      count(*) filter (not ${isFleet}) "otherPurpose",
      (select count(*) from everything) - count(*) skipped
    from reports`,
  )
  const value = (name: string) => Number(row?.[name])
  return {
    fleet: value('fleet'),
    cold: value('cold'),
    failed: value('failed'),
    warmFailed: value('warmFailed'),
    otherPurpose: value('otherPurpose'),
    skipped: value('skipped'),
  }
}

async function rows(connection: DuckDBConnection, key: string, value: string, from: string): Promise<DuckRow[]> {
  const found = await query(
    connection,
    `select ${key} as key, count(*) as n, quantile_cont(${value}, 0.5) as median, quantile_cont(${value}, 0.95) as p95,
      min(${value}) as min, max(${value}) as max, avg(${value}) as mean, coalesce(stddev_samp(${value}), 0) as stddev
    from ${from} group by 1 order by 1`,
  )
  return found.map((row) => ({
    key: String(row['key']),
    n: Number(row['n']),
    median: Number(row['median']),
    p95: Number(row['p95']),
    min: Number(row['min']),
    max: Number(row['max']),
    mean: Number(row['mean']),
    stddev: Number(row['stddev']),
  }))
}

async function perDimension(
  connection: DuckDBConnection,
  keyOf: (value: string) => string,
  value: string,
  from: string,
): Promise<DuckRow[]> {
  const all: DuckRow[] = []
  for (const [dimension, expression] of Object.entries(dimensions)) {
    all.push(...(await rows(connection, `'${dimension} ' || ${keyOf(expression)}`, value, from)))
  }
  return all
}

async function outcomesOf(connection: DuckDBConnection): Promise<DuckOutcome[]> {
  const found = await query(
    connection,
    `select digest || ' ' || cold as key, count(*) filter (outcome = 'failed') as failures,
      count(*) filter (outcome = 'stamped' and baked) as baked from runs group by 1 order by 1`,
  )
  return found.map((row) => ({
    key: String(row['key']),
    failures: Number(row['failures']),
    baked: Number(row['baked']),
  }))
}

async function query(connection: DuckDBConnection, sql: string): Promise<readonly Record<string, unknown>[]> {
  const reader = await connection.runAndReadAll(sql)
  return reader.getRowObjects()
}
