import { z } from 'zod'
import { stepTypes } from '../steps/registry.ts'
import { parseDuration } from '../util/duration.ts'
import { parseCron } from './cron.ts'
import { namePattern, nameRule } from '../util/name.ts'

const scalar = z.union([z.string(), z.number(), z.boolean()], { error: 'must be a text, a number, true or false' })

const param = z
  .union(
    [
      scalar,
      z.strictObject({
        default: scalar.meta({ description: 'Value where none is given on the command line.' }),
        type: z
          .enum(['string', 'number', 'boolean'])
          .optional()
          .meta({ description: 'Type of the value. Default: that of the default.' }),
        description: z.string().optional().meta({ description: 'What the parameter is for, for people.' }),
      }),
    ],
    { error: 'must be a text, a number, true, false, or a mapping with default, type and description' },
  )
  .meta({ description: 'Default value, or a mapping with default, type and description.' })

const paramName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no parameter name (letters, digits and _)')

const passedParams = z
  .record(paramName, scalar)
  .optional()
  .meta({ description: 'Values of its parameters; texts may use {{param}} of this recipe.' })

const extended = z
  .union(
    [
      z.string().min(1),
      z.strictObject({
        recipe: z.string().min(1).meta({ description: 'Folder of the recipe, relative to that of this one.' }),
        params: passedParams,
      }),
      z.strictObject({
        git: z.string().min(1).meta({ description: 'URL of a git repository.' }),
        commit: z.string().optional().meta({ description: 'The commit, 40 hex digits: branches and tags move.' }),
        path: z
          .string()
          .min(1)
          .optional()
          .meta({ description: 'Folder of the recipe in the repository. Default: its root.' }),
        params: passedParams,
      }),
    ],
    { error: 'must be the path of a recipe, or a mapping with recipe or git' },
  )
  .meta({ description: 'A recipe whose steps come before those of this one.' })

const every = z
  .union([z.number(), z.string()], { error: 'must be minutes or a text like "15m"' })
  .transform((value, context) => {
    const seconds = parseDuration(value, 'm')
    const minutes = seconds === undefined ? undefined : seconds / 60
    if (minutes !== undefined && Number.isInteger(minutes) && minutes >= 1 && minutes <= 1440) return minutes
    context.addIssue({
      code: 'custom',
      message: 'must be whole minutes or a text like "15m", from 1 minute to 24 hours',
    })
    return z.NEVER
  })

const schedule = z
  .union([z.number(), z.string()], { error: 'must be minutes, a text like "15m" or a cron expression' })
  .transform((value, context) => {
    if (typeof value === 'number' || !/\s/.test(value.trim())) {
      const interval = every.safeParse(value)
      if (interval.success) return interval.data
      context.addIssue({
        code: 'custom',
        message: 'must be whole minutes, a text like "15m" up to 24 hours, or a cron expression like "0 3 * * *"',
      })
      return z.NEVER
    }
    const calendar = parseCron(value)
    if (typeof calendar !== 'string') return calendar
    context.addIssue({ code: 'custom', message: calendar })
    return z.NEVER
  })

const splay = z
  .union([z.number(), z.string()], { error: 'must be minutes or a text like "10m"' })
  .transform((value, context) => {
    const seconds = parseDuration(value, 'm')
    if (seconds !== undefined && Number.isInteger(seconds) && seconds >= 0 && seconds <= 43_200) return seconds
    context.addIssue({ code: 'custom', message: 'must be minutes or a text like "10m", up to 12 hours' })
    return z.NEVER
  })

/** recipe.yaml as a user writes it. */
export const recipeSchema = z
  .strictObject({
    name: z
      .string()
      .regex(namePattern, nameRule)
      .optional()
      .meta({ description: 'Name of the recipe: a-z, 0-9 and -. Default: the name of its folder.' }),
    description: z.string().optional().meta({ description: 'What the recipe makes of a host, for people.' }),
    extends: z
      .array(extended)
      .optional()
      .meta({ description: 'Recipes whose steps come first, in this order: paths, or revisions of git repositories.' }),
    params: z
      .record(paramName, param)
      .optional()
      .meta({ description: 'Parameters, used as {{name}} in templates and in values of env.' }),
    every: every
      .optional()
      .meta({ description: 'Time between two converges by cron: minutes or a text like "15m". Default 15.' }),
    schedule: schedule.optional().meta({
      description:
        'When hosts converge: an interval as in every, or a cron expression of five fields like "0 3 * * 1-5".',
    }),
    splay: splay.optional().meta({
      description:
        'Time over which hosts spread behind a cron expression: minutes or a text like "10m". Default 5 minutes.',
    }),
    parallel: z.number().int().min(1).max(99).optional().meta({
      description: 'As many steps may run side by side where their needs allow it. Default: the processors, at most 4.',
    }),
    steps: z
      .array(z.discriminatedUnion('type', [stepTypes[0].schema, ...stepTypes.slice(1).map((type) => type.schema)]))
      .min(1)
      .optional()
      .meta({ description: 'What is done on the host; order and needs decide what waits for what.' }),
  })
  .meta({ title: 'parbake recipe', description: 'recipe.yaml: how a host is provisioned, step by step.' })

/** The schema of recipe.yaml for editors, draft-07. */
export function recipeJsonSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(recipeSchema, { io: 'input', target: 'draft-07' }),
    anyOf: [{ required: ['steps'] }, { required: ['extends'] }],
  }
}
