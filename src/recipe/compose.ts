import { realpathSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { UserError, type Problem, type SourceLocation } from '../errors.ts'
import { fillTemplate } from '../steps/handlebars.ts'
import { displayPath } from '../util/display-path.ts'
import { problemsOf } from '../util/schema-problems.ts'
import type { YamlPath } from '../util/yaml.ts'
import { isInside } from './files.ts'
import { openRecipe, type RecipeSource } from './locate.ts'
import type { WrittenStep } from './order.ts'
import {
  checkGivenNames,
  givenInFile,
  paramValues,
  resolveParams,
  type GivenParam,
  type GivenParams,
  type ResolvedParams,
} from './params.ts'
import { recipeSchema } from './schema.ts'

/** One recipe.yaml of those that make up a recipe, with the values that its parameters have there. */
export interface RecipePart {
  readonly source: RecipeSource
  readonly params: ResolvedParams
}

/** A step as it is written, in the part that wrote it. */
export interface PartStep extends WrittenStep {
  readonly part: RecipePart
}

/** A recipe with all that it extends, before anything is rendered. */
export interface Composition {
  /** Extended ones before what extends them; the recipe itself is the last. */
  readonly parts: readonly RecipePart[]
  /** In the order of the parts, then as written. */
  readonly steps: readonly PartStep[]
}

export interface ComposeInput {
  /** Values by name, for every part that declares the name. */
  readonly given: GivenParams
  /** Where revisions of git repositories are kept; undefined where none can be fetched. */
  readonly cacheDir: string | undefined
  readonly problems: Problem[]
}

/** A recipe on the way from the first to the one that is looked at. */
interface Visit {
  readonly source: RecipeSource
  /** What the parts before it on the way have to say about parameters. */
  readonly passed: GivenParams
  /** Real paths of the files on the way, itself the last. */
  readonly trail: readonly string[]
  /** Real path of the checkout that it came with, which it must not leave. */
  readonly checkout?: string
}

/** Where an entry of `extends` leads. */
interface Target {
  readonly folder: string
  readonly checkout?: string
}

/**
 * Reads all that a recipe extends, first to last, and settles the parameters of each part. What is wrong in any file is
 * reported into `problems`. Throws UserError (exit code 2) for what is given on the command line and fits no parameter.
 */
export async function composeRecipe(root: RecipeSource, input: ComposeInput): Promise<Composition> {
  const composer = new Composer(input)
  await composer.visit({ source: root, passed: new Map(), trail: [realpathSync(root.file)] })
  checkGivenNames(input.given, [...composer.declared], root.document.file, input.problems)
  const { parts } = composer
  return { parts, steps: parts.flatMap(stepsOf) }
}

class Composer {
  readonly parts: RecipePart[] = []
  readonly declared = new Set<string>()
  readonly #seen = new Set<string>()

  readonly #input: ComposeInput

  constructor(input: ComposeInput) {
    this.#input = input
  }

  /** Returns the names of all parameters of the recipe and of what it extends. */
  async visit(visit: Visit): Promise<ReadonlySet<string>> {
    const { source, passed, trail } = visit
    const { document } = source
    const { given, problems } = this.#input
    problems.push(...problemsOf(recipeSchema, document))
    const params = resolveParams(document, passed, given, problems)
    const names = new Set(params.keys())
    const own: GivenParams = new Map(
      [...params].map(([name, { value, origin }]): [string, GivenParam] => {
        const location = document.locateKey(['params', name])
        return [name, { value, origin, isText: false, location }]
      }),
    )
    for (const [index, entry] of entriesOf(document.value).entries()) {
      const path = ['extends', index]
      const next = await this.#open(entry, path, visit)
      if (next === undefined) continue
      const explicit = await this.#passedOn(entry, path, source, params)
      const inner = await this.visit({ ...next, passed: new Map([...passed, ...own, ...explicit]) })
      checkGivenNames(explicit, [...inner], next.source.document.file, problems)
      for (const name of inner) names.add(name)
    }
    for (const name of names) this.declared.add(name)
    // The same recipe with the same values, extended on two ways, is one.
    const identity = JSON.stringify([trail.at(-1), paramValues(params)])
    if (!this.#seen.has(identity)) this.parts.push({ source, params })
    this.#seen.add(identity)
    return names
  }

  /** Undefined where a problem was reported. */
  async #open(entry: unknown, path: YamlPath, from: Visit): Promise<Omit<Visit, 'passed'> | undefined> {
    const { document } = from.source
    const report = (message: string, hint?: string) => {
      const location = document.locate(path)
      this.#input.problems.push({ message: `extends[${path[1]}] ${message}`, location, ...(hint ? { hint } : {}) })
      return undefined
    }
    const target = await this.#target(entry, from, report)
    if (target === undefined) return undefined
    const { folder, checkout } = target
    let source: RecipeSource
    try {
      source = openRecipe(folder)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      const { message, location, hint } = error
      if (location === undefined) return report(`leads nowhere: ${message}`, hint)
      this.#input.problems.push({ message, location, ...(hint === undefined ? {} : { hint }) })
      return undefined
    }
    const file = realpathSync(source.file)
    if (checkout !== undefined && !isInside(checkout, file)) {
      return report('leaves the git repository that it came with')
    }
    const at = from.trail.indexOf(file)
    if (at !== -1) {
      const names = [...from.trail.slice(at), file].map((each) => displayPath(each))
      return report(`leads back to where it came from: ${names.join(' -> ')}`, 'remove one of these extends')
    }
    return { source, trail: [...from.trail, file], ...(checkout === undefined ? {} : { checkout }) }
  }

  async #target(
    entry: unknown,
    { source, checkout }: Visit,
    report: (message: string, hint?: string) => undefined,
  ): Promise<Target | undefined> {
    const fields = isMapping(entry) ? entry : { recipe: entry }
    const { git, recipe } = fields
    if (typeof git === 'string') return this.#gitTarget(git, fields, report)
    // The schema reports it.
    if (typeof recipe !== 'string' || recipe === '') return undefined
    if (isAbsolute(recipe)) {
      return report(
        `must be relative to the folder of this recipe, but is '${recipe}'`,
        'it must work on other machines',
      )
    }
    return { folder: resolve(source.folder, recipe), ...(checkout === undefined ? {} : { checkout }) }
  }

  async #gitTarget(
    url: string,
    fields: Readonly<Record<string, unknown>>,
    report: (message: string, hint?: string) => undefined,
  ): Promise<Target | undefined> {
    const { commitPattern, checkOut, lookUpRevision, urlFinding } = await import('./git.ts')
    const { commit, path = '.' } = fields
    const finding = urlFinding(url)
    if (finding !== undefined) return report(`cannot be fetched: ${finding}`)
    if (typeof commit !== 'string' || !commitPattern.test(commit)) {
      const names = [commit, fields['tag'], fields['branch'], fields['ref'], 'HEAD']
      const name = String(names.find((each) => typeof each === 'string'))
      const now = await lookUpRevision(url, name)
      return report(
        "must have a 'commit' of 40 hex digits, for branches and tags move",
        now === undefined ? `look it up: git ls-remote ${url}` : `${name} is now: commit: ${now}`,
      )
    }
    if (typeof path !== 'string') return undefined
    if (this.#input.cacheDir === undefined) return report('needs a folder to keep git revisions in, and none is given')
    try {
      const checkout = await checkOut({ url, commit }, this.#input.cacheDir)
      const folder = join(checkout, path)
      return isInside(checkout, folder)
        ? { folder, checkout }
        : report(`has a path that leaves the repository: '${path}'`)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      return report(`cannot be fetched: ${error.message}`, error.hint)
    }
  }

  /** The entry's own parameters, with `{{params}}` of the recipe that wrote them filled in. */
  async #passedOn(
    entry: unknown,
    path: YamlPath,
    { document }: RecipeSource,
    params: ResolvedParams,
  ): Promise<GivenParams> {
    const written = isMapping(entry) ? givenInFile(document, [...path, 'params'], entry['params']) : new Map()
    const filled = new Map<string, GivenParam>()
    for (const [name, given] of written as GivenParams) {
      if (typeof given.value !== 'string' || !given.value.includes('{{')) {
        filled.set(name, given)
        continue
      }
      const result = await fillTemplate(given.value, paramValues(params))
      if (result.ok) filled.set(name, { ...given, value: result.text, isText: true })
      else this.#reportTemplate(result.problems, given.location)
    }
    return filled
  }

  #reportTemplate(problems: readonly { readonly message: string }[], location: SourceLocation | undefined): void {
    for (const { message } of problems) {
      this.#input.problems.push({ message, ...(location === undefined ? {} : { location }) })
    }
  }
}

function stepsOf(part: RecipePart): PartStep[] {
  const { document } = part.source
  const { value } = document
  const steps = isMapping(value) && Array.isArray(value['steps']) ? (value['steps'] as unknown[]) : []
  return steps.map((raw, index) => ({ part, document, index, raw }))
}

function entriesOf(value: unknown): readonly unknown[] {
  const entries = isMapping(value) ? value['extends'] : undefined
  return Array.isArray(entries) ? (entries as unknown[]) : []
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
