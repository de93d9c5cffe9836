import { copyFile, link, rename, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { findBase } from '../base/cache.ts'
import { warnIfStale } from '../base/freshness.ts'
import type { Base } from '../base/model.ts'
import type { Signer } from '../bundle/channel.ts'
import type { Context } from '../context.ts'
import { throwIfInterrupted } from '../disk/namespace.ts'
import { hasCode, UserError } from '../errors.ts'
import { backingName, currentImage, keepInCache, linkBacking, publishImage, type ImagePlace } from '../image/images.ts'
import { manifestSchema, type DraftManifest, type ImageManifest } from '../image/manifest.ts'
import { imageInfo } from '../image/qemu-img.ts'
import { readChannel } from '../bundle/channel-store.ts'
import { loadSigners } from '../keys/signer.ts'
import { startPackageCache } from '../package-cache/server.ts'
import { appliedTunings, bakedSteps, type Plan } from '../plan/model.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { sealNeedles } from '../seal/needles.ts'
import { openStepCache } from '../step-cache/cache.ts'
import { openStore } from '../store/open.ts'
import { toolVersion } from '../system/tools.ts'
import { packageVersion } from '../util/package-version.ts'
import { credentialsAtHand } from './credentials.ts'
import { chooseEngine, loadEngines } from './choose-engine.ts'
import type { BakeJob, EngineName } from './engine.ts'
import { finishDisk, type FinishedImage } from './finish.ts'
import { bakeUserData } from './guest-files.ts'
import { makeJob } from './job.ts'
import type { FailureMode } from './on-failure.ts'
import { runJob, type JobResult } from './run-job.ts'
import { addedBytes, refuseOverBudget } from './size.ts'
import { verifyByLaunch } from './verify-launch.ts'
import { bakeFolder } from './work-folder.ts'

export interface BakeOptions {
  readonly recipe: Recipe
  readonly plan: Plan
  readonly channel?: string
  /** Bake even if the current image is what this bake would make. */
  readonly force?: boolean
  /** `auto` by default: the fastest that can bake the plan here. */
  readonly engine?: EngineName | 'auto'
  /** Keep the base as backing file and ship only the difference. */
  readonly thin?: boolean
  /** `abort` by default. */
  readonly onFailure?: FailureMode
  /** False: run every step, whatever the step cache holds. */
  readonly useCache?: boolean
  /** Write the image to this file and publish nothing. */
  readonly output?: string
  /** False: do not launch the image before it is handed over; only with `output`. */
  readonly verify?: boolean
  /** Instead of the configured number. */
  readonly verifyLaunches?: number
}

export interface BakeResult {
  /** Without `verification` only where the caller asked for an unverified file. */
  readonly manifest: DraftManifest
  /** True where the current image was what this bake would make. */
  readonly reused: boolean
  /** Of the image channel; undefined where nothing was published. */
  readonly serial?: number
  /** Absolute path of the image, where it was written to a file. */
  readonly output?: string
  /** Which engine, and why that one; absent where nothing was baked. */
  readonly engine?: string
}

/**
 * Makes an image of the plan's steps: boots the base (or goes on from the step cache), runs them with the agent, seals,
 * looks at the disk from outside, compresses, verifies by launching the image with fresh user-data, publishes. Throws
 * UserError where anything is not as it must be; then nothing was published, and the image before stays the current one.
 */
export async function bake(context: Context, options: BakeOptions): Promise<BakeResult> {
  const { config, reporter, signal } = context
  const { recipe, plan } = options
  if (options.verify === false && options.output === undefined) {
    throw new UserError('an image that was not verified is not published', {
      hint: 'write it to a file: --no-verify --output disk.qcow2',
      exitCode: 2,
    })
  }
  const base = await findBase(config.base, context)
  await warnIfStale(base, context)
  const signers = loadSigners(context)
  const store = await openStore(config.store)
  try {
    const channelName = options.channel ?? config.channel
    const unpublished = options.output !== undefined && options.verify === false
    const channel = { store, recipe: recipe.name, name: channelName, trustedKeys: signers.trustedKeys, signal }
    // The pointer to an image is signed by the key that signs the channel.
    const published = unpublished ? undefined : (await readChannel(channel))?.channel
    const signer = signers.choose(published, Math.floor(Date.now() / 1000))
    const trustedKeys = [...new Set([...signers.trustedKeys, signer.publicKey])]
    const place: ImagePlace = { store, recipe: recipe.name, channel: channelName, trustedKeys }
    if (options.output === undefined) {
      const current = await currentImage(place, signal)
      if (current !== undefined && options.force !== true && wouldBeSame(current.manifest, options)) {
        reporter.emit({ type: 'phase-end', phase: `image ${current.manifest.imageId}`, seconds: 0, cached: true })
        return { manifest: current.manifest, reused: true, serial: current.serial }
      }
    }
    const job = await makeJob({
      ...{ recipe, plan, base, channelName, trustedKeys, signer, signal },
      ...(unpublished ? {} : { store }),
    })
    await using folder = await bakeFolder(config)
    const made = await makeImage(context, options, { job, base, signer, work: folder.path })
    const { manifest, disk } = made
    if (options.output !== undefined) {
      throwIfInterrupted(signal)
      const output = await handOver(disk, resolve(options.output))
      await linkBacking(context, dirname(output), manifest)
      return { manifest, reused: false, output, engine: made.engine }
    }
    const verified = manifestSchema.parse(manifest)
    const { serial } = await phase(reporter, 'publish image', () =>
      publishImage(context, place, { disk, manifest: verified, signer }),
    )
    await keepInCache(context, disk, verified)
    return { manifest, reused: false, serial, engine: made.engine }
  } finally {
    store.close()
  }
}

function wouldBeSame(manifest: ImageManifest, { plan, thin }: BakeOptions): boolean {
  return manifest.planDigest === plan.planDigest && (manifest.format.backing !== undefined) === (thin === true)
}

interface MadeImage {
  readonly manifest: DraftManifest
  readonly disk: string
  readonly engine: string
}

interface ImageInput {
  readonly job: BakeJob
  readonly base: Base
  readonly signer: Signer
  /** A folder that is gone when the bake is over. */
  readonly work: string
}

async function makeImage(
  context: Context,
  options: BakeOptions,
  { job, base, signer, work }: ImageInput,
): Promise<MadeImage> {
  const { recipe, plan } = options
  const thin = options.thin === true
  const { engine, why } = await chooseEngine(options.engine ?? 'auto', await loadEngines(), job, context)
  context.reporter.emit({ type: 'note', text: `engine: ${why}` })
  const disk = join(work, 'disk.qcow2')
  const result = await withCaches(context, async (cache, packageCache) => {
    const ran = await runJob(context, {
      ...{ job, engine, recipe, steps: bakedSteps(plan), thin, cache, work, packageCache },
      tunings: appliedTunings(plan),
      onFailure: options.onFailure ?? 'abort',
      useCache: options.useCache !== false,
    })
    const finished = await finishDisk(context, {
      ...{ job, sealed: ran.disk, thin, target: disk, signingKey: signer, work },
      needles: sealNeedles({
        environment: process.env,
        credentials: await credentialsAtHand(context.config, signer),
        ...{ userData: bakeUserData(), report: ran.report },
      }),
    })
    return { ran, finished }
  })
  const size = (await stat(disk)).size
  refuseOverBudget(context.config, { sizeBytes: size, baseBytes: base.sizeBytes, thin, steps: result.ran.steps })
  const verification =
    options.verify === false
      ? undefined
      : await verifyByLaunch(context, {
          ...{ recipe, job, disk, steps: bakedSteps(plan), bakeReport: result.ran.report },
          launches: options.verifyLaunches ?? context.config.bake.verifyLaunches,
        })
  const manifest = await describe(context, {
    ...{ options, job, base, disk, thin, verification, engine: engine.name },
    ...result,
  })
  return { manifest, disk, engine: why }
}

/** Opens both caches; a bake that fails forgets the downloads it was served, so that a bad one cannot fail the next. */
async function withCaches<T>(
  context: Context,
  work: (
    cache: Awaited<ReturnType<typeof openStepCache>>,
    packages: Awaited<ReturnType<typeof startPackageCache>>,
  ) => Promise<T>,
): Promise<T> {
  await using cache = await openStepCache(context)
  await using packages = await startPackageCache(context)
  try {
    return await work(cache, packages)
  } catch (error) {
    await packages.forget()
    throw error
  }
}

interface DescribeInput {
  readonly options: BakeOptions
  readonly job: BakeJob
  readonly base: Base
  readonly disk: string
  readonly thin: boolean
  readonly engine: EngineName
  readonly ran: JobResult
  readonly finished: FinishedImage
  readonly verification: ImageManifest['verification'] | undefined
}

async function describe(context: Context, input: DescribeInput): Promise<DraftManifest> {
  const { options, job, base, disk, thin, engine, ran, finished, verification } = input
  const { recipe, plan } = options
  const { look } = finished
  const info = await imageInfo(disk, { signal: context.signal })
  const sizeBytes = (await stat(disk)).size
  const qemu = await toolVersion('qemu-img', context.signal)
  return {
    v: 1,
    imageId: job.imageId,
    recipe: recipe.name,
    channel: job.channelName,
    createdAt: new Date().toISOString(),
    base: { name: base.name, digest: base.digest },
    bundle: job.bundle.sha256,
    steps: ran.steps.map((step) => ({ ...step })),
    tunings: [...appliedTunings(plan)],
    planDigest: plan.planDigest,
    format: { type: 'qcow2', compression: 'zstd', ...(thin ? { backing: backingName(base.digest) } : {}) },
    sizeBytes,
    sha256: finished.sha256,
    virtualSizeBytes: info.virtualSizeBytes,
    addedBytes: addedBytes({ sizeBytes, baseBytes: base.sizeBytes, thin }),
    tools: { node: process.versions.node, ...(qemu === undefined ? {} : { qemu }) },
    parbakeVersion: packageVersion(),
    accelerator: ran.accelerator,
    engine,
    seal: { filesLooked: look.filesLooked, bytesScanned: look.bytesLooked, bytesSeen: look.bytesSeen },
    ...(verification === undefined ? {} : { verification }),
    ...(plan.prediction === undefined ? {} : { predicted: predictedBeside(plan.prediction, verification) }),
  }
}

/** The plan's prediction beside what the verifying launches took, counted from the same moment. */
function predictedBeside(
  { unbakedSeconds, bakedSeconds, interval, fromPowerOn }: NonNullable<Plan['prediction']>,
  verification: ImageManifest['verification'] | undefined,
): NonNullable<DraftManifest['predicted']> {
  const { lowSeconds, highSeconds } = interval
  const measuredSeconds = fromPowerOn ? verification?.launchSeconds : verification?.readyUptime
  return {
    ...{ unbakedSeconds, bakedSeconds, lowSeconds, highSeconds, fromPowerOn },
    ...(measuredSeconds === undefined ? {} : { measuredSeconds }),
  }
}

/** Puts the finished image where the user wants it; a file that is there is replaced only now, and at once. */
async function handOver(disk: string, output: string): Promise<string> {
  const partial = `${output}.parbake-new`
  try {
    await link(disk, partial).catch(async (error: unknown) => {
      if (!hasCode(error, 'EXDEV') && !hasCode(error, 'EPERM')) throw error
      await copyFile(disk, partial)
    })
    await rename(partial, output)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      throw new UserError(`the image cannot be written: there is no folder ${dirname(output)}`, { cause: error })
    }
    throw error
  }
  return output
}
