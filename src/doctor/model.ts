/**
 * What one check found. `ok`: usable. `note`: worth knowing, stops nothing. `missing`: something parbake needs is not
 * there. `planned`: not in this version.
 */
export type CheckState = 'ok' | 'note' | 'missing' | 'planned'

export interface Check {
  readonly group: 'accelerator' | 'engine' | 'tool' | 'disk' | 'store' | 'config' | 'keys' | 'base'
  readonly name: string
  readonly state: CheckState
  /** What was found and, where it matters, why. */
  readonly detail: string
  /** What to do about it. */
  readonly hint?: string
}

/** What is usable here. `ok` is false exactly if a check says `missing`. */
export interface Diagnosis {
  readonly ok: boolean
  readonly checks: readonly Check[]
}

export function diagnosisOf(checks: readonly Check[]): Diagnosis {
  return { ok: checks.every((check) => check.state !== 'missing'), checks }
}
