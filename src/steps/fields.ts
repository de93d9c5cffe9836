import { posix } from 'node:path'
import { z } from 'zod'
import type { RenderedFile } from '../recipe/model.ts'
import type { YamlPath } from '../util/yaml.ts'
import type { RenderContext } from './types.ts'

const modeRule =
  'must be a quoted octal string such as "0644": unquoted, YAML reads it as a decimal number and the leading 0 is lost'

const accountPattern = String.raw`(?:[a-z_][a-z0-9_-]*|\d+)`

/** The name of a user or group on a host. */
export const accountName = z
  .string()
  .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'must be the name of an account: a-z, 0-9, _ and -, not beginning with a digit')

/** The absolute path of a file or folder on the host. */
export function hostPath(what: 'a file' | 'a folder') {
  return z.string().superRefine((path, context) => {
    const bad = !path.startsWith('/') || path.endsWith('/') || posix.normalize(path) !== path || /[\n\0]/.test(path)
    if (bad)
      context.addIssue({ code: 'custom', message: `must be an absolute path of ${what}, without . and .. parts` })
  })
}

export const ownerField = z
  .string()
  .regex(new RegExp(`^${accountPattern}(?::${accountPattern})?$`), 'must be user or user:group')
  .optional()

export const modeField = z
  .string({ error: (issue) => (typeof issue.input === 'number' ? modeRule : undefined) })
  .regex(/^0?[0-7]{3,4}$/, 'must be a quoted octal string such as "0644"')
  .optional()

/** What the owner key of a type says; the accounts must be there before the step runs. */
export function ownerEffects(owner: string | undefined): { readonly usesAccounts?: readonly string[] } {
  return owner === undefined ? {} : { usesAccounts: owner.split(':') }
}

/** The sha256 of something that is fetched. */
export const sha256Field = z.string().regex(/^[0-9a-f]{64}$/, 'must be a sha256: 64 digits 0-9 and a-f, in lower case')

/** The bytes of one file of the recipe folder; undefined where a problem was reported. */
export async function readOneFile(
  path: YamlPath,
  relative: string,
  context: RenderContext,
): Promise<RenderedFile | undefined> {
  const files = await context.readFiles(path, relative)
  const [first] = files ?? []
  if (files === undefined || (files.length === 1 && first?.path === posix.normalize(relative))) return first
  context.report(path, `names a folder, '${relative}', where a file is wanted`)
  return undefined
}

/** A web address with its parameters filled in; undefined where a problem was reported. */
export async function fillUrl(path: YamlPath, text: string, context: RenderContext): Promise<string | undefined> {
  const url = await context.fill(text, path)
  if (url === undefined) return undefined
  if (!/^https?:\/\/[^\s"'\\^`{|}<>]+$/.test(url) || !URL.canParse(url)) {
    context.report(path, `must be a web address, http:// or https://, but is '${url}'`)
    return undefined
  }
  const { username, password } = new URL(url)
  if (username === '' && password === '') return url
  context.report(path, 'holds a password, which every reader of the bundle would see', 'use a script step for it')
  return undefined
}
