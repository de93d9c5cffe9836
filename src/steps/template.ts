import { z } from 'zod'
import { commonShape } from './common.ts'
import { hostPath, modeField, ownerEffects, ownerField } from './fields.ts'
import { callInstallFile, contentPath, installFile, prologue } from './shell.ts'
import { checkOneOf, defineStepType } from './types.ts'

const schema = z
  .strictObject({
    type: z.literal('template').meta({ description: 'Writes a file from a Handlebars template.' }),
    ...commonShape,
    template: z.string().min(1).optional().meta({
      description: 'The template: a file of the recipe folder. {{param}} as it is, {{sh param}} quoted for sh.',
    }),
    content: z.string().optional().meta({ description: 'The template itself, instead of template.' }),
    destination: hostPath('a file').meta({ description: 'Absolute path of the file on the host.' }),
    owner: ownerField.meta({ description: 'Owner of the file: user or user:group. Default root:root.' }),
    mode: modeField.meta({ description: 'Permissions of the file, as a quoted octal string. Default "0644".' }),
  })
  .meta({ description: 'Writes a file from a Handlebars template, atomically.' })

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
      script: `${prologue}${installFile}${callInstallFile(contentPath, spec)}`,
      files: [{ path: contentPath, executable: false, content: Buffer.from(text) }],
    }
  },
  effects: (spec) => ({ writes: [spec.destination], ...ownerEffects(spec.owner) }),
})
