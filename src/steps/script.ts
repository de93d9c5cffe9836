import { z } from 'zod'
import type { YamlPath } from '../util/yaml.ts'
import { commonShape } from './common.ts'
import { checkOneOf, defineStepType, type RenderContext } from './types.ts'

const schema = z
  .strictObject({
    type: z.literal('script').meta({ description: 'Runs a script, inline or from a file.' }),
    ...commonShape,
    run: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The script itself. Any interpreter by #!; without one it is sh with set -eu.' }),
    file: z.string().min(1).optional().meta({ description: 'A script file of the recipe folder, instead of run.' }),
  })
  .meta({ description: 'Runs a script as root, with its inputs in the working directory.' })

/** Runs a script with any interpreter. */
export const script = defineStepType({
  name: 'script',
  summary: 'a script, inline (run) or from a file (file), any interpreter by its #! line',
  schema,
  check: async (raw, context) => {
    const { run, file } = raw as { readonly run?: unknown; readonly file?: unknown }
    checkOneOf(raw, ['run', 'file'], context.report)
    if (typeof run === 'string') finish(run, ['run'], context)
    const text = typeof file === 'string' ? await context.readText(['file'], file) : undefined
    if (text !== undefined) finish(text, ['file'], context)
  },
  render: async (spec, context) => {
    if (spec.run !== undefined) return finish(spec.run, ['run'], context)
    const text = spec.file === undefined ? undefined : await context.readText(['file'], spec.file)
    return text === undefined ? undefined : finish(text, ['file'], context)
  },
  effects: (spec) => ({
    script: spec.run === undefined ? { key: 'file', kind: 'file' } : { key: 'run', kind: 'text' },
  }),
})

function finish(text: string, path: YamlPath, context: RenderContext) {
  if (text.startsWith('\uFEFF')) {
    context.report(
      path,
      'starts with a byte order mark, so that no interpreter finds its #! line',
      'save it as UTF-8 without BOM',
    )
    return undefined
  }
  if (text.includes('\r\n')) {
    context.report(path, 'has Windows line ends, which shells take as part of commands', 'save it with LF line ends')
    return undefined
  }
  const body = text.endsWith('\n') ? text : `${text}\n`
  return { script: body.startsWith('#!') ? body : `#!/bin/sh\nset -eu\n${body}`, files: [] }
}
