import type { Context } from '../context.ts'
import type { StepSource } from '../recipe/load.ts'
import type { Recipe } from '../recipe/model.ts'
import { allowComments, namesOf, sift, type Sifted } from './allow.ts'
import { lintedRecipe } from './linted.ts'
import type { Finding, LintedRecipe } from './model.ts'
import { isSecretId, isShellcheckId, rules } from './rules/registry.ts'
import { shellcheckFindings, shellcheckJobs } from './shellcheck.ts'

/** A recipe that loads, and its steps as written. */
export interface LintInput {
  readonly recipe: Recipe
  readonly sources: ReadonlyMap<string, StepSource>
}

export interface LintOptions {
  /** Reasons by id: what the configuration allows everywhere. */
  readonly allow: Readonly<Record<string, string>>
  /** Ids wanted, and ids not wanted; `shellcheck` stands for all of its own. */
  readonly only?: readonly string[]
  readonly except?: readonly string[]
}

/** Everything that would hurt later, in the order of the inputs; findings are sorted by place. */
export async function lintRecipes(
  context: Context,
  inputs: readonly LintInput[],
  { allow, only, except = [] }: LintOptions,
): Promise<readonly Sifted[]> {
  const isWanted = (id: string) => {
    const names = namesOf(id)
    return names.some((name) => only?.includes(name) ?? true) && !names.some((name) => except.includes(name))
  }
  // What is read of a recipe's scripts is let go before the next: there may be hundreds.
  const read = []
  for (const { recipe, sources } of inputs) {
    const linted = await lintedRecipe(recipe, sources)
    read.push({ found: ruleFindings(linted), comments: commentsOf(linted), jobs: shellcheckJobs(linted) })
  }
  const jobs = isWanted('shellcheck') || (only ?? []).some(isShellcheckId) ? read.flatMap((one) => one.jobs) : []
  const shellcheck = jobs.length > 0 ? await shellcheckFindings(context, jobs) : undefined
  if (jobs.length > 0 && shellcheck === undefined) {
    context.reporter.emit({
      type: 'note',
      text: 'shellcheck is not installed, so what it finds in scripts is left out (apt-get install shellcheck)',
    })
  }
  return read.map((one) => {
    const found = hideSecrets([...one.found, ...(shellcheck === undefined ? [] : one.jobs.flatMap(shellcheck))])
    const isJudged = (id: string) => !isShellcheckId(id) || shellcheck !== undefined
    const { findings, allowed } = sift(sortFindings(found), one.comments, allow, isJudged)
    return {
      findings: sortFindings(findings.filter(({ id }) => isWanted(id))),
      allowed: allowed.filter(({ id }) => isWanted(id)),
    }
  })
}

function ruleFindings(recipe: LintedRecipe): Finding[] {
  const findings: Finding[] = []
  for (const { id, severity, fix, check } of rules) {
    check(recipe, ({ message, location, step, fix: ownFix = fix, first }) => {
      findings.push({
        id,
        severity,
        message,
        location,
        fix: ownFix,
        ...(step === undefined ? {} : { step: step.step.name }),
        ...(first?.line === undefined ? {} : { firstLine: first.line }),
      })
    })
  }
  return findings
}

/** What is printed ends in logs: a line with a secret is named, but not shown, whatever else is found in it. */
function hideSecrets(findings: readonly Finding[]): readonly Finding[] {
  const placeOf = ({ location: { file, line } }: Finding) => `${file}:${line}`
  const secret = new Set(findings.filter(({ id }) => isSecretId(id)).map(placeOf))
  return findings.map((finding) => {
    if (!secret.has(placeOf(finding))) return finding
    const { sourceLine: _, ...location } = finding.location
    return { ...finding, location }
  })
}

/** Of every file that findings can be in. */
function commentsOf({ steps }: LintedRecipe) {
  const texts = new Map<string, string>()
  for (const { source, script } of steps) {
    if (source !== undefined) texts.set(source.document.file, source.document.source)
    if (script?.file !== undefined) texts.set(script.file, script.text)
  }
  return [...texts].flatMap(([file, text]) => allowComments(file, text))
}

/** By file in the order of the steps, then by line and column. Equal ones are dropped. */
function sortFindings(findings: readonly Finding[]): Finding[] {
  const files = new Map<string, number>()
  for (const { location } of findings) if (!files.has(location.file)) files.set(location.file, files.size)
  const seen = new Set<string>()
  return findings
    .toSorted(
      (a, b) =>
        (files.get(a.location.file) ?? 0) - (files.get(b.location.file) ?? 0) ||
        (a.location.line ?? 0) - (b.location.line ?? 0) ||
        (a.location.column ?? 0) - (b.location.column ?? 0),
    )
    .filter(({ id, message, location }) => {
      const key = JSON.stringify([id, message, location.file, location.line, location.column])
      return !seen.has(key) && seen.add(key)
    })
}
