import type { GuestFacts } from './facts.ts'
import { tunings, type Tuning } from './tunings.ts'

export interface ChooseInput {
  /** `same`: nothing that changes what users of the machine see but its speed. `deeper`: all. */
  readonly allow: 'none' | 'same' | 'deeper'
  /** Only these, as far as the level allows them. */
  readonly include?: readonly string[]
  readonly exclude?: readonly string[]
  readonly facts: GuestFacts
}

/** A tuning that is not applied, and why, as a clause for people. */
export interface LeftTuning {
  readonly tuning: Tuning
  readonly why: string
}

export interface TuningChoice {
  readonly chosen: readonly Tuning[]
  readonly left: readonly LeftTuning[]
}

/** Decides which tunings an image gets. Pure; the order is that of the table. */
export function chooseTunings(input: ChooseInput, table: readonly Tuning[] = tunings): TuningChoice {
  const first = table.map((tuning) => ({ tuning, why: obstacle(tuning, input) }))
  const winners = first.filter(({ why }) => why === undefined).map(({ tuning }) => tuning)
  const decided = first.map(({ tuning, why }) => ({ tuning, why: why ?? replacement(tuning, winners) }))
  return {
    chosen: decided.filter(({ why }) => why === undefined).map(({ tuning }) => tuning),
    left: decided.flatMap(({ tuning, why }) => (why === undefined ? [] : [{ tuning, why }])),
  }
}

function obstacle(tuning: Tuning, { allow, include, exclude, facts }: ChooseInput): string | undefined {
  if (allow === 'none') return 'tuning is switched off'
  if (exclude?.includes(tuning.name) === true) return 'excluded by tune.except'
  if (include !== undefined && !include.includes(tuning.name)) return 'not among tune.only'
  if (tuning.level === 'deeper' && allow !== 'deeper') return `changes behaviour: ${tuning.changes}`
  return tuning.obstacle(facts)
}

function replacement(tuning: Tuning, chosen: readonly Tuning[]): string | undefined {
  const other = chosen.find(({ replaces }) => replaces?.includes(tuning.name) === true)
  return other === undefined ? undefined : `${other.name} does more`
}
