import { loadAgent } from '../bundle/agent.ts'
import { isLive } from '../bundle/change-channel.ts'
import { channelTime, signChannelWith, verifyChannel, type Signer } from '../bundle/channel.ts'
import { packBundle, type PackedBundle } from '../bundle/pack.ts'
import type { Base } from '../base/model.ts'
import { readReady } from '../base/ready.ts'
import { UserError } from '../errors.ts'
import { bakedSteps, type Plan } from '../plan/model.ts'
import type { Recipe } from '../recipe/model.ts'
import { keys } from '../store/keys.ts'
import { getBytes, type ObjectStore } from '../store/object-store.ts'
import type { BakeJob } from './engine.ts'

export interface JobInput {
  readonly recipe: Recipe
  readonly plan: Plan
  readonly base: Base
  readonly channelName: string
  readonly trustedKeys: readonly string[]
  /**
   * Where the recipe must be published already, for hosts will run the rest of it from there; left out for an image that
   * stays on this machine.
   */
  readonly store?: ObjectStore
  readonly signer: Signer
  readonly signal: AbortSignal
}

/** Everything that is to go into the guest. Throws UserError where the plan is empty or the recipe not published. */
export async function makeJob(input: JobInput): Promise<BakeJob> {
  const { recipe, plan, base } = input
  const steps = bakedSteps(plan)
  if (steps.length === 0) {
    throw new UserError(`the plan for ${recipe.name} bakes nothing, so the image would be the base`, {
      hint: `'parbake plan' says why for each step; 'bake: always' in the recipe forces one`,
      code: 'nothing-to-bake',
    })
  }
  const [bundle, ready] = await Promise.all([packBundle(recipe), readReady(base)])
  const inVm = new Set(recipe.steps.filter((step) => step.requires === 'vm').map((step) => step.name))
  return {
    imageId: `${recipe.name}-${imageTime(new Date())}-${plan.planDigest.slice(0, 8)}`,
    recipeName: recipe.name,
    channelName: input.channelName,
    everyMinutes: recipe.everyMinutes,
    stepNames: steps.map((step) => step.name),
    vmStepNames: steps.filter((step) => inVm.has(step.name)).map((step) => step.name),
    base: { name: base.name, digest: base.digest, path: base.path, ...(ready === undefined ? {} : { ready }) },
    channelText:
      input.store === undefined
        ? await localChannel(input, bundle)
        : await publishedChannel({ ...input, store: input.store }, bundle),
    bundle,
    trustedKeys: input.trustedKeys,
  }
}

/** Takes the published channel, and makes sure that it names the bundle that the plan was made for. */
async function publishedChannel(
  input: JobInput & { readonly store: ObjectStore },
  local: PackedBundle,
): Promise<string> {
  const { recipe, channelName, store } = input
  const bytes = await getBytes(store, keys.channel(recipe.name, channelName), input.signal)
  if (bytes === undefined) throw notPublished(recipe, `channel '${channelName}' does not exist`)
  const text = bytes.toString('utf8')
  const channel = verifyChannel(text, input.trustedKeys, { recipe: recipe.name, channel: channelName })
  if (channel.kind !== 'bundle' || channel.bundle !== local.sha256) {
    throw notPublished(recipe, `channel '${channelName}' has another version of it`)
  }
  if (channel.rollout !== undefined && isLive(channel.rollout)) {
    throw new UserError(
      `a rollout of '${recipe.name}' is under way, and a host that verifies the image might take it`,
      {
        hint: `end it first: 'parbake rollout advance --to 100' or 'parbake rollout undo ${recipe.name}'`,
        code: 'rollout-active',
      },
    )
  }
  return text
}

/** A channel that only the guest of this bake sees. Its serial is the lowest there is, so that hosts accept any other. */
async function localChannel({ recipe, channelName, signer }: JobInput, bundle: PackedBundle): Promise<string> {
  return signChannelWith(
    {
      kind: 'bundle',
      recipe: recipe.name,
      channel: channelName,
      serial: 1,
      bundle: bundle.sha256,
      bundleBytes: bundle.bytes.length,
      agent: loadAgent().sha256,
      expires: 0,
      published: channelTime(Date.now()),
    },
    signer,
  )
}

function notPublished(recipe: Recipe, why: string): UserError {
  return new UserError(`${recipe.name} as it is in ${recipe.folder} is not published: ${why}`, {
    hint: `publish it first: parbake publish ${recipe.folder}`,
    code: 'not-published',
  })
}

/** 20261120T101500Z: sorts by time, fits into a key. */
function imageTime(now: Date): string {
  return `${now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}
