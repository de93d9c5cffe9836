import { existsSync } from 'node:fs'
import { UserError } from '../errors.ts'
import { openRecipe, recipeName, type RecipeSource } from '../recipe/locate.ts'
import { parseDuration } from '../util/duration.ts'
import { namePattern, nameRule } from '../util/name.ts'

/** The little of a recipe that user-data needs. */
export interface RecipeHeader {
  readonly name: string
  readonly everyMinutes: number
  /** False where only a name was given and no folder was read. */
  readonly fromFolder: boolean
}

const defaultEveryMinutes = 15

/**
 * Reads name and interval of a recipe, without the schema and the step types behind it, which take longer to load than all
 * the rest of `parbake user-data`. Takes a bare name where there is no such folder. Throws a UserError (exit code 2) where
 * there is neither, and for a recipe.yaml that is missing or wrong in what is read.
 */
export async function readRecipeHeader(recipe: string): Promise<RecipeHeader> {
  if (namePattern.test(recipe) && !existsSync(recipe)) {
    return { name: recipe, everyMinutes: defaultEveryMinutes, fromFolder: false }
  }
  const source = openRecipe(recipe)
  const { document } = source
  if (typeof document.value !== 'object' || document.value === null || Array.isArray(document.value)) {
    throw new UserError('a recipe must be a mapping with steps', { location: document.locate([]), exitCode: 2 })
  }
  const name = recipeName(source)
  if (typeof name !== 'string' || !namePattern.test(name)) {
    throw new UserError(`the recipe's name ${nameRule}, but is '${String(name)}'`, {
      location: document.locate(['name']),
      hint: `give it a name in ${document.file}`,
      exitCode: 2,
    })
  }
  return { name, everyMinutes: everyMinutes(source), fromFolder: true }
}

function everyMinutes({ document }: RecipeSource): number {
  const { every } = document.value as { readonly every?: unknown }
  if (every === undefined) return defaultEveryMinutes
  const seconds = typeof every === 'string' || typeof every === 'number' ? parseDuration(every, 'm') : undefined
  const minutes = seconds === undefined ? undefined : seconds / 60
  if (minutes !== undefined && Number.isInteger(minutes) && minutes >= 1 && minutes <= 1440) return minutes
  throw new UserError('every must be whole minutes or a text like "15m", from 1 minute to 24 hours', {
    location: document.locate(['every']),
    exitCode: 2,
  })
}
