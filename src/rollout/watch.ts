import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { nextStage } from './judge.ts'
import type { RolloutStatus } from './model.ts'
import { withWritablePlace, type ChangeChoice } from './place.ts'
import { halt, raise, type RolloutChange } from './rollout.ts'
import { rolloutStatus } from './status.ts'

export interface WatchOptions extends ChangeChoice {
  readonly intervalSeconds: number
  /** Look once, and act on it. */
  readonly once?: boolean
  /** Raise the share of hosts through these stages while the judgement is good; absent: never. */
  readonly stages?: readonly number[]
  /** How long a stage lasts at least, by when the channel changed last. */
  readonly stageSeconds: number
  /** Called at every look. */
  readonly onLook: (status: RolloutStatus, change: RolloutChange | undefined) => void
}

/**
 * Halts a rollout by itself as soon as a bound is passed, and raises its share only where stages are given. Ends when the
 * rollout does. Throws a UserError with code `rollout-halted` where it halted it or found it halted, and `no-rollout` where
 * there was none to begin with.
 */
export async function watchRollout(ctx: Context, options: WatchOptions): Promise<void> {
  await withWritablePlace(ctx, options, async (writable) => {
    let id: string | undefined
    for (;;) {
      const status = await lookAgain(() => rolloutStatus(writable.place), id !== undefined)
      if (status === undefined || (id !== undefined && status.rollout.id !== id)) return
      id = status.rollout.id
      const how = { by: 'watch', why: status.judgement.reasons.join('; '), dryRun: options.dryRun === true } as const
      const step = nextStep(status, options, Date.now())
      let change: RolloutChange | undefined
      if (step === 'halt') change = await halt(ctx, writable, status.rollout, how)
      else if (step !== 'nothing') change = await raise(ctx, writable, status.rollout, step, how)
      options.onLook(status, change)
      if (status.judgement.verdict === 'halt' || status.judgement.verdict === 'halted') throw halted(status, how.dryRun)
      if (change?.action === 'finish' || options.once === true || options.dryRun === true) return
      await sleep(options.intervalSeconds * 1000, undefined, { signal: ctx.signal })
    }
  })
}

/** What a look leads to: a halt, the percentage of another stage, or nothing. Pure. */
export function nextStep(
  status: Pick<RolloutStatus, 'judgement' | 'rollout' | 'changedAt'>,
  options: Pick<WatchOptions, 'stages' | 'stageSeconds'>,
  nowMs: number,
): 'halt' | 'nothing' | number {
  const { verdict } = status.judgement
  if (verdict === 'halt') return 'halt'
  if (verdict !== 'go' || options.stages === undefined) return 'nothing'
  if (nowMs - Date.parse(status.changedAt) < options.stageSeconds * 1000) return 'nothing'
  return nextStage(status.rollout.percent, options.stages) ?? 'nothing'
}

/** Undefined where the rollout that was there has ended. */
async function lookAgain(look: () => Promise<RolloutStatus>, wasThere: boolean): Promise<RolloutStatus | undefined> {
  try {
    return await look()
  } catch (error) {
    if (wasThere && error instanceof UserError && error.code === 'no-rollout') return undefined
    throw error
  }
}

function halted({ recipe, judgement: { verdict, reasons } }: RolloutStatus, dryRun: boolean): UserError {
  const is = verdict === 'halted' ? 'was halted before' : dryRun ? 'would be halted' : 'is halted'
  return new UserError(`the rollout of '${recipe}' ${is}: ${reasons.join('; ')}`, {
    hint: `hosts go back at their next converge. Look at the failures with 'parbake rollout status ${recipe}'`,
    code: 'rollout-halted',
  })
}
