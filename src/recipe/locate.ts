import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { exitCodes, hasCode, messageOf, UserError } from '../errors.ts'
import { displayPath } from '../util/display-path.ts'
import { namePattern, nameRule } from '../util/name.ts'
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
export async function openRecipe(folderOrFile: string): Promise<RecipeSource> {
  const given = resolve(folderOrFile)
  const file = (await isFolder(given)) ? join(given, 'recipe.yaml') : given
  let text: string
  try {
    text = await readFile(file, 'utf8')
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

/** A recipe's name without checking the recipe: loads no schema library. Throws UserError (exit code 2). */
export async function readRecipeName(folderOrFile: string): Promise<string> {
  const source = await openRecipe(folderOrFile)
  const name = recipeName(source)
  if (typeof name === 'string' && namePattern.test(name)) return name
  throw new UserError(`the recipe's name ${nameRule}, but is '${String(name)}'`, {
    location: source.document.locate(['name']),
    hint: `give it a name in ${source.document.file}`,
    exitCode: exitCodes.usage,
  })
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}
