import { existsSync } from 'node:fs'
import { UserError } from '../errors.ts'
import type { Schedule } from '../profile/expected.ts'
import { defaultEveryMinutes, defaultSplaySeconds, parseCron } from '../recipe/cron.ts'
import { openRecipe, recipeName, type RecipeSource } from '../recipe/locate.ts'
import { parseDuration } from '../util/duration.ts'
import { namePattern, nameRule } from '../util/name.ts'

/** The little of a recipe that user-data needs. */
export interface RecipeHeader {
  readonly name: string
  readonly everyMinutes: number
  /** When its hosts converge. */
  readonly schedule: Schedule
  /** False where only a name was given and no folder was read. */
  readonly fromFolder: boolean
}

export const defaultSchedule: Schedule = { everyMinutes: defaultEveryMinutes, cron: '', splaySeconds: 0 }

/**
 * Reads name and interval of a recipe, without the schema and the step types behind it, which take longer to load than all
 * the rest of `parbake user-data`. Takes a bare name where there is no such folder. Throws a UserError (exit code 2) where
 * there is neither, and for a recipe.yaml that is missing or wrong in what is read.
 */
export async function readRecipeHeader(recipe: string): Promise<RecipeHeader> {
  if (namePattern.test(recipe) && !existsSync(recipe)) {
    return { name: recipe, everyMinutes: defaultEveryMinutes, schedule: defaultSchedule, fromFolder: false }
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
  const schedule = scheduleOf(source)
  return { name, everyMinutes: schedule.everyMinutes, schedule, fromFolder: true }
}

/** `every`, or `schedule`, which is an interval too or a cron expression. */
function scheduleOf({ document }: RecipeSource): Schedule {
  const { every, schedule, splay } = document.value as Readonly<Record<string, unknown>>
  if (typeof schedule === 'string' && /\s/.test(schedule.trim())) {
    const calendar = parseCron(schedule)
    if (typeof calendar === 'string') {
      throw new UserError(`schedule ${calendar}`, { location: document.locate(['schedule']), exitCode: 2 })
    }
    const splaySeconds = secondsOf(splay) ?? defaultSplaySeconds
    return { ...defaultSchedule, cron: calendar.cron, splaySeconds }
  }
  const field = every === undefined ? 'schedule' : 'every'
  const interval = every ?? schedule
  if (interval === undefined) return defaultSchedule
  const minutes = (secondsOf(interval) ?? Number.NaN) / 60
  if (Number.isInteger(minutes) && minutes >= 1 && minutes <= 1440) return { ...defaultSchedule, everyMinutes: minutes }
  throw new UserError(`${field} must be whole minutes or a text like "15m", from 1 minute to 24 hours`, {
    location: document.locate([field]),
    exitCode: 2,
  })
}

function secondsOf(value: unknown): number | undefined {
  return typeof value === 'string' || typeof value === 'number' ? parseDuration(value, 'm') : undefined
}
