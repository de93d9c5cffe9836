import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { firstUsable } from '../util/first-usable.ts'
import type { BakeEngine, BakeJob, EngineName } from './engine.ts'

export interface ChosenEngine {
  readonly engine: BakeEngine
  /** Why it was taken, a sentence part: "container, the fastest that can bake this here". */
  readonly why: string
}

/** All engines, the fastest first. Loaded on demand: most commands bake nothing. */
export async function loadEngines(): Promise<readonly BakeEngine[]> {
  const [{ containerEngine }, { vmEngine }] = await Promise.all([
    import('./container/engine.ts'),
    import('./vm/engine.ts'),
  ])
  return [containerEngine, vmEngine]
}

/**
 * The wanted engine, or with `auto` the first that has no obstacle. Throws UserError that names every obstacle where none
 * is left; an engine that was asked for by name is never replaced by another.
 */
export async function chooseEngine(
  wanted: EngineName | 'auto',
  engines: readonly BakeEngine[],
  job: BakeJob,
  context: Context,
): Promise<ChosenEngine> {
  const { way, obstacles } = await firstUsable(engines, wanted, (engine) => engine.obstacle(job, context))
  if (way !== undefined) return { engine: way, why: reason(way, wanted, obstacles) }
  throw new UserError(`there is no way to bake ${job.recipeName} here:\n${obstacles.map((o) => `  ${o}`).join('\n')}`, {
    hint: "mend one of these, or see 'parbake doctor'",
    code: 'no-engine',
  })
}

function reason(engine: BakeEngine, wanted: EngineName | 'auto', obstacles: readonly string[]): string {
  if (wanted !== 'auto') return `${engine.name}, as asked for`
  return obstacles.length === 0
    ? `${engine.name}, the fastest that there is`
    : `${engine.name}, because ${obstacles.join('; ')}`
}
