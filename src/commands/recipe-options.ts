import { UserError } from '../errors.ts'

/** Collects repeated `--param name=value` options. Throws UserError (exit code 2) for another form. */
export function collectParam(
  text: string,
  earlier: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at < 1) {
    throw new UserError(`--param '${text}' has no form NAME=VALUE`, {
      hint: 'for example: --param port=8080',
      exitCode: 2,
    })
  }
  return { ...earlier, [text.slice(0, at)]: text.slice(at + 1) }
}
