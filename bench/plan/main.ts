/**
 * How long decisions take: the closure of greatest weight and the one within a limit, for 2,000 steps in recipes of
 * different shapes, and a whole plan. Times are given in the time that `node -e 0` takes on the same machine, so that
 * they can be compared; the solver's gap is what it does not rule out.
 *
 *   npx tsx bench/plan/main.ts [steps] [rounds]
 */
import { spawnSync } from 'node:child_process'
import { boundedClosure } from '../../src/plan/bounded-closure.ts'
import { maxClosure, sumOf, type Needs } from '../../src/plan/closure.ts'
import { makePlan } from '../../src/plan/make-plan.ts'
import { countArgument, median } from '../figures.ts'
import { measuredRecipe, shapes } from './cases.ts'

const steps = countArgument(process.argv[2], 2000)
const rounds = countArgument(process.argv[3], 5)

function timed<T>(work: () => T): { readonly seconds: number; readonly result: T } {
  const started = performance.now()
  const result = work()
  return { seconds: (performance.now() - started) / 1000, result }
}

function repeated<T>(work: () => T): { readonly seconds: number; readonly result: T } {
  const runs = Array.from({ length: rounds }, () => timed(work))
  return { seconds: median(runs.map((run) => run.seconds)), result: (runs.at(-1) as { result: T }).result }
}

/** Takes what is worth it by itself with all that it needs: what a threshold would bake. */
function thresholding(weights: readonly number[], needs: Needs): number {
  const taken = new Uint8Array(weights.length)
  const stack = weights.flatMap((weight, item) => (weight > 0 ? [item] : []))
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    if (taken[item] === 1) continue
    taken[item] = 1
    stack.push(...(needs[item] ?? []))
  }
  return sumOf(weights, taken)
}

const node = repeated(() => spawnSync(process.execPath, ['-e', '0'])).seconds
const ratio = (seconds: number) => `${(seconds / node).toFixed(2).padStart(6)} × node -e 0 (${seconds.toFixed(3)} s)`

process.stdout.write(`${steps} steps, medians of ${rounds}; node -e 0 takes ${node.toFixed(3)} s\n`)
for (const { name, needs, weights, costs } of shapes(steps)) {
  const free = repeated(() => maxClosure(weights, needs))
  const best = sumOf(weights, free.result)
  const simple = thresholding(weights, needs)
  const lead = best === 0 ? '' : `, thresholding reaches ${((100 * simple) / best).toFixed(0)} %`
  process.stdout.write(`${name.padEnd(10)} no limit ${ratio(free.seconds)}${lead}\n`)
  const limit = Math.round(costs.reduce((sum, cost) => sum + cost, 0) * 0.3)
  const values = weights.map((weight) => Math.abs(weight))
  const limited = timed(() => boundedClosure({ values, costs, limit, needs }))
  const { exact = false, bound = 0, value = 0 } = limited.result ?? {}
  const gap = exact ? 'exact' : `gap ${(((bound - value) / value) * 100).toFixed(4)} %`
  process.stdout.write(`${''.padEnd(10)} limited  ${ratio(limited.seconds)}, ${gap}\n`)
}
const { recipe, profile } = measuredRecipe(steps)
const plan = repeated(() => makePlan({ recipe, profile, settings: { minShare: 0 } }))
const baked = plan.result.steps.filter((step) => step.decision === 'bake').length
process.stdout.write(`whole plan ${`bakes ${baked}`.padEnd(8)} ${ratio(plan.seconds)}\n`)
