import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadConfig } from '../../src/load-config.ts'
import type { Context } from '../../src/context.ts'
import type { Sifted } from '../../src/lint/allow.ts'
import { lintRecipes, type LintOptions } from '../../src/lint/lint.ts'
import type { Finding } from '../../src/lint/model.ts'
import { inspectRecipe } from '../../src/recipe/load.ts'
import type { Event } from '../../src/report/events.ts'
import { recipeFolder, type Tree } from '../recipe/support.ts'

/** A context that keeps what is reported; its cache is `folder`. */
export async function lintContext(folder: string): Promise<Context & { readonly events: Event[] }> {
  const events: Event[] = []
  return {
    config: { ...(await loadConfig('/', undefined, {})), cacheDir: join(folder, '.cache') },
    reporter: { emit: (event) => void events.push(event), close: () => {} },
    signal: new AbortController().signal,
    events,
  }
}

/** What is found in a recipe of these files. Throws where it does not load. shellcheck is asked only where options say so. */
export async function lint(tree: Tree, options: Partial<LintOptions> = {}): Promise<Sifted> {
  await using folder = await recipeFolder(tree)
  const found = await inspectRecipe(folder.path)
  if (!found.ok) throw new Error(`the recipe is wrong: ${found.problems.map(({ message }) => message).join('; ')}`)
  const wanted = options.only === undefined ? { except: ['shellcheck'] } : {}
  const [result] = await lintRecipes(await lintContext(folder.path), [found], { allow: {}, ...wanted, ...options })
  if (result === undefined) throw new Error('nothing was linted')
  const short = JSON.stringify(result).replaceAll(`${folder.path}/`, '')
  return JSON.parse(short) as Sifted
}

/** The same for the text of `steps`, as it stands in examples. */
export function lintSteps(steps: string, options: Partial<LintOptions> = {}): Promise<Sifted> {
  return lint({ 'recipe.yaml': recipeOf(steps) }, options)
}

/** A recipe of steps that are written without indentation. */
export function recipeOf(steps: string): string {
  return `name: web\nsteps:\n${steps}\n`
}

/** A step with this script in it, by name `a`. */
export function scriptStep(script: string, keys = ''): string {
  const lines = script.split('\n').map((line) => `    ${line}`.trimEnd())
  return `- name: a\n  type: script\n${keys}  run: |\n${lines.join('\n')}`
}

/** `id line:column`, sorted as they are found. */
export function places(findings: readonly Finding[]): string[] {
  return findings.map(({ id, location }) => `${id} ${location.line}:${location.column}`)
}

/** Puts a comment line before line `line` (from 1), with its indentation. */
export function withCommentBefore(text: string, line: number, comment: string): string {
  const lines = text.split('\n')
  const indentation = /^ */.exec(lines[line - 1] ?? '')?.[0] ?? ''
  return [...lines.slice(0, line - 1), `${indentation}${comment}`, ...lines.slice(line - 1)].join('\n')
}

/** Writes a recipe below a folder, by path. */
export async function writeRecipe(folder: string, text: string): Promise<string> {
  const path = join(folder, 'recipe.yaml')
  await writeFile(path, text)
  return path
}
