import type { Context } from '../context.ts'
import { readLaunches } from '../profile/launches.ts'
import { planRecipe } from '../profile/plan-recipe.ts'
import type { Recipe } from '../recipe/model.ts'
import { openStore } from '../store/open.ts'
import { comparedImage, pageDataOf } from './assemble.ts'
import { daysToRead } from './boots.ts'
import type { PageData } from './data.ts'
import { readBoots, readCurrentImageId, readImages, storeVersion } from './read-store.ts'

/**
 * Reads all that the page of a recipe needs: statistics, plan, images, and some boots one by one. Throws UserError where
 * nothing was reported yet or the store cannot be read.
 */
export async function gatherPage(context: Context, recipe: Recipe): Promise<PageData> {
  const { config, signal } = context
  const { plan, profile, fleet } = await planRecipe(context, recipe)
  const launches = await readLaunches(config.stateDir, recipe.name)
  const store = await openStore(config.store)
  try {
    const images = await readImages(store, recipe.name, context)
    const currentImageId = await readCurrentImageId(store, recipe.name, context)
    const compared = comparedImage({ profile, fleet, images, currentImageId })
    const days = daysToRead(fleet, compared?.imageId)
    const bootImages = compared === undefined ? [''] : ['', compared.imageId]
    const reports = await readBoots(store, recipe.name, days, bootImages, { signal })
    const nowMs = Date.now()
    return pageDataOf({ recipe, profile, fleet, plan, images, currentImageId, reports, launches, nowMs })
  } finally {
    store.close()
  }
}

/** A cheap look at what the page is made from: equal while nothing new came into the store. */
export async function lookAtStore(context: Context, recipe: Recipe): Promise<string> {
  const store = await openStore(context.config.store)
  try {
    return await storeVersion(store, recipe.name, context.config.channel, context.signal)
  } finally {
    store.close()
  }
}
