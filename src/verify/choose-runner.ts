import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { firstUsable } from '../util/first-usable.ts'
import { containerRunner } from './container/host.ts'
import type { BaseDisk, HostRunner } from './host.ts'
import { vmRunner } from './vm-host.ts'

export const runnerNames = ['container', 'vm'] as const
export type RunnerName = (typeof runnerNames)[number]

/** All ways to run hosts, the fastest first. */
const runners: readonly HostRunner[] = [containerRunner, vmRunner]

/**
 * The wanted way to run hosts, or with `auto` the first that has no obstacle. Throws UserError that names the obstacles
 * where none is left.
 */
export async function chooseRunner(context: Context, wanted: RunnerName | 'auto', base: BaseDisk): Promise<HostRunner> {
  const { way, obstacles } = await firstUsable(runners, wanted, (runner) => runner.obstacle(context, { base }))
  if (way !== undefined) return way
  throw new UserError(`hosts cannot be run here:\n${obstacles.map((o) => `  ${o}`).join('\n')}`, {
    hint: "mend one of these, or see 'parbake doctor'",
    code: 'no-engine',
  })
}
