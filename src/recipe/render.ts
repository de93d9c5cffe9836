import { join } from 'node:path'
import type { Problem, SourceLocation } from '../errors.ts'
import type { CommonSpec } from '../steps/common.ts'
import { conditionLines, conditionSchema, hostFactsOf } from '../steps/conditions.ts'
import { fillTemplate, type TemplateProblem } from '../steps/handlebars.ts'
import { findStepType } from '../steps/registry.ts'
import type { RenderContext, ReportProblem } from '../steps/types.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import { displayPath } from '../util/display-path.ts'
import { suggestion } from '../util/nearest.ts'
import { formatPath } from '../util/schema-problems.ts'
import type { YamlDocument, YamlPath } from '../util/yaml.ts'
import type { ParamValue, RenderedFile, RenderedStep } from './model.ts'
import { isParamValue } from './params.ts'
import { stepFiles, type StepFiles } from './step-files.ts'

/** A step as it is rendered, and its keys as the schema made them. */
export interface RenderResult {
  readonly type: string
  readonly spec: CommonSpec
  /** Why the step cannot be baked, by its type. */
  readonly runtimeOnly?: string
  readonly rendered: RenderedStep
  /** The files that the step names, with paths relative to the recipe folder. */
  readonly files: readonly RenderedFile[]
}

export interface RenderInput {
  readonly folder: string
  readonly document: YamlDocument
  readonly params: Readonly<Record<string, ParamValue>>
  readonly problems: Problem[]
}

/**
 * Renders the step at `index`. Everything that the schema does not see is reported here, whether or not the step fits the
 * schema; undefined where it cannot be rendered.
 */
export async function renderStep(input: RenderInput, raw: unknown, index: number): Promise<RenderResult | undefined> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return undefined
  const fields = raw as Readonly<Record<string, unknown>>
  const type = findStepType(fields['type'])
  if (type === undefined) return undefined
  const files = stepFiles(input.folder, fields['inline'])
  const context = renderContext({ ...input, params: { ...input.params, ...ownParams(fields['params']) } }, index, files)
  checkCommon(fields, context.report)
  await type.check(fields, context)
  const runtimeOnly = type.runtimeOnly(raw)
  if (runtimeOnly !== undefined && fields['bake'] === 'always') {
    context.report(['bake'], `cannot be always: ${runtimeOnly}`)
  }
  const env = await renderEnv(fields['env'], context)
  const inputs = await readInputs(files, fields['inputs'], context.report)
  const parts = await type.render(raw, context)
  const parsed = type.schema.safeParse(raw)
  if (parts === undefined || !parsed.success) return undefined
  const byPath = new Map([...inputs, ...parts.files].map((file) => [file.path, file]))
  const all = [...byPath.values()].toSorted((a, b) => compareCodeUnits(a.path, b.path))
  // Every type's schema is made of the common shape.
  const spec = parsed.data as CommonSpec
  const conditions = conditionLines(spec.if ?? {})
  const secrets = [...new Set(spec.secrets)].toSorted()
  return {
    type: type.name,
    spec,
    ...(runtimeOnly === undefined ? {} : { runtimeOnly }),
    rendered: {
      ...{ script: parts.script, env, files: all },
      ...(conditions.length === 0 ? {} : { conditions }),
      ...(secrets.length === 0 ? {} : { secrets }),
    },
    files: files.seen(),
  }
}

function renderContext(
  { folder, document, params, problems }: RenderInput,
  index: number,
  files: StepFiles,
): RenderContext {
  const base: YamlPath = ['steps', index]
  const add = (message: string, location: SourceLocation, hint: string | undefined) =>
    problems.push({ message, location, ...(hint === undefined ? {} : { hint }) })
  const report: ReportProblem = (path, message, hint) => {
    const full = [...base, ...path]
    add(`${formatPath(full)} ${message}`, document.locate(full), hint)
  }
  const places = async (path: YamlPath, file: string | undefined) => {
    if (file === undefined) {
      return (line: number, column: number) => document.locateInText([...base, ...path], line, column)
    }
    const text = await files.readText(file)
    const lines = text.ok ? text.value.split('\n') : []
    const shown = displayPath(join(folder, file))
    return (line: number, column: number) => ({ file: shown, line, column, sourceLine: lines[line - 1] ?? '' })
  }
  return {
    params,
    report,
    readText: async (path, relative) => {
      const found = await files.readText(relative)
      if (found.ok) return found.value
      report(path, found.message, found.hint)
      return undefined
    },
    readFiles: async (path, relative) => {
      const found = await files.readFiles(relative)
      if (found.ok) return found.value
      report(path, found.message, found.hint)
      return undefined
    },
    fill: async (text, path, file) => {
      const result = await fillTemplate(text, params)
      if (result.ok) return result.text
      const locate = await places(path, file)
      for (const problem of result.problems) {
        add(problem.message, locate(problem.line, problem.column ?? 1), hintOf(problem, Object.keys(params)))
      }
      return undefined
    },
  }
}

function hintOf(problem: TemplateProblem, names: readonly string[]): string | undefined {
  if (problem.unknown === undefined) return undefined
  return suggestion(problem.unknown, names) ?? `declare it under params in recipe.yaml`
}

function checkCommon(fields: Readonly<Record<string, unknown>>, report: ReportProblem): void {
  const { when, bake, reboot } = fields
  const condition = conditionSchema.safeParse(fields['if'])
  if (bake === 'always' && condition.success && hostFactsOf(conditionLines(condition.data)).length > 0) {
    report(['bake'], 'cannot be always for a step whose if asks about platform or tag', 'a bake cannot know them')
  }
  if (reboot === true && (when === 'boot' || when === 'always')) {
    report(['reboot'], `cannot be true for a step with when: ${when}`, 'the host would never stop rebooting')
  }
  checkSecrets(fields, report)
  if (bake === 'always' && (when === 'instance' || when === 'boot' || when === 'always')) {
    report(['bake'], `cannot be always for a step with when: ${when}`, 'only steps with when: change can be baked')
  }
}

function checkSecrets({ secrets, env, bake }: Readonly<Record<string, unknown>>, report: ReportProblem): void {
  const names = Array.isArray(secrets) ? (secrets as unknown[]) : []
  for (const [index, name] of names.entries()) {
    if (typeof name !== 'string') continue
    if (name.startsWith('PARBAKE_')) {
      report(['secrets', index], 'uses a name that the agent sets itself: names must not begin with PARBAKE_')
    }
    if (typeof env === 'object' && env !== null && Object.hasOwn(env, name)) {
      report(['secrets', index], `is a name that env has too: '${name}'`, 'remove one of the two')
    }
  }
  if (names.length > 0 && bake === 'always') {
    report(['bake'], 'cannot be always for a step that uses a secret', 'no image may hold one')
  }
}

/** Parameters that a step sets for itself. */
function ownParams(raw: unknown): Readonly<Record<string, ParamValue>> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return {}
  return Object.fromEntries(
    Object.entries(raw).filter((entry): entry is [string, ParamValue] => isParamValue(entry[1])),
  )
}

async function renderEnv(raw: unknown, context: RenderContext): Promise<Record<string, string>> {
  const env: Record<string, string> = {}
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return env
  for (const [name, value] of Object.entries(raw as Record<string, unknown>)) {
    const path = ['env', name]
    if (name.startsWith('PARBAKE_')) {
      context.report(path, 'uses a name that the agent sets itself: names must not begin with PARBAKE_')
    }
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') continue
    const text = await context.fill(String(value), path)
    if (text !== undefined && /[\n\r\0]/.test(text)) {
      context.report(path, 'must be one line', 'put longer texts into a file under inputs')
    }
    if (text !== undefined) env[name] = text
  }
  return env
}

async function readInputs(own: StepFiles, raw: unknown, report: ReportProblem): Promise<readonly RenderedFile[]> {
  const files = new Map<string, RenderedFile>()
  for (const [index, path] of (Array.isArray(raw) ? (raw as unknown[]) : []).entries()) {
    if (typeof path !== 'string') continue
    const found = await own.readFiles(path)
    if (!found.ok) {
      report(['inputs', index], found.message, found.hint)
      continue
    }
    for (const file of found.value) {
      if (file.path === '.parbake' || file.path.startsWith('.parbake/')) {
        report(['inputs', index], `holds '${file.path}': the name .parbake is taken by parbake itself`)
      }
      files.set(file.path, file)
    }
  }
  return [...files.values()]
}
