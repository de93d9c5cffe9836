import type { z } from 'zod'
import type { Problem } from '../errors.ts'
import { nearest, suggestion } from './nearest.ts'
import type { YamlDocument, YamlPath } from './yaml.ts'

type Issue = z.core.$ZodIssue
type RawIssue = z.core.$ZodRawIssue

/**
 * Checks the document against a schema. Problems are one per finding, located, unsorted. Where a schema brings its own
 * message it must read on after the key, as in "must be a quoted octal string".
 */
export function problemsOf(schema: z.ZodType, document: YamlDocument): Problem[] {
  const result = schema.safeParse(document.value, { error: describe })
  if (result.success) return []
  return result.error.issues
    .flatMap((issue) => flatten(issue, []))
    .flatMap((found) => toProblems(schema, document, found))
}

/** By file in the order of their first appearance, then by line and column. Equal ones are dropped. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map((problem) => problem.location?.file ?? ''))]
  const rank = (problem: Problem) => files.indexOf(problem.location?.file ?? '')
  const seen = new Set<string>()
  return problems
    .toSorted(
      (a, b) =>
        rank(a) - rank(b) ||
        (a.location?.line ?? 0) - (b.location?.line ?? 0) ||
        (a.location?.column ?? 0) - (b.location?.column ?? 0),
    )
    .filter((problem) => {
      const key = JSON.stringify([problem.message, problem.location])
      return !seen.has(key) && seen.add(key)
    })
}

/** `steps[2].env.PORT`, as problems name what they are about. */
export function formatPath(path: YamlPath): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? part : `${text}.${part}`),
    '',
  )
}

interface Found {
  readonly issue: Issue
  readonly path: YamlPath
  /** The key itself is wrong, not its value. */
  readonly atKey?: boolean
}

/** Of a union, only what is wrong with the member that was meant. */
function flatten(issue: Issue, prefix: YamlPath): Found[] {
  const path = [...prefix, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))]
  if (issue.code === 'invalid_key')
    return issue.issues.map((inner) => ({ issue: { ...inner, path: [] } as Issue, path, atKey: true }))
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [{ issue, path }]
  const meant = issue.errors
    .filter((branch) => !branch.some((inner) => inner.path.length === 0 && /^invalid_(?:type|union)$/.test(inner.code)))
    .toSorted((a, b) => a.length - b.length)[0]
  return meant === undefined ? [{ issue, path }] : meant.flatMap((inner) => flatten(inner, path))
}

function toProblems(schema: z.ZodType, document: YamlDocument, { issue, path, atKey = false }: Found): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path, document.value)
    return issue.keys.map((key) => {
      const hint = suggestion(key, known)
      return {
        message: `unknown key '${key}'${path.length === 0 ? '' : ` in ${formatPath(path)}`}`,
        location: document.locateKey([...path, key]),
        ...(hint === undefined ? {} : { hint }),
      }
    })
  }
  const hint = hintOf(issue, valueAt(document.value, path))
  const subject = path.length === 0 ? 'the document' : formatPath(path)
  const value = valueAt(document.value, path)
  // A schema's own message speaks of a value; there may be none.
  const message =
    value === undefined && issue.code === 'invalid_union' && issue.errors.length > 0 ? 'is missing' : issue.message
  return [
    {
      message: `${subject} ${message}`,
      location: atKey ? document.locateKey(path) : document.locate(path),
      ...(hint === undefined ? {} : { hint }),
    },
  ]
}

function hintOf(issue: Issue, value: unknown): string | undefined {
  const options = optionsOf(issue)
  const near = typeof value === 'string' ? nearest(value, options) : undefined
  return near === undefined ? undefined : `did you mean '${near}'?`
}

function optionsOf(issue: Issue | RawIssue): string[] {
  if (issue.code === 'invalid_value') return (issue.values as unknown[]).map(String)
  if (issue.code === 'invalid_union' && 'options' in issue && Array.isArray(issue.options)) {
    return issue.options.map(String)
  }
  return []
}

/** The predicate of a problem's message, in plain words. */
function describe(issue: RawIssue): string {
  const { input } = issue
  switch (issue.code) {
    case 'invalid_type':
      return input === undefined
        ? `is missing (${article(String(issue['expected']))})`
        : `must be ${article(String(issue['expected']))}, but is ${nameOf(input)}`
    case 'invalid_value':
      return input === undefined ? 'is missing' : `must be ${oneOf(optionsOf(issue))}, but is ${nameOf(input)}`
    case 'invalid_union': {
      const options = optionsOf(issue)
      if (options.length === 0) return `has a wrong type: it is ${nameOf(input)}`
      const given = isRecord(input) ? input[String(issue['discriminator'])] : input
      return given === undefined
        ? `is missing: it must be ${oneOf(options)}`
        : `must be ${oneOf(options)}, but is ${nameOf(given)}`
    }
    case 'too_small':
      return issue['origin'] === 'number' || issue['origin'] === 'int'
        ? `must be at least ${String(issue['minimum'])}, but is ${String(input)}`
        : 'must not be empty'
    case 'too_big':
      return `must be at most ${String(issue['maximum'])}, but is ${nameOf(input)}`
    default:
      return issue.message ?? 'is not valid'
  }
}

function oneOf(options: readonly string[]): string {
  return options.length === 1 ? `${options[0]}` : `one of ${options.join(', ')}`
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
  null: 'empty',
}

function article(type: string): string {
  return typeNames[type] ?? type
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 57)}...` : value}'`
  return `the ${typeof value} ${JSON.stringify(value)}`
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value at a path of a parsed document, or undefined. */
export function valueAt(root: unknown, path: YamlPath): unknown {
  return path.reduce<unknown>((value, part) => {
    if (typeof part === 'number') return Array.isArray(value) ? (value as unknown[])[part] : undefined
    return isRecord(value) && Object.hasOwn(value, part) ? value[part] : undefined
  }, root)
}

/** The slice of zod's schema definitions that leads from a schema to its children. */
interface SchemaDef {
  readonly type: string
  readonly shape?: Readonly<Record<string, z.ZodType>>
  readonly element?: z.ZodType
  readonly valueType?: z.ZodType
  readonly innerType?: z.ZodType
  readonly in?: z.ZodType
  readonly options?: readonly z.ZodType[]
  readonly discriminator?: string
}

/** Keys that the schema knows for the mapping at `path`. */
function keysAt(schema: z.ZodType, path: YamlPath, value: unknown): string[] {
  const def = schema.def as unknown as SchemaDef
  const inner = def.innerType ?? def.in
  if (inner !== undefined) return keysAt(inner, path, value)
  if (def.options !== undefined)
    return def.options.flatMap((option) => (fits(option, def, value) ? keysAt(option, path, value) : []))
  const [head, ...rest] = path
  if (head === undefined) return Object.keys(def.shape ?? {})
  const child = typeof head === 'number' ? def.element : (def.shape?.[head] ?? def.valueType)
  return child === undefined ? [] : keysAt(child, rest, valueAt(value, [head]))
}

/** Of a discriminated union, only the member that the value names. */
function fits(option: z.ZodType, union: SchemaDef, value: unknown): boolean {
  if (union.discriminator === undefined) return true
  const tag = (option.def as unknown as SchemaDef).shape?.[union.discriminator]
  return tag?.safeParse(valueAt(value, [union.discriminator])).success === true
}
