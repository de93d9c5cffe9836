import { stat } from 'node:fs/promises'
import { bake, type BakeResult } from '../bake/bake.ts'
import { buildBase } from '../base/build.ts'
import { baseFacts } from '../base/facts.ts'
import type { Base } from '../base/model.ts'
import { publishRecipe } from '../bundle/publish.ts'
import type { Context } from '../context.ts'
import { fetchImage } from '../image/images.ts'
import { ensureKeys, loadTrustedKeys } from '../keys/index.ts'
import { launch, type LaunchDisk } from '../launch/launch.ts'
import type { Plan } from '../plan/model.ts'
import { planRecipe } from '../profile/plan-recipe.ts'
import type { Report } from '../profile/report.ts'
import { loadRecipe } from '../recipe/load.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { openStore } from '../store/open.ts'

/** One launch of the demo, measured in this run. */
export interface MeasuredLaunch {
  readonly launchSeconds: number
  /** What the VM ran under: `kvm` or `tcg`. */
  readonly accelerator: string
  readonly report: Report
}

/** Everything the closing table shows. */
export interface DemoResult {
  readonly recipe: Recipe
  readonly base: Base
  readonly plan: Plan
  readonly image: BakeResult
  readonly before: MeasuredLaunch
  readonly after: MeasuredLaunch
}

/** The whole loop on this machine: base, publish, launch, profile, plan, bake, launch again. */
export async function runDemo(context: Context, recipeFolder: string): Promise<DemoResult> {
  const { config, reporter } = context
  await ensureKeys(config, reporter)
  const base = await buildBase(config.base, context)
  const recipe = await loadRecipe(recipeFolder)
  await publishRecipe(recipe, context)
  const before = await measure(context, recipe, { path: base.path, imageId: '', base: base.name })
  const { plan, profile } = await planRecipe(context, recipe, { base: base.digest, facts: await baseFacts(base) })
  const bakedCount = plan.steps.filter((step) => step.decision === 'bake').length
  reporter.emit({
    type: 'note',
    text: `${profile.reports.cold} boots measured; the plan bakes ${bakedCount} of ${plan.steps.length} steps`,
  })
  const image = await bake(context, { recipe, plan })
  const after = await measure(context, recipe, await diskOf(context, recipe, image))
  return { recipe, base, plan, image, before, after }
}

async function diskOf(context: Context, recipe: Recipe, { manifest }: BakeResult): Promise<LaunchDisk> {
  const { config } = context
  const store = await openStore(config.store)
  try {
    const place = { store, recipe: recipe.name, channel: config.channel, trustedKeys: loadTrustedKeys(config) }
    const path = await fetchImage(context, place, manifest)
    return { path, imageId: manifest.imageId, base: manifest.base.name }
  } finally {
    store.close()
  }
}

async function measure(context: Context, recipe: Recipe, disk: LaunchDisk): Promise<MeasuredLaunch> {
  const from = disk.imageId === '' ? `base ${disk.base}` : `image (${formatBytes((await stat(disk.path)).size)})`
  return phase(
    context.reporter,
    `launch from ${from}`,
    async () => {
      await using launched = await launch(context, { recipe, disk })
      const { launchSeconds, report, vm } = launched
      return { launchSeconds, report, accelerator: vm.accelerator.name }
    },
    (result) => ({ detail: `ready after ${formatSeconds(result.launchSeconds)}` }),
  )
}
