import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { Recipe } from '../recipe/model.ts'
import { openStore } from '../store/open.ts'
import { displayPath } from '../util/display-path.ts'
import { collectReports } from './ingest.ts'
import { readLaunches } from './launches.ts'
import type { Profile } from './model.ts'
import { profileOf } from './statistics.ts'

export interface LoadProfileOptions {
  readonly since?: Date
  /** Read at most this many reports, the newest. */
  readonly limit?: number
  /** Return an empty profile instead of throwing where there is no report yet. */
  readonly allowEmpty?: boolean
}

/**
 * Reads the recipe's reports from the configured store and the launches measured on this machine. Throws UserError
 * where the fleet has not reported yet, or the store cannot be read.
 */
export async function loadProfile(
  context: Context,
  recipe: Recipe,
  options: LoadProfileOptions = {},
): Promise<Profile> {
  const { config, reporter, signal } = context
  const store = await openStore(config.store)
  try {
    const { reports } = await collectReports(store, recipe.name, {
      signal,
      reporter,
      ...(options.since === undefined ? {} : { since: options.since }),
      ...(options.limit === undefined ? {} : { limit: options.limit }),
    })
    const profile = profileOf(reports, recipe, await readLaunches(config.stateDir, recipe.name))
    if (profile.reports.fleet === 0 && options.allowEmpty !== true) throw noReports(recipe, options.since)
    return profile
  } finally {
    store.close()
  }
}

function noReports(recipe: Recipe, since: Date | undefined): UserError {
  const period = since === undefined ? '' : ` since ${since.toISOString().slice(0, 19)}Z`
  return new UserError(`no reports for ${recipe.name}${period}`, {
    hint: `launch it first: parbake launch ${displayPath(recipe.folder)}`,
    code: 'no-reports',
  })
}
