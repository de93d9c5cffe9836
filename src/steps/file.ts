import { z } from 'zod'
import { commonShape } from './common.ts'
import { hostPath, modeField, ownerEffects, ownerField, readOneFile } from './fields.ts'
import { callInstallFile, contentPath, installFile, prologue } from './shell.ts'
import { checkOneOf, defineStepType } from './types.ts'

const schema = z
  .strictObject({
    type: z.literal('file').meta({ description: 'Writes a file, as it is.' }),
    ...commonShape,
    source: z.string().min(1).optional().meta({ description: 'A file of the recipe folder, of any content.' }),
    content: z.string().optional().meta({ description: 'The text itself, instead of source. Nothing is filled in.' }),
    destination: hostPath('a file').meta({ description: 'Absolute path of the file on the host.' }),
    owner: ownerField.meta({ description: 'Owner of the file: user or user:group. Default root:root.' }),
    mode: modeField.meta({ description: 'Permissions of the file, as a quoted octal string. Default "0644".' }),
  })
  .meta({ description: 'Writes a file, atomically; leaves one alone that is so already.' })

/** Writes one file, byte for byte. */
export const file = defineStepType({
  name: 'file',
  summary: 'one file as it is, text or binary (source or content), with owner and mode',
  schema,
  check: async (raw, context) => {
    checkOneOf(raw, ['source', 'content'], context.report)
    if (typeof raw['source'] === 'string') await readOneFile(['source'], raw['source'], context)
  },
  render: async (spec, context) => {
    const { source, content: text = '' } = spec
    const content = source === undefined ? Buffer.from(text) : (await readOneFile(['source'], source, context))?.content
    if (content === undefined) return undefined
    return {
      script: `${prologue}${installFile}${callInstallFile(contentPath, spec)}`,
      files: [{ path: contentPath, executable: false, content }],
    }
  },
  effects: (spec) => ({ writes: [spec.destination], ...ownerEffects(spec.owner) }),
})
