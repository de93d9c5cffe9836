import { eligibilityOf } from '../plan/eligibility.ts'
import type { StepSource } from '../recipe/load.ts'
import type { Recipe, Step } from '../recipe/model.ts'
import { findStepType } from '../steps/registry.ts'
import { declaredEffects, type Effects } from './effects.ts'
import type { LintedRecipe, LintedScript, LintedStep } from './model.ts'
import { readScript } from './script.ts'
import { constantsOf, shellEffects } from './shell-effects.ts'

/** A recipe with its scripts read and what its steps make and use. Reads the script files of the recipe. */
export async function lintedRecipe(recipe: Recipe, sources: ReadonlyMap<string, StepSource>): Promise<LintedRecipe> {
  const eligibility = eligibilityOf(recipe.steps, new Map())
  const steps: LintedStep[] = []
  for (const step of recipe.steps) {
    const mayBeBaked = eligibility.get(step.name)?.eligible === true
    steps.push(await lintedStep(recipe, step, sources.get(step.name), mayBeBaked))
  }
  return { recipe, steps }
}

async function lintedStep(
  recipe: Recipe,
  step: Step,
  source: StepSource | undefined,
  mayBeBaked: boolean,
): Promise<LintedStep> {
  const declared = source === undefined ? {} : (findStepType(step.type)?.effects(source.raw) ?? {})
  const script = source === undefined ? undefined : await readScript(source, declared.script)
  const locate: LintedStep['locate'] = (...path) =>
    source === undefined ? { file: recipe.file } : source.document.locate([...source.path, ...path])
  return {
    step,
    source,
    script,
    effects: merge(declaredEffects(declared), script, step.rendered.env),
    mayBeBaked,
    locate,
    locateMention: ({ what, offset }) =>
      offset !== undefined && script !== undefined ? script.locate(offset) : locate(...pathOfValue(source?.raw, what)),
  }
}

/** The key of a mapping, and the index in its list, with this value; nothing where there is none. */
function pathOfValue(raw: StepSource['raw'] = {}, value: string): readonly (string | number)[] {
  for (const [key, found] of Object.entries(raw)) {
    if (found === value) return [key]
    const index = Array.isArray(found) ? found.indexOf(value) : -1
    if (index !== -1) return [key, index]
  }
  return []
}

function merge(declared: Effects, script: LintedScript | undefined, env: Step['rendered']['env']): Effects {
  if (script === undefined) return declared
  const read = shellEffects(script.shell, script.calls, constantsOf(script.shell, env))
  return {
    files: [...declared.files, ...read.files],
    appends: [...declared.appends, ...read.appends],
    folders: [...declared.folders, ...read.folders],
    accounts: [...declared.accounts, ...read.accounts],
    packages: [...declared.packages, ...read.packages],
    usesPaths: [...declared.usesPaths, ...read.usesPaths],
    usesAccounts: [...declared.usesAccounts, ...read.usesAccounts],
    usesUnits: [...declared.usesUnits, ...read.usesUnits],
    usesCommands: [...declared.usesCommands, ...read.usesCommands],
  }
}
