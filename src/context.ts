import type { Config } from './config.ts'
import type { Reporter } from './report/events.ts'

/** What every spine function gets from the command that calls it. */
export interface Context {
  readonly config: Config
  readonly reporter: Reporter
  /** Fires at Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal
}
