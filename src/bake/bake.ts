import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { findBase } from '../base/cache.ts'
import type { Base } from '../base/model.ts'
import { verifyChannel } from '../bundle/channel.ts'
import { packBundle } from '../bundle/pack.ts'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { currentImage, keepInCache, publishImage, type ImagePlace } from '../image/images.ts'
import type { ImageManifest, VerificationCheck } from '../image/manifest.ts'
import { checkImage, convertToQcow2, imageInfo } from '../image/qemu-img.ts'
import { loadSigningKey, loadTrustedKeys } from '../keys/index.ts'
import { launch } from '../launch/launch.ts'
import { bakedSteps, type Plan } from '../plan/model.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { keys } from '../store/keys.ts'
import { getBytes } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import { tempDir } from '../system/temp.ts'
import { probeTool, toolSpecs } from '../system/tools.ts'
import { sha256File } from '../util/sha256.ts'
import { packageVersion } from '../util/package-version.ts'
import { verificationChecks } from './checks.ts'
import type { BakedDisk, BakeJob } from './engine.ts'
import { vmEngine } from './vm-engine.ts'

export interface BakeOptions {
  readonly recipe: Recipe
  readonly plan: Plan
  readonly channel?: string
  /** Bake even if the current image was made from the same base and steps. */
  readonly force?: boolean
}

export interface BakeResult {
  readonly manifest: ImageManifest
  /** True where the current image was what this bake would make. */
  readonly reused: boolean
  readonly serial: number
}

/**
 * Makes an image of the plan's steps: boots the base, runs them with the agent, seals, flattens, verifies by launching the
 * image with fresh user-data, publishes. Throws UserError where anything is not as it must be; then nothing was published,
 * and the image before goes on being the current one.
 */
export async function bake(context: Context, options: BakeOptions): Promise<BakeResult> {
  const { config, reporter, signal } = context
  const { recipe, plan } = options
  const base = await findBase(config.base, context)
  const signingKey = loadSigningKey(config)
  const trustedKeys = [...new Set([...loadTrustedKeys(config), signingKey.publicKey])]
  const store = await openStore(config.store)
  try {
    const place: ImagePlace = { store, recipe: recipe.name, channel: options.channel ?? config.channel, trustedKeys }
    const current = await currentImage(place, signal)
    if (current !== undefined && options.force !== true && current.manifest.planDigest === plan.planDigest) {
      reporter.emit({ type: 'phase-end', phase: `image ${current.manifest.imageId}`, seconds: 0, cached: true })
      return { manifest: current.manifest, reused: true, serial: current.serial }
    }
    const job = await makeJob(context, place, options, base)
    const work = join(config.cacheDir, 'bakes')
    await mkdir(work, { recursive: true })
    await using folder = await tempDir('bake', work)
    const baked = await vmEngine.bake(job, folder.path, context)
    const disk = join(folder.path, 'disk.qcow2')
    await flatten(context, baked, disk)
    const manifest = await verify(context, { ...options, job, base, baked, disk })
    const { serial } = await phase(reporter, 'publish image', () =>
      publishImage(context, place, { disk, manifest, signingKey }),
    )
    await keepInCache(context, disk, manifest.sha256)
    return { manifest, reused: false, serial }
  } finally {
    store.close()
  }
}

/** Takes the published bundle, and makes sure that it is the one the plan was made for. */
async function makeJob(context: Context, place: ImagePlace, options: BakeOptions, base: Base): Promise<BakeJob> {
  const { recipe, plan } = options
  const steps = bakedSteps(plan)
  if (steps.length === 0) {
    throw new UserError(`the plan for ${recipe.name} bakes nothing, so the image would be the base`, {
      hint: `'parbake plan' says why for each step; 'bake: always' in the recipe forces one`,
      code: 'nothing-to-bake',
    })
  }
  const bytes = await getBytes(place.store, keys.channel(recipe.name, place.channel), context.signal)
  const local = await packBundle(recipe)
  if (bytes === undefined) throw notPublished(recipe, `channel '${place.channel}' does not exist`)
  const channelText = bytes.toString('utf8')
  const channel = verifyChannel(channelText, place.trustedKeys, { recipe: recipe.name, channel: place.channel })
  if (channel.kind !== 'bundle' || channel.bundle !== local.sha256) {
    throw notPublished(recipe, `channel '${place.channel}' has another version of it`)
  }
  return {
    imageId: `${recipe.name}-${imageTime(new Date())}-${plan.planDigest.slice(0, 8)}`,
    recipeName: recipe.name,
    channelName: place.channel,
    everyMinutes: recipe.everyMinutes,
    stepNames: steps.map((step) => step.name),
    basePath: base.path,
    channelText,
    bundle: local,
    trustedKeys: place.trustedKeys,
  }
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

async function flatten(context: Context, baked: BakedDisk, target: string): Promise<void> {
  const { reporter, signal } = context
  const label = 'flatten and compress'
  await phase(
    reporter,
    label,
    async () => {
      await convertToQcow2({
        source: baked.path,
        sourceFormat: 'qcow2',
        target,
        compress: 'zstd',
        unordered: true,
        reporter,
        signal,
        onProgress: (share) =>
          reporter.emit({ type: 'phase-progress', phase: label, detail: `${Math.round(share * 100)} %` }),
      })
      await checkImage(target, { reporter, signal })
      return (await stat(target)).size
    },
    (size) => ({ detail: formatBytes(size) }),
  )
}

interface VerifyInput extends BakeOptions {
  readonly job: BakeJob
  readonly base: Base
  readonly baked: BakedDisk
  readonly disk: string
}

/** Launches the image as a fleet would, checks what the host reports, and writes down what the image is. */
async function verify(context: Context, input: VerifyInput): Promise<ImageManifest> {
  const { job, base, baked, disk, recipe, plan } = input
  const { launchSeconds, report } = await phase(
    context.reporter,
    'verify by launching the image',
    async () => {
      await using launched = await launch(context, {
        recipe,
        disk: { path: disk, imageId: job.imageId, base: base.name },
        channel: job.channelName,
        purpose: 'verify',
      })
      return { launchSeconds: launched.launchSeconds, report: launched.report }
    },
    (result) => ({ detail: `ready after ${formatSeconds(result.launchSeconds)}` }),
  )
  const steps = bakedSteps(plan)
  const checks = verificationChecks({
    imageId: job.imageId,
    bakedDigests: new Set(steps.map((step) => step.digest)),
    bake: baked.report,
    launch: report,
  })
  refuseFailed(checks)
  const info = await imageInfo(disk)
  const sizeBytes = (await stat(disk)).size
  const qemu = await qemuVersion(context.signal)
  return {
    v: 1,
    imageId: job.imageId,
    recipe: recipe.name,
    channel: job.channelName,
    createdAt: new Date().toISOString(),
    base: { name: base.name, digest: base.digest },
    bundle: job.bundle.sha256,
    steps: steps.map(({ name, digest }) => ({
      name,
      digest,
      seconds: baked.report.steps.find((step) => step.digest === digest)?.wall ?? 0,
    })),
    planDigest: plan.planDigest,
    format: { type: 'qcow2', compression: 'zstd' },
    sizeBytes,
    sha256: await sha256File(disk, context.signal),
    virtualSizeBytes: info.virtualSizeBytes,
    addedBytes: sizeBytes - base.sizeBytes,
    tools: { node: process.versions.node, ...(qemu === undefined ? {} : { qemu }) },
    parbakeVersion: packageVersion(),
    accelerator: baked.accelerator,
    verification: { readyUptime: report.readyUptime, launchSeconds, checks: [...checks] },
    ...(plan.prediction === undefined
      ? {}
      : { predicted: { unbakedSeconds: plan.prediction.unbakedSeconds, bakedSeconds: plan.prediction.bakedSeconds } }),
  }
}

async function qemuVersion(signal: AbortSignal): Promise<string | undefined> {
  const spec = toolSpecs.find((tool) => tool.name === 'qemu-img')
  return spec === undefined ? undefined : (await probeTool(spec, signal)).version
}

function refuseFailed(checks: readonly VerificationCheck[]): void {
  const failed = checks.filter((check) => !check.ok)
  if (failed.length === 0) return
  const list = failed.map((check) => `  ${check.name}: ${check.detail ?? 'failed'}`).join('\n')
  throw new UserError(`the image did not pass its verification, so it was not published:\n${list}`, {
    hint: 'the image before stays the current one',
    code: 'verification-failed',
  })
}
