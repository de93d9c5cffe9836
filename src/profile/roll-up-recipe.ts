import type { Context } from '../context.ts'
import { formatSeconds } from '../report/reporters.ts'
import { openStore } from '../store/open.ts'
import { warnOfSkipped, type SkippedReport } from './ingest.ts'
import { rollUp, type RollUpResult } from './rollup/roll-up.ts'

/** Rolls up a recipe's new reports in the configured store. Throws UserError where the store fails. */
export async function rollUpRecipe(
  context: Context,
  recipe: string,
  options: { readonly all: boolean },
): Promise<RollUpResult> {
  const { config, reporter, signal } = context
  const store = await openStore(config.store)
  const label = `roll up reports of ${recipe}`
  const skipped: SkippedReport[] = []
  let count = 0
  try {
    reporter.emit({ type: 'phase-start', phase: label })
    const result = await rollUp(store, recipe, {
      ...options,
      signal,
      onSkipped: (each) => {
        count += 1
        if (skipped.length === 0) skipped.push(each)
      },
      onProgress: ({ day, documents }) =>
        reporter.emit({ type: 'phase-progress', phase: label, detail: `${day}, ${documents} so far` }),
    })
    reporter.emit({ type: 'phase-end', phase: label, seconds: result.seconds })
    warnOfSkipped(reporter, recipe, count, skipped[0])
    return result
  } finally {
    store.close()
  }
}

/** What a run did, on one line. */
export function renderRollUp(result: RollUpResult): string {
  const { recipe, documents, changed, looked, seconds } = result
  const days = looked === 1 ? '1 day' : `${looked} days`
  return `${recipe}: ${documents} new in ${changed} of ${days} looked at (${formatSeconds(seconds)})`
}
