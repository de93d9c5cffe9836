import { createWriteStream } from 'node:fs'
import { link, mkdir, rename, rm, stat, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { findBase } from '../base/cache.ts'
import { channelTime, signChannelWith, verifyChannel, type ImageChannel, type Signer } from '../bundle/channel.ts'
import type { Context } from '../context.ts'
import { hasCode, UserError } from '../errors.ts'
import { formatBytes } from '../report/reporters.ts'
import { phase } from '../report/events.ts'
import { keys } from '../store/keys.ts'
import { getBytes, type ObjectStore } from '../store/object-store.ts'
import { sha256, sha256File } from '../util/sha256.ts'
import { manifestDigest, parseManifest, renderManifest, type ImageManifest } from './manifest.ts'

/** Which images of which recipe, and whose signature counts. */
export interface ImagePlace {
  readonly store: ObjectStore
  readonly recipe: string
  readonly channel: string
  readonly trustedKeys: readonly string[]
}

/** The manifest that the image channel points to, verified by its signature; undefined where nothing was baked yet. */
export async function currentImage(
  place: ImagePlace,
  signal?: AbortSignal,
): Promise<{ readonly manifest: ImageManifest; readonly serial: number; readonly etag: string } | undefined> {
  const key = keys.imageChannel(place.recipe, place.channel)
  const head = await place.store.head(key, signal === undefined ? {} : { signal })
  if (head === undefined) return undefined
  const text = (await getBytes(place.store, key, signal))?.toString('utf8') ?? ''
  const channel = verifyChannel(text, place.trustedKeys, { recipe: place.recipe, channel: place.channel })
  if (channel.kind !== 'image') {
    throw new UserError(`${key} in ${place.store.url} is no image channel`, { code: 'channel-malformed' })
  }
  const { text: manifestText, name } = await readManifestText(place, channel.image, signal)
  if (sha256(manifestText) !== channel.manifest) {
    throw new UserError(`${name} is not the manifest that the image channel '${place.channel}' was signed for`, {
      hint: 'it was changed after it was signed: find out by whom, and bake again',
      code: 'manifest-changed',
    })
  }
  return { manifest: parseManifest(manifestText, name), serial: channel.serial, etag: head.etag }
}

/** The manifest of `latest` (what the channel points to) or of an image id. Throws UserError where there is none. */
export async function findImage(place: ImagePlace, idOrLatest: string, signal?: AbortSignal): Promise<ImageManifest> {
  const current = await currentImage(place, signal)
  if (current !== undefined && (idOrLatest === 'latest' || current.manifest.imageId === idOrLatest)) {
    return current.manifest
  }
  if (idOrLatest === 'latest') {
    throw new UserError(`there is no image of ${place.recipe} in channel '${place.channel}' yet`, {
      hint: 'bake one: parbake bake RECIPE',
      code: 'image-missing',
    })
  }
  const { text, name } = await readManifestText(place, idOrLatest, signal)
  return parseManifest(text, name)
}

async function readManifestText(
  place: ImagePlace,
  imageId: string,
  signal?: AbortSignal,
): Promise<{ readonly text: string; readonly name: string }> {
  const key = keys.imageFile(place.recipe, imageId, 'manifest.json')
  const bytes = await getBytes(place.store, key, signal)
  const name = `${key} in ${place.store.url}`
  if (bytes === undefined) {
    throw new UserError(`there is no image '${imageId}' of ${place.recipe}: ${name} does not exist`, {
      hint: "use 'latest' or an id that a bake printed",
      code: 'image-missing',
    })
  }
  return { text: bytes.toString('utf8'), name }
}

/** How a thin image of this base names its backing file: a link of that name lies beside it. */
export function backingName(baseDigest: string): string {
  return `base-${baseDigest}.qcow2`
}

/** Puts the base beside a thin image under the name that the image knows. Throws UserError where it is not here. */
export async function linkBacking(context: Context, folder: string, manifest: ThinParts): Promise<void> {
  if (manifest.format.backing === undefined) return
  const base = await findBase(manifest.base.digest, context).catch((error: unknown) => {
    throw new UserError(
      `image ${manifest.imageId} is thin: it needs its base ${manifest.base.name}, which is not here`,
      {
        hint: `build or import the base with digest ${manifest.base.digest}, or bake without --thin`,
        code: 'base-missing',
        cause: error,
      },
    )
  })
  await symlink(base.path, join(folder, backingName(base.digest))).catch((error: unknown) => {
    if (!hasCode(error, 'EEXIST')) throw error
  })
}

type ThinParts = Pick<ImageManifest, 'imageId' | 'base' | 'format'>

/** What of a manifest says where the disk is and what it must be. */
type DiskParts = ThinParts & Pick<ImageManifest, 'recipe' | 'sha256' | 'sizeBytes'>

function cachedPath(context: Context, digest: string): string {
  return join(context.config.cacheDir, 'images', `${digest}.qcow2`)
}

/** Path of an image's disk in the cache, downloaded and verified where it is not there yet. */
export async function fetchImage(context: Context, place: ImagePlace, manifest: DiskParts): Promise<string> {
  const path = cachedPath(context, manifest.sha256)
  await mkdir(dirname(path), { recursive: true })
  await linkBacking(context, dirname(path), manifest)
  if ((await sizeOf(path)) === manifest.sizeBytes) return path
  const key = keys.imageFile(manifest.recipe, manifest.imageId, 'disk.qcow2')
  return phase(
    context.reporter,
    `download image ${manifest.imageId}`,
    async () => {
      const object = await place.store.get(key, { signal: context.signal })
      if (object === undefined)
        throw new UserError(`${key} is missing in ${place.store.url}`, { code: 'image-missing' })
      const partial = `${path}.${process.pid}.part`
      try {
        await pipeline(object.body, createWriteStream(partial), { signal: context.signal })
        const digest = await sha256File(partial, context.signal)
        if (digest !== manifest.sha256) {
          throw new UserError(
            `${key} in ${place.store.url} is damaged: its sha256 is ${digest}, not ${manifest.sha256}`,
            {
              hint: 'bake the image again',
              code: 'image-damaged',
            },
          )
        }
        await rename(partial, path)
      } finally {
        await rm(partial, { force: true })
      }
      return path
    },
    () => ({ detail: formatBytes(manifest.sizeBytes) }),
  )
}

/** Puts a finished disk into the cache, so that a launch on this machine need not download what was made on it. */
export async function keepInCache(context: Context, disk: string, manifest: ImageManifest): Promise<void> {
  const path = cachedPath(context, manifest.sha256)
  await mkdir(dirname(path), { recursive: true })
  await linkBacking(context, dirname(path), manifest)
  try {
    await link(disk, path)
  } catch (error) {
    // Another file system, or there already: the cache may forget.
    if (!hasCode(error, 'EEXIST') && !hasCode(error, 'EXDEV') && !hasCode(error, 'EPERM')) throw error
  }
}

/**
 * Uploads disk and manifest, then moves the image channel: until that last conditional put, launches get the image before.
 * What an interrupted publish leaves is unreachable, and is deleted as far as the store still answers.
 */
export async function publishImage(
  context: Context,
  place: ImagePlace,
  image: { readonly disk: string; readonly manifest: ImageManifest; readonly signer: Signer },
): Promise<{ readonly serial: number }> {
  const { manifest } = image
  const { signal } = context
  const diskKey = keys.imageFile(manifest.recipe, manifest.imageId, 'disk.qcow2')
  const manifestKey = keys.imageFile(manifest.recipe, manifest.imageId, 'manifest.json')
  try {
    await place.store.putFile(diskKey, image.disk, { signal, contentType: 'application/octet-stream' })
    await place.store.put(manifestKey, renderManifest(manifest), {
      condition: { absent: true },
      contentType: 'application/json',
      signal,
    })
    return { serial: await moveImageChannel(place, manifest, image.signer, signal) }
  } catch (error) {
    for (const key of [manifestKey, diskKey]) await place.store.delete(key).catch(() => {})
    throw error
  }
}

async function moveImageChannel(
  place: ImagePlace,
  manifest: ImageManifest,
  signer: Signer,
  signal: AbortSignal,
): Promise<number> {
  const attempts = 20
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const current = await currentImage(place, signal)
    const content: ImageChannel = {
      kind: 'image',
      recipe: place.recipe,
      channel: place.channel,
      serial: (current?.serial ?? 0) + 1,
      image: manifest.imageId,
      manifest: manifestDigest(manifest),
      published: channelTime(Date.now()),
    }
    const { outcome } = await place.store.put(
      keys.imageChannel(place.recipe, place.channel),
      await signChannelWith(content, signer),
      {
        condition: current === undefined ? { absent: true } : { etag: current.etag },
        contentType: 'text/plain; charset=utf-8',
        signal,
      },
    )
    if (outcome === 'stored') return content.serial
    await sleep(Math.random() * 50 * attempt, undefined, { signal })
  }
  throw new UserError(
    `image channel '${place.channel}' of '${place.recipe}' was changed by others at each of ${attempts} tries`,
    {
      hint: 'find out who else bakes, then try again',
      code: 'channel-contended',
    },
  )
}

/**
 * Signs an image channel again, as it is, with another key; false where that has signed it already, or there is none. Throws a
 * UserError where it is not genuine, or somebody else changes it.
 */
export async function signImageChannelAgain(place: ImagePlace, signer: Signer, signal: AbortSignal): Promise<boolean> {
  const key = keys.imageChannel(place.recipe, place.channel)
  const head = await place.store.head(key, { signal })
  const text = head === undefined ? undefined : await getBytes(place.store, key, signal)
  if (head === undefined || text === undefined) return false
  const channel = verifyChannel(text.toString('utf8'), place.trustedKeys, {
    recipe: place.recipe,
    channel: place.channel,
  })
  if (channel.kind !== 'image' || channel.signature.key === signer.publicKey) return false
  const content = { ...channel, serial: channel.serial + 1, published: channelTime(Date.now()) }
  const { outcome } = await place.store.put(key, await signChannelWith(content, signer), {
    condition: { etag: head.etag },
    contentType: 'text/plain; charset=utf-8',
    signal,
  })
  if (outcome === 'stored') return true
  throw new UserError(`image channel '${place.channel}' of '${place.recipe}' was changed meanwhile`, {
    hint: 'try again',
    code: 'channel-contended',
  })
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}
