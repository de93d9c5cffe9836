import { createInterface } from 'node:readline/promises'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { Report } from '../profile/report.ts'
import type { Recipe } from '../recipe/model.ts'
import { shQuote } from '../util/sh-quote.ts'
import type { BakeSession } from './engine.ts'

export const failureModes = ['ask', 'shell', 'keep', 'abort'] as const
/** What to do with the system in which a step failed. */
export type FailureMode = (typeof failureModes)[number]

/** Asking needs somebody who can answer. */
export function defaultFailureMode(options: { readonly json: boolean; readonly interactive: boolean }): FailureMode {
  return options.interactive && !options.json ? 'ask' : 'abort'
}

export interface FailedStep {
  readonly mode: FailureMode
  readonly recipe: Recipe
  readonly step: string
  readonly session: BakeSession
  readonly report: Report
  /** The last step whose result is kept: the next bake goes on after it. */
  readonly resumesAfter: string | undefined
}

/** Lets the user look at the failed system as the mode says, and resolves with the error that ends the bake. */
export async function onStepFailure(context: Context, failed: FailedStep): Promise<UserError> {
  const error = stepError(failed)
  if (failed.mode === 'abort') return error
  process.stderr.write(`parbake: ${error.message}\n`)
  const answer = failed.mode === 'ask' ? await ask(context) : failed.mode
  if (answer === 'shell') await openShell(failed.session)
  if (answer === 'keep') await keepRunning(context, failed.session)
  // It has been shown above.
  return new UserError(`the bake stopped at step ${failed.step}`, { hint: hintOf(failed), code: 'converge-failed' })
}

/** What failed, with its output, its environment and where everything is. Pure. */
export function stepError(failed: Omit<FailedStep, 'mode'>): UserError {
  const { recipe, report, session } = failed
  const result = report.steps.find((step) => step.name === failed.step)
  const why = report.error === '' ? `step ${failed.step} did not run` : report.error
  const output = result?.output === undefined ? '' : `\n${result.output.trimEnd().replaceAll(/^/gm, '  | ')}`
  const env = recipe.steps.find((step) => step.name === failed.step)?.rendered.env ?? {}
  const variables = Object.entries(env).map(([name, value]) => `${name}=${shQuote(value)}`)
  const environment = variables.length === 0 ? '' : `\n  environment: ${variables.join(' ')}`
  return new UserError(
    `${recipe.name} could not be baked: ${why}${output}${environment}\n  console: ${session.consoleLog}`,
    { hint: hintOf(failed), code: 'converge-failed' },
  )
}

function hintOf({ resumesAfter }: Pick<FailedStep, 'resumesAfter'>): string {
  const where = resumesAfter === undefined ? '' : `; it goes on after step ${resumesAfter}`
  return `mend the recipe, publish it and bake again${where}. '--on-failure shell' opens a shell in the failed system`
}

async function ask(context: Context): Promise<FailureMode> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    for (;;) {
      const answer = await lines.question('parbake: open a [s]hell in it, [k]eep it running, or [a]bort? ', {
        signal: context.signal,
      })
      const mode = (['shell', 'keep', 'abort'] as const).find((each) => each[0] === answer.trim().toLowerCase()[0])
      if (mode !== undefined) return mode
    }
  } finally {
    lines.close()
  }
}

async function openShell(session: BakeSession): Promise<void> {
  process.stderr.write('parbake: a root shell in the failed system; leave it to end the bake\n')
  await session.shell()
}

async function keepRunning({ signal }: Context, session: BakeSession): Promise<void> {
  process.stderr.write(`parbake: the failed system runs until Ctrl-C; get in from another terminal:\n`)
  process.stderr.write(`  ${session.enterCommand()}\n`)
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    // A pending promise alone does not keep Node running.
    const alive = setInterval(() => {}, 60_000)
    signal.addEventListener('abort', () => clearInterval(alive), { once: true })
  })
}
