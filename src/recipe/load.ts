import { basename } from 'node:path'
import type { HostClient } from '../config.ts'
import { exitCodes, UserError, type Problem } from '../errors.ts'
import type { Sha256 } from '../util/sha256.ts'
import { namePattern, nameRule } from '../util/name.ts'
import { sortProblems } from '../util/schema-problems.ts'
import type { YamlDocument, YamlPath } from '../util/yaml.ts'
import { composeRecipe, type Composition, type PartStep } from './compose.ts'
import { defaultEveryMinutes, defaultSplaySeconds } from './cron.ts'
import { stepDigest } from './digest.ts'
import { withClient, withSoftware } from './implied.ts'
import { openRecipe, recipeName, type RecipeSource } from './locate.ts'
import type { Recipe, RenderedFile, Step } from './model.ts'
import { orderNodes, resolveOrder, type OrderedNode } from './order.ts'
import { findStepType } from '../steps/registry.ts'
import { givenOnCommandLine, paramValues, type GivenParams } from './params.ts'
import { renderStep, type RenderResult } from './render.ts'
import { recipeSchema } from './schema.ts'

export interface LoadRecipeOptions {
  /** Parameters by name, as given on a command line: before all others. */
  readonly params?: Readonly<Record<string, string>>
  /** A YAML file of parameters: before those of the environment. */
  readonly paramsFile?: string
  /** Name of an environment: `params/<name>.yaml` in the recipe folder, before what recipes say themselves. */
  readonly environment?: string
  /** Where revisions of git repositories are kept; without it a recipe cannot extend any. */
  readonly cacheDir?: string
  /** What hosts fetch with, where that is not the agent itself: a step for images installs it. */
  readonly client?: HostClient
}

/** What `parbake check` wants to know: either no problem, a recipe and its steps as written, by name, or all problems, sorted by position. */
export type Inspection =
  | {
      readonly ok: true
      readonly recipe: Recipe
      readonly sources: ReadonlyMap<string, StepSource>
      readonly composition: Composition
      /** By the name of the step: the files that it names, whatever wrote them. */
      readonly files: ReadonlyMap<string, readonly RenderedFile[]>
    }
  | { readonly ok: false; readonly file: string; readonly problems: readonly Problem[] }

/** A step as the user wrote it: where it stands, and its mapping. */
export interface StepSource {
  readonly document: YamlDocument
  readonly path: YamlPath
  readonly raw: Readonly<Record<string, unknown>>
}

const defaultTimeoutSeconds = 900

/**
 * Reads, checks and renders a recipe. Throws one UserError (exit code 2) that carries all problems, sorted by position.
 */
export async function loadRecipe(folderOrFile: string, options: LoadRecipeOptions = {}): Promise<Recipe> {
  const result = await inspectRecipe(folderOrFile, options)
  if (result.ok) return result.recipe
  throw recipeError(result)
}

/** One error (exit code 2) that carries all that is wrong with a recipe. */
export function recipeError({ problems, file }: Extract<Inspection, { ok: false }>): UserError {
  return new UserError(`${file} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}`, {
    problems,
    exitCode: exitCodes.usage,
    code: 'recipe-invalid',
  })
}

/** Like `loadRecipe`, but hands back the problems. Throws only where there is no recipe, or for bad `params`. */
export async function inspectRecipe(folderOrFile: string, options: LoadRecipeOptions = {}): Promise<Inspection> {
  let source: RecipeSource
  try {
    source = openRecipe(folderOrFile)
  } catch (error) {
    if (!(error instanceof UserError) || error.location === undefined) throw error
    const { message, location, hint } = error
    return {
      ok: false,
      file: location.file,
      problems: [{ message, location, ...(hint === undefined ? {} : { hint }) }],
    }
  }
  const problems: Problem[] = []
  const given = await givenParams(source.folder, options, problems)
  const composed = await composeRecipe(source, { given, cacheDir: options.cacheDir, problems })
  const composition = { ...composed, steps: withClient(withSoftware(composed.steps), options.client) }
  problems.push(
    ...nameProblems(source),
    ...scheduleProblems(source),
    ...composition.parts.flatMap(({ source: part }) => stepsProblems(part)),
  )
  const { order, problems: orderProblems } = resolveOrder(orderNodes(composition.steps))
  problems.push(...orderProblems)
  const rendered: (RenderResult | undefined)[] = []
  for (const { part, raw, index } of composition.steps) {
    const { folder, document } = part.source
    rendered.push(await renderStep({ folder, document, params: paramValues(part.params), problems }, raw, index))
  }
  const { document } = source
  const parsed = recipeSchema.safeParse(document.value)
  if (problems.length > 0 || !parsed.success) {
    return { ok: false, file: document.file, problems: sortProblems(problems) }
  }
  const { description, every, parallel, schedule, splay } = parsed.data
  const recipe: Recipe = {
    name: String(recipeName(source)),
    ...(description === undefined ? {} : { description }),
    folder: source.folder,
    file: source.file,
    params: Object.assign({}, ...composition.parts.map((part) => paramValues(part.params))) as Recipe['params'],
    everyMinutes: every ?? (typeof schedule === 'number' ? schedule : defaultEveryMinutes),
    ...(typeof schedule === 'object' ? { schedule: { ...schedule, splaySeconds: splay ?? defaultSplaySeconds } } : {}),
    ...(parallel === undefined ? {} : { parallel }),
    steps: assemble(order, rendered),
  }
  const files = new Map(rendered.flatMap((each) => (each === undefined ? [] : [[each.spec.name, each.files] as const])))
  return { ok: true, recipe, sources: sourcesOf(composition.steps), composition, files }
}

/** By name. */
function sourcesOf(steps: readonly PartStep[]): ReadonlyMap<string, StepSource> {
  return new Map(
    steps.map(({ document, index, raw: value }) => {
      const raw = asMapping(value)
      return [String(raw['name']), { document, path: ['steps', index], raw }]
    }),
  )
}

/** What was given by name, the strongest last. */
async function givenParams(folder: string, options: LoadRecipeOptions, problems: Problem[]): Promise<GivenParams> {
  const { environment, paramsFile, params = {} } = options
  const files = environment === undefined && paramsFile === undefined ? undefined : await import('./params-files.ts')
  return new Map([
    ...(environment === undefined || files === undefined
      ? []
      : await files.readEnvironment(folder, environment, problems)),
    ...(paramsFile === undefined || files === undefined ? [] : await files.readGivenFile(paramsFile, problems)),
    ...givenOnCommandLine(params),
  ])
}

/** Only a recipe that extends others can do without steps. */
function stepsProblems({ document }: RecipeSource): Problem[] {
  const { value } = document
  if (typeof value !== 'object' || value === null || Array.isArray(value) || 'steps' in value) return []
  const { extends: others } = asMapping(value)
  if (Array.isArray(others) && others.length > 0) return []
  return [{ message: 'steps is missing (a list)', location: document.locate([]) }]
}

/** What the schema does not see: keys that cannot stand together. */
function scheduleProblems({ document }: RecipeSource): Problem[] {
  const { every, schedule, splay } = asMapping(document.value)
  const problems: Problem[] = []
  if (every !== undefined && schedule !== undefined) {
    problems.push({ message: 'schedule cannot stand beside every', location: document.locate(['schedule']) })
  }
  if (splay !== undefined && !(typeof schedule === 'string' && /\s/.test(schedule.trim()))) {
    problems.push({
      message: 'splay goes with a cron expression only',
      location: document.locate(['splay']),
      hint: 'with an interval, hosts spread over all of it',
    })
  }
  return problems
}

/** A name in the file is checked by the schema; the folder's name only matters where there is none. */
function nameProblems(source: RecipeSource): Problem[] {
  const own = asMapping(source.document.value)['name']
  const folderName = basename(source.folder)
  if (own !== undefined || namePattern.test(folderName)) return []
  return [
    {
      message: `the folder's name '${folderName}' cannot be the recipe's name: it ${nameRule}`,
      location: source.document.locate([]),
      hint: 'give the recipe a name of its own with the key name',
    },
  ]
}

/** Steps in execution order; each digest needs those before it. */
function assemble(order: readonly OrderedNode[], rendered: readonly (RenderResult | undefined)[]): Step[] {
  const digests = new Map<string, Sha256>()
  return order.map((node) => {
    const result = rendered[node.index]
    if (result === undefined) throw new Error(`step '${node.name}' was neither rendered nor reported`)
    const { type, spec } = result
    const needs = node.needs.map((need) => digests.get(need)).filter((digest) => digest !== undefined)
    const digest = stepDigest({ type, rendered: result.rendered, needs })
    digests.set(node.name, digest)
    return {
      name: spec.name,
      ...(spec.description === undefined ? {} : { description: spec.description }),
      type,
      rendered: result.rendered,
      needs: node.needs,
      when: spec.when ?? 'change',
      bake: result.runtimeOnly === undefined ? (spec.bake ?? 'auto') : 'never',
      ...(result.runtimeOnly === undefined ? {} : { runtimeOnly: result.runtimeOnly }),
      timeoutSeconds: spec.timeout ?? defaultTimeoutSeconds,
      retries: spec.retries ?? 0,
      ...(usesPackages(type, result.rendered.script) ? { packages: true } : {}),
      ...(spec.reboot === true ? { reboot: true } : {}),
      ...(spec.trace === true ? { trace: true } : {}),
      ...(spec.requires === undefined ? {} : { requires: spec.requires }),
      digest,
    }
  })
}

/** Scripts may call a package manager too; one that only names it waits for others without need, and no more. */
function usesPackages(type: string, script: string): boolean {
  return (
    findStepType(type)?.packageManager === true || /\b(apt|apt-get|aptitude|dpkg|dnf|yum|rpm|zypper|apk)\b/.test(script)
  )
}

function asMapping(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}
