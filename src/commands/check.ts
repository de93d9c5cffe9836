import { access, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { exitCodes, formatProblem, UserError, type Problem } from '../errors.ts'
import type { Sifted } from '../lint/allow.ts'
import type { Finding, Severity } from '../lint/model.ts'
import type { Inspection } from '../recipe/load.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import type { BuildCommand, CommandContext } from './app.ts'
import { addRecipeOptions, loadOptions, type RecipeOptions } from './recipe-options.ts'

interface CheckOptions extends RecipeOptions {
  readonly strict?: true
  readonly hints?: true
  readonly only?: readonly string[]
  readonly except?: readonly string[]
  readonly explain?: string
}

/** What is said about one recipe. */
interface Checked extends Sifted {
  readonly recipe: string
  readonly steps: number
  readonly problems: readonly Problem[]
}

/** `parbake check [RECIPE...]` */
export const build: BuildCommand = (app) =>
  addRecipeOptions(
    new Command('check')
      .description('check recipes: what is wrong with them, and what would hurt later')
      .argument('[recipes...]', 'recipe folders or files; default: this folder, or every recipe in recipes/'),
  )
    .option('--strict', 'fail for warnings too')
    .option('--hints', 'show hints too')
    .option('--only <ids>', 'only these findings, with commas between', collectIds)
    .option('--except <ids>', 'all but these findings', collectIds)
    .option('--explain <id>', 'print the reason for a finding and an example, and check nothing')
    .action(async (given: string[], options: CheckOptions, command: Command) => {
      const context = await app.open(command)
      if (options.explain !== undefined) {
        const { explain } = await import('../lint/explain.ts')
        context.print(explain(options.explain))
        return
      }
      const results = await check(context, given.length > 0 ? given : await findRecipes('.'), options)
      if (given.length === 0) await noteUnusedAllows(context, results)
      print(context, results, options)
      fail(results, options, context.json)
    })

/** All recipes are read before any is looked at more closely, so that shellcheck runs once. */
async function check(context: CommandContext, recipes: readonly string[], options: CheckOptions): Promise<Checked[]> {
  const { inspectRecipe } = await import('../recipe/load.ts')
  const inspected: { readonly recipe: string; readonly found: Inspection }[] = []
  for (const recipe of recipes) {
    inspected.push({ recipe, found: await inspectRecipe(recipe, loadOptions(context, options)) })
  }
  const good = inspected.flatMap(({ found }) => (found.ok ? [found] : []))
  const [{ lintRecipes }, { checkIds }] = await Promise.all([import('../lint/lint.ts'), import('../lint/explain.ts')])
  const { only, except } = options
  checkIds('--only', only ?? [])
  checkIds('--except', except ?? [])
  const sifted = await lintRecipes(context, good, {
    allow: context.config.check.allow,
    ...(only === undefined ? {} : { only }),
    ...(except === undefined ? {} : { except }),
  })
  return inspected.map(({ recipe, found }) => {
    if (!found.ok) return { recipe, steps: 0, problems: found.problems, findings: [], allowed: [] }
    const { findings = [], allowed = [] } = sifted[good.indexOf(found)] ?? {}
    return { recipe, steps: found.recipe.steps.length, problems: [], findings, allowed }
  })
}

function print(context: CommandContext, results: readonly Checked[], options: CheckOptions): void {
  const isFailure = failing(options)
  if (context.json) {
    context.printJson(
      results.map((result) => ({
        ...result,
        ok: result.problems.length === 0 && !result.findings.some(isFailure),
      })),
    )
    return
  }
  // Recipes that extend the same one share its findings.
  const said = new Set<string>()
  for (const { recipe, steps, problems, findings } of results) {
    for (const finding of findings) {
      const text = formatProblem(problemOf(finding))
      // What fails the check comes with the error that ends it.
      if (isFailure(finding) || said.has(text)) continue
      said.add(text)
      if (finding.severity === 'warning') context.reporter.emit({ type: 'warning', text })
      else if (options.hints === true) context.reporter.emit({ type: 'note', text })
    }
    const ok = problems.length === 0 && !findings.some(isFailure)
    if (ok) context.print(`${recipe}: ${summary(findings, options)}, ${count(steps, 'step')}`)
  }
}

function summary(findings: readonly Finding[], options: CheckOptions): string {
  const number = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length
  const warnings = number('warning')
  const hints = number('hint')
  const shown = warnings === 0 ? 'ok' : count(warnings, 'warning')
  return hints > 0 && options.hints === true ? `${shown}, ${count(hints, 'hint')}` : shown
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function failing(options: CheckOptions): (finding: Finding) => boolean {
  return ({ severity }) => severity === 'error' || (severity === 'warning' && options.strict === true)
}

function problemOf({ id, message, location, fix }: Finding): Problem {
  return { message: `${message} [${id}]`, location, hint: fix }
}

/** As JSON the problems are already on stdout. */
function fail(results: readonly Checked[], options: CheckOptions, json: boolean): void {
  const all = results.flatMap((result) => [
    ...result.problems,
    ...result.findings.filter(failing(options)).map(problemOf),
  ])
  const problems = [...new Map(all.map((problem) => [formatProblem(problem), problem])).values()]
  if (problems.length === 0) return
  throw new UserError(`found ${count(problems.length, 'problem')}`, {
    problems: json ? [] : problems,
    exitCode: exitCodes.usage,
    code: 'recipe-invalid',
  })
}

/** Only where all recipes of the project were looked at can it be said that an `allow` of the project is of no use. */
async function noteUnusedAllows(context: CommandContext, results: readonly Checked[]): Promise<void> {
  const { isKnown, namesOf, unknownHint } = await import('../lint/allow.ts')
  for (const id of Object.keys(context.config.check.allow)) {
    const used = results.some(({ allowed }) => allowed.some((finding) => namesOf(finding.id).includes(id)))
    if (used) continue
    const why = isKnown(id) ? 'allows what is not found' : `is no finding: ${unknownHint(id)}`
    context.reporter.emit({ type: 'note', text: `check.allow.${id} in the configuration ${why}` })
  }
}

function collectIds(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, ...text.split(',').map((id) => id.trim())]
}

/** The folder itself if it is a recipe, else every recipe below its `recipes/`. */
async function findRecipes(folder: string): Promise<string[]> {
  if (await exists(join(folder, 'recipe.yaml'))) return [folder]
  const parent = join(folder, 'recipes')
  const names = await readdir(parent).catch(() => [])
  const folders = names.toSorted(compareCodeUnits).map((name) => join(parent, name))
  const isRecipe = await Promise.all(folders.map((recipe) => exists(join(recipe, 'recipe.yaml'))))
  const recipes = folders.filter((_, index) => isRecipe[index])
  if (recipes.length > 0) return recipes
  throw new UserError('there is no recipe here: neither recipe.yaml nor recipes/*/recipe.yaml', {
    hint: 'name the recipe folders to check',
    exitCode: exitCodes.usage,
  })
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
