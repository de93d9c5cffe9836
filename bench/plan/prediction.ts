/**
 * Whether predictions come true: launches each recipe from the base, plans, bakes what the plan says, launches the image,
 * and holds the median of all launches of the image against the prediction: those by which the bake verifies it, as many as
 * there are rounds, and as many more. The error should be below 10 %. The manifest has the median of the verifying ones.
 *
 *   npm run build && npx tsx bench/plan/prediction.ts [--rounds 2] [RECIPE...]
 *
 * Without recipes it takes recipes/web and bench/plan/recipe. It publishes, launches and bakes with the configuration of
 * the working directory; what is there already of reports and images counts too, so set PARBAKE_STATE for a fresh start.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bake } from '../../src/bake/bake.ts'
import { buildBase } from '../../src/base/build.ts'
import { baseFacts } from '../../src/base/facts.ts'
import type { Base } from '../../src/base/model.ts'
import { publishRecipe } from '../../src/bundle/publish.ts'
import type { Context } from '../../src/context.ts'
import { fetchImage } from '../../src/image/images.ts'
import { ensureKeys, loadTrustedKeys } from '../../src/keys/index.ts'
import { launch, type LaunchDisk } from '../../src/launch/launch.ts'
import { loadConfig } from '../../src/load-config.ts'
import type { Prediction } from '../../src/plan/model.ts'
import { planRecipe } from '../../src/profile/plan-recipe.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import type { Recipe } from '../../src/recipe/model.ts'
import { plainReporter } from '../../src/report/reporters.ts'
import { openStore } from '../../src/store/open.ts'
import { countArgument, median } from '../figures.ts'

const { values, positionals } = parseArgs({ options: { rounds: { type: 'string' } }, allowPositionals: true })
const rounds = countArgument(values.rounds, 2)
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const recipes = positionals.length > 0 ? positionals : [here('../../recipes/web'), here('recipe')]
const controller = new AbortController()
process.once('SIGINT', () => controller.abort())
const context: Context = {
  config: await loadConfig(process.cwd()),
  reporter: plainReporter({ stream: process.stderr, verbose: false, quiet: false }),
  signal: controller.signal,
}

/** Seconds of launch-to-ready, of as many launches as there are rounds. */
async function launches(recipe: Recipe, disk: LaunchDisk, fromPowerOn: boolean): Promise<readonly number[]> {
  const seconds: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    await using launched = await launch(context, { recipe, disk })
    seconds.push(fromPowerOn ? launched.launchSeconds : launched.report.readyUptime)
    process.stderr.write(`  ${disk.imageId || disk.base}: ready after ${seconds.at(-1)?.toFixed(1)} s\n`)
  }
  return seconds
}

interface Outcome {
  readonly prediction: Prediction
  readonly bakedSteps: readonly string[]
  /** Seconds of the verifying launches. */
  readonly verified: readonly number[]
  readonly measured: readonly number[]
}

async function wholeLoop(recipe: Recipe, base: Base): Promise<Outcome> {
  await publishRecipe(recipe, context)
  await launches(recipe, { path: base.path, imageId: '', base: base.name }, true)
  const { plan } = await planRecipe(context, recipe, { base: base.digest, facts: await baseFacts(base) })
  const { prediction } = plan
  if (prediction === undefined) throw new Error(`nothing is predicted for ${recipe.name}: ${plan.notes.join('; ')}`)
  const { manifest } = await bake(context, { recipe, plan, force: true, verifyLaunches: rounds })
  const { verification } = manifest
  const store = await openStore(context.config.store)
  try {
    const place = {
      store,
      recipe: recipe.name,
      channel: context.config.channel,
      trustedKeys: loadTrustedKeys(context.config),
    }
    const disk = {
      path: await fetchImage(context, place, manifest),
      imageId: manifest.imageId,
      base: manifest.base.name,
    }
    return {
      prediction,
      bakedSteps: manifest.steps.map((step) => step.name),
      verified: (verification?.launches ?? (verification === undefined ? [] : [verification])).map((each) =>
        prediction.fromPowerOn ? each.launchSeconds : each.readyUptime,
      ),
      measured: await launches(recipe, disk, prediction.fromPowerOn),
    }
  } finally {
    store.close()
  }
}

await ensureKeys(context.config, context.reporter)
const base = await buildBase(context.config.base, context)
for (const folder of recipes) {
  const recipe = await loadRecipe(folder)
  const { prediction, bakedSteps, verified, measured } = await wholeLoop(recipe, base)
  const { bakedSeconds, unbakedSeconds, interval, basis } = prediction
  const all = [...verified, ...measured]
  const middle = median(all)
  const seconds = (list: readonly number[]) => list.map((each) => each.toFixed(1)).join(', ')
  const percent = (value: number) => `${((100 * (value - bakedSeconds)) / bakedSeconds).toFixed(1)} %`
  const inside = all.filter((each) => each >= interval.lowSeconds && each <= interval.highSeconds).length
  process.stdout.write(
    [
      `${recipe.name}: baked ${bakedSteps.join(', ')}`,
      `  at runtime  ${unbakedSeconds.toFixed(1)} s`,
      `  predicted   ${bakedSeconds.toFixed(1)} s (${interval.lowSeconds.toFixed(1)} to ${interval.highSeconds.toFixed(1)}, ${interval.formula}, ${basis})`,
      `  measured    ${middle.toFixed(1)} s (verifying ${seconds(verified)}; later ${seconds(measured)})`,
      `  error       ${percent(middle)} (verifying launches alone ${percent(median(verified))}), ${inside} of ${all.length} launches in the interval`,
      '',
    ].join('\n'),
  )
}
