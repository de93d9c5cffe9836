import { exitCodes, UserError, type Problem, type SourceLocation } from '../errors.ts'
import { reservedNames } from '../steps/handlebars.ts'
import { suggestion } from '../util/nearest.ts'
import type { YamlDocument } from '../util/yaml.ts'
import type { ParamValue } from './model.ts'

export type ParamType = 'string' | 'number' | 'boolean'

/** Where a value comes from: a line of a file, or an option of the command line. */
export type Origin = { readonly file: string; readonly line: number } | { readonly option: string }

/** A value that comes from elsewhere than the declaration. */
export interface GivenParam {
  readonly value: ParamValue
  readonly origin: Origin
  /** A text that stands for a value of any type: from a command line, or filled in. */
  readonly isText: boolean
  /** Where it is written; undefined on a command line, where what is wrong ends the command. */
  readonly location?: SourceLocation
}

export type GivenParams = ReadonlyMap<string, GivenParam>

/** A parameter as one recipe sees it. */
export interface ResolvedParam {
  readonly value: ParamValue
  readonly type: ParamType
  readonly origin: Origin
}

export type ResolvedParams = ReadonlyMap<string, ResolvedParam>

/**
 * The parameters that a recipe declares, with their values: defaults, then what was passed by the recipe that extends it,
 * then what was given by name. What is wrong in files is reported into `problems`; a bad value of the command line is a
 * UserError (exit code 2).
 */
export function resolveParams(
  document: YamlDocument,
  passed: GivenParams,
  given: GivenParams,
  problems: Problem[],
): ResolvedParams {
  const resolved = new Map<string, ResolvedParam>()
  const root = isMapping(document.value) ? document.value['params'] : undefined
  for (const [name, definition] of Object.entries(isMapping(root) ? root : {})) {
    const declared = declaredParam(name, definition, document, problems)
    const layers = [passed.get(name), given.get(name)].filter((layer) => layer !== undefined)
    let param = declared
    for (const layer of layers) {
      const value = converted(name, layer, declared.type, problems)
      if (value !== undefined) param = { type: declared.type, value, origin: layer.origin }
    }
    resolved.set(name, param)
  }
  return resolved
}

function declaredParam(name: string, definition: unknown, document: YamlDocument, problems: Problem[]): ResolvedParam {
  if (reservedNames.has(name)) {
    problems.push({
      message: `params.${name} cannot be named so: templates read '${name}' as their own word`,
      location: document.locateKey(['params', name]),
    })
  }
  const origin = originOf(document.locateKey(['params', name]))
  const value = isMapping(definition) ? definition['default'] : definition
  const declared = isMapping(definition) ? definition['type'] : undefined
  // The schema reports what is no value; templates that use the name are not wrong because of that.
  if (!isParamValue(value)) return { value: '', type: isParamType(declared) ? declared : 'string', origin }
  const type = isParamType(declared) ? declared : typeOf(value)
  if (typeOf(value) !== type) {
    problems.push({
      message: `params.${name}.default must be a ${type}, but is a ${typeOf(value)}`,
      location: document.locate(['params', name, 'default']),
    })
  }
  return { value, type, origin }
}

/** Undefined where it was reported that the value does not fit. */
function converted(name: string, given: GivenParam, type: ParamType, problems: Problem[]): ParamValue | undefined {
  const value = given.isText ? fromText(String(given.value), type) : given.value
  if (value !== undefined && typeOf(value) === type) return value
  const wanted = type === 'boolean' ? 'true or false' : type === 'number' ? 'a number' : 'a text'
  const shown = typeof given.value === 'string' ? `'${given.value}'` : `the ${typeof given.value} ${given.value}`
  const message = `the parameter '${name}' must be ${wanted}, but is ${shown}`
  if (given.location === undefined) throw new UserError(message, { exitCode: exitCodes.usage })
  problems.push({ message, location: given.location, ...(type === 'string' ? { hint: 'quote it' } : {}) })
  return undefined
}

function fromText(text: string, type: ParamType): ParamValue | undefined {
  if (type === 'string') return text
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : undefined
}

/** The options of a command line as given parameters. */
export function givenOnCommandLine(params: Readonly<Record<string, string>>): GivenParams {
  return new Map(
    Object.entries(params).map(([name, value]) => [name, { value, isText: true, origin: { option: '--param' } }]),
  )
}

/** The values of a mapping of parameters in a file; what is no value is left to the schema. */
export function givenInFile(document: YamlDocument, path: readonly (string | number)[], value: unknown): GivenParams {
  const given = new Map<string, GivenParam>()
  for (const [name, each] of Object.entries(isMapping(value) ? value : {})) {
    if (!isParamValue(each)) continue
    const location = document.locate([...path, name])
    given.set(name, { value: each, isText: false, origin: originOf(location), location })
  }
  return given
}

/**
 * Reports what was given for parameters that nobody declares: in a file as a problem, on the command line as a UserError
 * (exit code 2).
 */
export function checkGivenNames(
  given: GivenParams,
  declared: readonly string[],
  owner: string,
  problems: Problem[],
): void {
  for (const [name, { location }] of given) {
    if (declared.includes(name)) continue
    const message = `${owner} has no parameter '${name}'`
    const hint = suggestion(name, declared) ?? 'it has none at all'
    if (location === undefined) throw new UserError(message, { exitCode: exitCodes.usage, hint })
    problems.push({ message, location, hint })
  }
}

/** The values alone, as templates take them. */
export function paramValues(params: ResolvedParams): Record<string, ParamValue> {
  return Object.fromEntries([...params].map(([name, { value }]) => [name, value]))
}

export function originOf({ file, line }: SourceLocation): Origin {
  return { file, line: line ?? 1 }
}

/** As messages and tables show it: `recipes/web/recipe.yaml:4`. */
export function originText(origin: Origin): string {
  return 'option' in origin ? origin.option : `${origin.file}:${origin.line}`
}

function typeOf(value: ParamValue): ParamType {
  return typeof value === 'string' ? 'string' : typeof value === 'number' ? 'number' : 'boolean'
}

function isParamType(value: unknown): value is ParamType {
  return value === 'string' || value === 'number' || value === 'boolean'
}

export function isParamValue(value: unknown): value is ParamValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
