import { exitCodes, UserError } from '../errors.ts'

/** A UserError (exit code 2) about a document that is being built. */
export function invalid(message: string, hint?: string): UserError {
  return new UserError(`cloud-config: ${message}`, {
    exitCode: exitCodes.usage,
    ...(hint === undefined ? {} : { hint }),
  })
}
