import { isUtf8 } from 'node:buffer'
import { dumpYaml, type YamlPath } from '../util/yaml.ts'
import { sha256 } from '../util/sha256.ts'
import type { PartStep } from './compose.ts'
import type { Inspection } from './load.ts'
import type { ParamValue, Recipe, RecipeSchedule, RenderedFile, Step } from './model.ts'
import { originOf, originText, paramValues, type Origin, type ParamType } from './params.ts'

/** A recipe that was found good. */
export type Inspected = Extract<Inspection, { ok: true }>

/** A value as it is written, and where. */
export interface ShownValue {
  readonly value: unknown
  readonly origin: Origin
}

export interface ShownParam {
  readonly value: ParamValue
  readonly type: ParamType
  readonly origin: Origin
}

/** A step with all that was written for it, in execution order; what comes with a step type has no origin. */
export interface ShownStep extends Omit<Step, 'rendered'> {
  readonly origin?: Origin
  /** By key, with a dot between keys of mappings: `env.PORT`. */
  readonly values: Readonly<Record<string, ShownValue>>
  /** Where they differ from those of the recipe. */
  readonly params?: Readonly<Record<string, ShownParam>>
  /** What it comes down to. */
  readonly rendered: {
    readonly script: string
    readonly env: Readonly<Record<string, string>>
    readonly conditions?: readonly string[]
    readonly files: readonly { path: string; executable: boolean; bytes: number; sha256: string }[]
  }
}

/** A recipe with nothing left to look up; what `parbake show --json` prints. */
export interface ShownRecipe {
  readonly name: string
  readonly description?: string
  readonly everyMinutes: number
  /** Times by the calendar, instead of `everyMinutes`. */
  readonly schedule?: RecipeSchedule
  /** As many steps may run at a time; absent: as the host decides. */
  readonly parallel?: number
  /** Files that it is made of; the recipe's own is the last. */
  readonly files: readonly string[]
  readonly params: Readonly<Record<string, ShownParam>>
  readonly steps: readonly ShownStep[]
}

/** Everything about a recipe and where it comes from. Pure. */
export function showRecipe({ recipe, composition }: Inspected): ShownRecipe {
  const params = allParams(composition.parts)
  const written = new Map(composition.steps.map((step) => [fieldsOf(step)['name'], step]))
  return {
    name: recipe.name,
    ...(recipe.description === undefined ? {} : { description: recipe.description }),
    everyMinutes: recipe.everyMinutes,
    ...(recipe.schedule === undefined ? {} : { schedule: recipe.schedule }),
    ...(recipe.parallel === undefined ? {} : { parallel: recipe.parallel }),
    files: composition.parts.map(({ source }) => source.document.file),
    params,
    steps: recipe.steps.map((step): ShownStep => {
      const { rendered, ...rest } = step
      const source = written.get(step.name)
      const { script, env, conditions } = rendered
      const own = source === undefined ? {} : differing(Object.fromEntries(source.part.params), params)
      return {
        ...rest,
        ...(source === undefined ? {} : { origin: originOf(source.document.locate(['steps', source.index])) }),
        values: source === undefined ? {} : valuesOf(source),
        ...(Object.keys(own).length === 0 ? {} : { params: own }),
        rendered: {
          ...{ script, env },
          ...(conditions === undefined ? {} : { conditions }),
          files: rendered.files.map(({ path, executable, content }) => ({
            ...{ path, executable, bytes: content.length, sha256: sha256(content) },
          })),
        },
      }
    }),
  }
}

/**
 * The recipe as one YAML text that needs no other file: parameters with the values they have, all steps, the files that they
 * name inline. It loads to the same digests. Pure.
 */
export function recipeYaml({ recipe, composition, files }: Inspected): string {
  const { parts, steps } = composition
  const root = parts.at(-1)?.source
  const params = allParams(parts)
  const { description, parallel } = recipe
  const head = {
    name: recipe.name,
    ...(description === undefined ? {} : { description }),
    ...timesOf(recipe),
    ...(parallel === undefined ? {} : { parallel }),
  }
  const lines = [`# ${root?.document.file ?? recipe.file}, with all that it extends\n${dumpYaml(head)}`]
  if (Object.keys(params).length > 0) lines.push('params:\n')
  for (const [name, { value, origin }] of Object.entries(params)) {
    lines.push(`  # ${originText(origin)}\n${indented(dumpYaml({ [name]: value }))}`)
  }
  lines.push('steps:\n')
  for (const step of steps) {
    const fields = fieldsOf(step)
    const { inline: _inline, params: written, ...keys } = fields
    const own = differing(Object.fromEntries(step.part.params), params)
    const values = { ...paramValues(new Map(Object.entries(own))), ...(written as object | undefined) }
    const inline = Object.fromEntries((files.get(String(fields['name'])) ?? []).map(inlineFile))
    const whole = {
      ...keys,
      ...(Object.keys(values).length === 0 ? {} : { params: values }),
      ...(Object.keys(inline).length === 0 ? {} : { inline }),
    }
    const origin = originOf(step.document.locate(['steps', step.index]))
    lines.push(`  # ${originText(origin)}\n${indented(dumpYaml([whole]))}`)
  }
  return lines.join('')
}

/** When hosts converge, by the keys that a recipe has for it. */
function timesOf({ everyMinutes, schedule }: Recipe): Readonly<Record<string, unknown>> {
  if (schedule === undefined) return { every: everyMinutes }
  return { schedule: schedule.cron, splay: `${schedule.splaySeconds}s` }
}

/** The value of each name in the last part that has it. */
function allParams(parts: readonly PartStep['part'][]): Record<string, ShownParam> {
  return Object.assign({}, ...parts.map(({ params }) => Object.fromEntries(params))) as Record<string, ShownParam>
}

function differing(
  own: Readonly<Record<string, ShownParam>>,
  all: Readonly<Record<string, ShownParam>>,
): Record<string, ShownParam> {
  return Object.fromEntries(Object.entries(own).filter(([name, { value }]) => all[name]?.value !== value))
}

function valuesOf({ document, index, raw }: PartStep): Record<string, ShownValue> {
  const values: Record<string, ShownValue> = {}
  const add = (path: YamlPath, value: unknown) => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) add([...path, key], inner)
    } else {
      values[path.join('.')] = { value, origin: originOf(document.locateKey(['steps', index, ...path])) }
    }
  }
  add([], raw)
  return values
}

/** Text as it is; what YAML could not hold as text in base64. */
function inlineFile({ path, executable, content }: RenderedFile): [string, unknown] {
  const text = isUtf8(content) ? content.toString('utf8') : undefined
  // Carriage returns and control characters do not survive every YAML reader.
  // oxlint-disable-next-line no-control-regex
  const isPlain = text !== undefined && !/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufeff\ufffe\uffff]/.test(text)
  const body = isPlain ? { content: text } : { base64: content.toString('base64') }
  return [path, executable ? { ...body, executable } : isPlain ? text : body]
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ')
}

function fieldsOf({ raw }: PartStep): Readonly<Record<string, unknown>> {
  return typeof raw === 'object' && raw !== null ? (raw as Readonly<Record<string, unknown>>) : {}
}
