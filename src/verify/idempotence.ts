import type { Report } from '../profile/report.ts'

/** Whether a second converge of a host found nothing to do. */
export interface IdempotenceCheck {
  /** Which host, e.g. `base`. */
  readonly host: string
  readonly ok: boolean
  /** What is wrong, a line each. */
  readonly findings: readonly string[]
}

/** Judges the report of a converge right after one that succeeded. Pure. Only steps with `when: always` may run. */
export function idempotenceCheck(host: string, second: Report): IdempotenceCheck {
  const findings = [
    ...(second.outcome === 'ok' ? [] : [`the second converge failed: ${second.error}`]),
    ...second.steps
      .filter(({ outcome }) => outcome !== 'not-applicable')
      .filter((step) => (step.when === 'always' ? step.outcome !== 'ran' : step.outcome !== 'stamped'))
      .map((step) => `step ${step.name} (when: ${step.when}) ${step.outcome}`),
    ...(second.steps.length === 0 ? ['the second converge reports no step'] : []),
  ]
  return { host, ok: findings.length === 0, findings }
}
