import { exitCodes, UserError } from '../errors.ts'
import { parseDuration } from '../util/duration.ts'

/**
 * Seconds of an option's duration; a bare number is seconds. Throws UserError (exit code 2) that names the option where
 * the text is no duration.
 */
export function parseDurationOption(option: string, text: string): number {
  const seconds = parseDuration(text, 's')
  if (seconds === undefined) {
    throw new UserError(`'${text}' is no duration for ${option}`, {
      hint: 'write a number with a unit: 500ms, 1.5s, 15m, 12h or 7d',
      exitCode: exitCodes.usage,
    })
  }
  return seconds
}

/** The moment that lies this duration back, of a `--since` option. Throws UserError (exit code 2) for what is no duration. */
export function sinceOption(text: string | undefined): { readonly since?: Date } {
  return text === undefined ? {} : { since: new Date(Date.now() - parseDurationOption('--since', text) * 1000) }
}
