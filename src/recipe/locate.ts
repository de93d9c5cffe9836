import { readFileSync, statSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { exitCodes, hasCode, messageOf, UserError } from '../errors.ts'
import { displayPath } from '../util/display-path.ts'
import { parseYaml, type YamlDocument } from '../util/yaml.ts'

/** Where a recipe lies and what its file says, before any check but the YAML syntax. */
export interface RecipeSource {
  /** Absolute. */
  readonly folder: string
  /** Absolute. */
  readonly file: string
  readonly document: YamlDocument
}

/** Reads the YAML of a recipe folder, or of a recipe file. Throws UserError (exit code 2). */
export function openRecipe(folderOrFile: string): RecipeSource {
  const given = resolve(folderOrFile)
  const file = isFolder(given) ? join(given, 'recipe.yaml') : given
  let text: string
  try {
    // Small files come sooner than a thread that reads them.
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const absent = hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')
    throw new UserError(`there is no recipe at ${displayPath(given)}${absent ? '' : `: ${messageOf(error)}`}`, {
      hint: 'name a folder that holds a recipe.yaml',
      exitCode: exitCodes.usage,
      code: 'recipe-missing',
    })
  }
  return { folder: dirname(file), file, document: parseYaml(text, displayPath(file)) }
}

/** The name of a recipe: what its file says, else that of its folder. */
export function recipeName(source: RecipeSource): unknown {
  const { value } = source.document
  const own = typeof value === 'object' && value !== null && 'name' in value ? value.name : undefined
  return own === undefined ? basename(source.folder) : own
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
