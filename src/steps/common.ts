import { z } from 'zod'
import { parseDuration } from '../util/duration.ts'
import { namePattern, nameRule } from '../util/name.ts'
import { conditionSchema } from './conditions.ts'

const duration = z
  .union([z.number(), z.string()], { error: 'must be seconds or a text like "10m"' })
  .transform((value, context) => {
    const seconds = parseDuration(value, 's')
    if (seconds !== undefined && Number.isInteger(seconds) && seconds >= 1 && seconds <= 86_400) return seconds
    context.addIssue({
      code: 'custom',
      message: 'must be whole seconds or a text like "10m", from 1 second to 24 hours',
    })
    return z.NEVER
  })

const inlineExecutable = z.boolean().optional().meta({ description: 'Whether it may be run. Default false.' })

/** Keys that every step takes, whatever its type. */
export const commonShape = {
  name: z
    .string()
    .regex(namePattern, nameRule)
    .meta({ description: 'Name of the step, unique in the recipe: a-z, 0-9 and -.' }),
  description: z.string().optional().meta({ description: 'What the step is for, for people.' }),
  needs: z
    .array(z.string())
    .optional()
    .meta({ description: 'Names of the steps that must run before. Absent: all earlier steps. []: none.' }),
  when: z.enum(['change', 'instance', 'boot', 'always']).optional().meta({
    description:
      'change (default): whenever the step has changed; instance: once per instance; boot: at every boot; always: at every converge.',
  }),
  bake: z
    .enum(['auto', 'always', 'never'])
    .optional()
    .meta({ description: 'auto (default): baked where measurements say so; always; never.' }),
  if: conditionSchema.optional(),
  requires: z.literal('vm', { error: 'must be vm' }).optional().meta({
    description: 'vm: bake this step in a virtual machine only, because it touches kernel, boot loader or hardware.',
  }),
  inputs: z
    .array(z.string())
    .optional()
    .meta({ description: 'Files and folders of the recipe folder that the step finds in its working directory.' }),
  inline: z
    .record(
      z
        .string()
        .regex(
          /^(?!\.{0,2}(?:\/|$))(?!.*\/(?:\.{0,2}(?:\/|$)))[ -~]+$/,
          'must be a relative path without . and .. parts',
        ),
      z.union(
        [
          z.string(),
          z.strictObject({ content: z.string().meta({ description: 'Its text.' }), executable: inlineExecutable }),
          z.strictObject({ base64: z.base64().meta({ description: 'Its bytes.' }), executable: inlineExecutable }),
        ],
        { error: 'must be a text, or a mapping with content or base64, and executable' },
      ),
    )
    .optional()
    .meta({
      description: 'Files by path that stand here and not in the recipe folder; the step names them like others.',
    }),
  params: z
    .record(
      z.string(),
      z.union([z.string(), z.number(), z.boolean()], { error: 'must be a text, a number, true or false' }),
    )
    .optional()
    .meta({ description: 'Values of parameters for this step alone.' }),
  env: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no name of an environment variable (letters, digits and _)'),
      z.union([z.string(), z.number(), z.boolean()], { error: 'must be a text, a number, true or false' }),
    )
    .optional()
    .meta({ description: 'Environment variables of the step. Values may use {{param}}.' }),
  secrets: z
    .array(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no name of an environment variable (letters, digits and _)'),
    )
    .optional()
    .meta({
      description:
        'Environment variables whose values the host fetches itself, from where hosts.secrets of parbake.yaml says. Never baked.',
    }),
  timeout: duration
    .optional()
    .meta({ description: 'Longest time for one attempt: seconds or a text like "10m". Default 15m.' }),
  retries: z
    .number()
    .int()
    .min(0)
    .max(10)
    .optional()
    .meta({ description: 'Further tries after the first failure, 0 to 10. Default 0.' }),
  reboot: z
    .boolean()
    .optional()
    .meta({ description: 'Reboot the host after the step, and go on behind it. Never in a bake. Default false.' }),
  trace: z
    .boolean()
    .optional()
    .meta({ description: 'Report which commands of the script take longest, where a shell runs it. Default false.' }),
}

const commonSchema = z.strictObject(commonShape)

export type CommonSpec = z.infer<typeof commonSchema>
