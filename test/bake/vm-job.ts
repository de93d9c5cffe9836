import { loadAgent } from '../../src/bundle/agent.ts'
import { channelTime, signChannel } from '../../src/bundle/channel.ts'
import { packBundle } from '../../src/bundle/pack.ts'
import type { BakeJob } from '../../src/bake/engine.ts'
import type { Sha256 } from '../../src/util/sha256.ts'
import { signingKey, testRecipe, type StepSpec } from '../support/agent.ts'

/** A job as the spine makes it, of these steps on this base. */
export async function bakeJob(
  base: { readonly name: string; readonly digest: Sha256; readonly path: string },
  specs: readonly StepSpec[],
  serial = 1,
): Promise<BakeJob> {
  const key = signingKey()
  const recipe = testRecipe(specs, { name: 'tiny' })
  const bundle = await packBundle(recipe)
  const content = {
    kind: 'bundle' as const,
    ...{ recipe: 'tiny', channel: 'stable', serial, expires: 0 },
    ...{ bundle: bundle.sha256, bundleBytes: bundle.bytes.length, agent: loadAgent().sha256 },
    published: channelTime(Date.now()),
  }
  return {
    imageId: `tiny-20261120T101500Z-${bundle.sha256.slice(0, 8)}`,
    ...{ recipeName: 'tiny', channelName: 'stable', everyMinutes: 15, vmStepNames: [] },
    stepNames: recipe.steps.map((step) => step.name),
    base: { name: base.name, digest: base.digest, path: base.path },
    channelText: signChannel(content, key),
    bundle,
    trustedKeys: [key.publicKey],
  }
}
