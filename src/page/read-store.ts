import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { currentImage } from '../image/images.ts'
import { parseManifest, type ImageManifest } from '../image/manifest.ts'
import { loadTrustedKeys } from '../keys/files.ts'
import { readDocuments } from '../profile/ingest.ts'
import type { Report } from '../profile/report.ts'
import { keys } from '../store/keys.ts'
import { getBytes, listAll, type ObjectInfo, type ObjectStore } from '../store/object-store.ts'
import { sha256 } from '../util/sha256.ts'

export interface ReadBootsOptions {
  readonly signal: AbortSignal
  /** Boots of each image after which no more are looked for. */
  readonly enough?: number
  /** Objects after which nothing more is read, whatever was found. */
  readonly most?: number
}

/**
 * First converges of the fleet on these days, newest day first, until there are enough of each image ('' for a plain base).
 * Broken reports are left out: the statistics warn of them.
 */
export async function readBoots(
  store: ObjectStore,
  recipe: string,
  days: readonly string[],
  images: readonly string[],
  { signal, enough = 400, most = 20_000 }: ReadBootsOptions,
): Promise<readonly Report[]> {
  const boots = new Map<string, Report[]>(images.map((image) => [image, []]))
  const wanted = () => [...boots.values()].some((each) => each.length < enough)
  let objects = 0
  const listed = async function* (): AsyncGenerator<ObjectInfo> {
    for (const day of days.toSorted().toReversed()) {
      for await (const info of listAll(store, `${keys.reportsPrefix(recipe)}dt=${day}/`, signal)) {
        objects += 1
        if (objects > most || !wanted()) return
        yield info
      }
    }
  }
  for await (const { document } of readDocuments(store, recipe, listed(), signal)) {
    if (document === undefined || 'reason' in document || !document.cold || document.purpose !== 'fleet') continue
    const found = boots.get(document.image)
    if (found !== undefined && found.length < enough) found.push(document)
  }
  return [...boots.values()].flat()
}

/** The manifests of all images of a recipe in the store; a broken one is left out with a warning. */
export async function readImages(
  store: ObjectStore,
  recipe: string,
  context: Context,
): Promise<readonly ImageManifest[]> {
  const images: ImageManifest[] = []
  for await (const { key } of listAll(store, keys.imagesPrefix(recipe), context.signal)) {
    if (!key.endsWith('/manifest.json')) continue
    const bytes = await getBytes(store, key, context.signal)
    if (bytes === undefined) continue
    try {
      images.push(parseManifest(bytes.toString('utf8'), `${key} in ${store.url}`))
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      context.reporter.emit({ type: 'warning', text: `an image is left out: ${error.message}` })
    }
  }
  return images
}

/** Id of the image that the channel points to; undefined where there is none, or none that can be trusted (a warning). */
export async function readCurrentImageId(
  store: ObjectStore,
  recipe: string,
  context: Context,
): Promise<string | undefined> {
  const { config, reporter, signal } = context
  const place = { store, recipe, channel: config.channel, trustedKeys: loadTrustedKeys(config) }
  try {
    return (await currentImage(place, signal))?.manifest.imageId
  } catch (error) {
    if (!(error instanceof UserError) || error.code?.startsWith('store-') === true) throw error
    reporter.emit({ type: 'warning', text: `no image counts as the current one: ${error.message}` })
    return undefined
  }
}

const dayMs = 86_400_000

/**
 * A digest that changes when hosts report, an image is baked or a channel moves: from lists alone, and of reports only those
 * of yesterday to tomorrow (UTC), where new ones arrive.
 */
export async function storeVersion(
  store: ObjectStore,
  recipe: string,
  channel: string,
  signal: AbortSignal,
): Promise<string> {
  const days = [-1, 0, 1].map((offset) => new Date(Date.now() + offset * dayMs).toISOString().slice(0, 10))
  const lines: string[] = []
  for (const prefix of [
    ...days.map((day) => `${keys.reportsPrefix(recipe)}dt=${day}/`),
    keys.imagesPrefix(recipe),
    keys.channel(recipe, channel),
  ]) {
    for await (const { key, etag } of listAll(store, prefix, signal)) lines.push(`${key} ${etag}`)
  }
  return sha256(lines.join('\n'))
}
