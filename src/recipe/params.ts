import { exitCodes, UserError, type Problem } from '../errors.ts'
import { reservedNames } from '../steps/handlebars.ts'
import { suggestion } from '../util/nearest.ts'
import type { YamlDocument } from '../util/yaml.ts'
import type { ParamValue } from './model.ts'

type ParamType = 'string' | 'number' | 'boolean'

/**
 * The values of a recipe's parameters: defaults, overridden by what was given by name. Problems with the recipe are
 * reported into `problems`; an unknown name or a value of a wrong type is a UserError (exit code 2) about the given value.
 */
export function resolveParams(
  raw: unknown,
  given: Readonly<Record<string, string>>,
  document: YamlDocument,
  problems: Problem[],
): Record<string, ParamValue> {
  const values: Record<string, ParamValue> = {}
  const types: Record<string, ParamType> = {}
  for (const [name, definition] of Object.entries(isMapping(raw) ? raw : {})) {
    if (reservedNames.has(name)) {
      problems.push({
        message: `params.${name} cannot be named so: templates read '${name}' as their own word`,
        location: document.locateKey(['params', name]),
      })
    }
    const value = isMapping(definition) ? definition['default'] : definition
    if (!isParamValue(value)) {
      // The schema reports it; templates that use the name are not wrong because of that.
      values[name] = ''
      continue
    }
    const declared = isMapping(definition) ? definition['type'] : undefined
    const type = isParamType(declared) ? declared : typeOf(value)
    if (typeOf(value) !== type) {
      problems.push({
        message: `params.${name}.default must be a ${type}, but is a ${typeOf(value)}`,
        location: document.locate(['params', name, 'default']),
      })
    }
    values[name] = value
    types[name] = type
  }
  for (const [name, text] of Object.entries(given)) {
    const type = Object.hasOwn(types, name) ? types[name] : undefined
    if (type === undefined) {
      const hint = suggestion(name, Object.keys(types))
      throw new UserError(`${document.file} has no parameter '${name}'`, {
        exitCode: exitCodes.usage,
        hint: hint ?? 'it has none at all',
      })
    }
    values[name] = convert(name, text, type)
  }
  return values
}

function convert(name: string, text: string, type: ParamType): ParamValue {
  if (type === 'string') return text
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  if (type === 'number' && text.trim() !== '' && Number.isFinite(Number(text))) return Number(text)
  const wanted = type === 'boolean' ? 'true or false' : 'a number'
  throw new UserError(`the parameter '${name}' must be ${wanted}, but is '${text}'`, { exitCode: exitCodes.usage })
}

function typeOf(value: ParamValue): ParamType {
  return typeof value === 'string' ? 'string' : typeof value === 'number' ? 'number' : 'boolean'
}

function isParamType(value: unknown): value is ParamType {
  return value === 'string' || value === 'number' || value === 'boolean'
}

function isParamValue(value: unknown): value is ParamValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
