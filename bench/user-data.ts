/**
 * `parbake user-data` as a whole process against `node -e 0`, in turn. Target: at most 2.5 times.
 *
 *   npm run build && npx tsx bench/user-data.ts [RUNS]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { countArgument, figureRows } from './figures.ts'

const runs = countArgument(process.argv[2], 21)
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
const recipe = fileURLToPath(new URL('../recipes/web', import.meta.url))
const state = mkdtempSync(join(tmpdir(), 'parbake-bench-'))
const env = { ...process.env, PARBAKE_STATE: state, PARBAKE_CACHE: join(state, 'cache') }

function seconds(...args: readonly string[]): number {
  const start = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${args.join(' ')} failed: ${stderr}`)
  return (performance.now() - start) / 1000
}

try {
  seconds(cli, 'keys', 'init')
  const userData = [cli, 'user-data', recipe, '--target', 'nocloud']
  seconds(...userData)
  const groups = new Map<string, number[]>([
    ['node -e 0', []],
    ['parbake user-data', []],
  ])
  for (let run = 0; run < runs; run += 1) {
    groups.get('node -e 0')?.push(seconds('-e', '0'))
    groups.get('parbake user-data')?.push(seconds(...userData))
  }
  process.stdout.write(`${figureRows(groups, 's')}\n`)
} finally {
  rmSync(state, { recursive: true, force: true })
}
