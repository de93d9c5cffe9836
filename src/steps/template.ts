import { posix } from 'node:path'
import { z } from 'zod'
import { shQuote } from '../util/sh-quote.ts'
import { commonShape } from './common.ts'
import { checkOneOf, defineStepType } from './types.ts'

const modeRule =
  'must be a quoted octal string such as "0644": unquoted, YAML reads it as a decimal number and the leading 0 is lost'

const destination = z.string().superRefine((path, context) => {
  const bad = !path.startsWith('/') || path.endsWith('/') || posix.normalize(path) !== path || /[\n\0]/.test(path)
  if (bad) context.addIssue({ code: 'custom', message: 'must be an absolute path of a file, without . and .. parts' })
})

const schema = z
  .strictObject({
    type: z.literal('template').meta({ description: 'Writes a file from a Handlebars template.' }),
    ...commonShape,
    template: z.string().min(1).optional().meta({
      description: 'The template: a file of the recipe folder. {{param}} as it is, {{sh param}} quoted for sh.',
    }),
    content: z.string().optional().meta({ description: 'The template itself, instead of template.' }),
    destination: destination.meta({ description: 'Absolute path of the file on the host.' }),
    owner: z
      .string()
      .regex(/^(?:[a-z_][a-z0-9_-]*|\d+)(?::(?:[a-z_][a-z0-9_-]*|\d+))?$/, 'must be user or user:group')
      .optional()
      .meta({ description: 'Owner of the file: user or user:group. Default root:root.' }),
    mode: z
      .string({ error: (issue) => (typeof issue.input === 'number' ? modeRule : undefined) })
      .regex(/^0?[0-7]{3,4}$/, 'must be a quoted octal string such as "0644"')
      .optional()
      .meta({ description: 'Permissions of the file, as a quoted octal string. Default "0644".' }),
  })
  .meta({ description: 'Writes a file from a Handlebars template, atomically.' })

/** Where the filled-in template lies in the step's folder; inputs must not use this folder. */
export const templateContentPath = '.parbake/content'

/** Writes one file from a template. */
export const template = defineStepType({
  name: 'template',
  summary: 'one file from a Handlebars template (template or content), with owner and mode',
  schema,
  check: async (raw, context) => {
    const { template: file, content } = raw as { readonly template?: unknown; readonly content?: unknown }
    checkOneOf(raw, ['template', 'content'], context.report)
    if (typeof content === 'string') await context.fill(content, ['content'])
    const text = typeof file === 'string' ? await context.readText(['template'], file) : undefined
    if (text !== undefined && typeof file === 'string') await context.fill(text, ['template'], file)
  },
  render: async (spec, context) => {
    const { content: inline, template: file } = spec
    const source = file === undefined ? inline : await context.readText(['template'], file)
    if (source === undefined) return undefined
    const text =
      file === undefined ? await context.fill(source, ['content']) : await context.fill(source, ['template'], file)
    if (text === undefined) return undefined
    return {
      script: renderInstall(spec.destination, spec.owner ?? 'root:root', spec.mode ?? '0644'),
      files: [{ path: templateContentPath, executable: false, content: Buffer.from(text) }],
    }
  },
  effects: (spec) => ({
    writes: [spec.destination],
    ...(spec.owner === undefined ? {} : { usesAccounts: spec.owner.split(':') }),
  }),
})

/** The file is complete, owned and protected before it gets its name. */
function renderInstall(path: string, owner: string, mode: string): string {
  return `#!/bin/sh
set -eu
destination=${shQuote(path)}
owner=${shQuote(owner)}
fail() {
  echo "parbake: $*" >&2
  exit 1
}
if [ -d "$destination" ]; then
  fail "cannot write $destination: a folder has this name"
fi
umask 022
mkdir -p ${shQuote(posix.dirname(path))} || fail "cannot make the folder of $destination"
temporary="$destination.parbake.$$"
trap 'rm -f "$temporary"' EXIT
trap 'exit 1' HUP INT TERM
umask 077
cp ${templateContentPath} "$temporary" || fail "cannot write $destination"
chown "$owner" "$temporary" ||
  fail "cannot give $destination to $owner: is there no such user or group? Make it in a step that this one needs"
chmod ${mode.padStart(4, '0')} "$temporary"
mv -f "$temporary" "$destination"
`
}
