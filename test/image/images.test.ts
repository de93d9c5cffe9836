import { generateKeyPairSync } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/load-config.ts'
import { signerOf } from '../../src/keys/signer.ts'
import type { Context } from '../../src/context.ts'
import { currentImage, fetchImage, findImage, publishImage, type ImagePlace } from '../../src/image/images.ts'
import { parseManifest, renderManifest, type ImageManifest } from '../../src/image/manifest.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { keys } from '../../src/store/keys.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { openStore } from '../../src/store/open.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { storeWith } from '../support/store-with.ts'
import { sha256 } from '../../src/util/sha256.ts'

const pair = generateKeyPairSync('ed25519')
const signingKey = {
  privateKey: pair.privateKey,
  publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
}

let folder: TempDir
let store: ObjectStore
let place: ImagePlace
let context: Context

beforeEach(async () => {
  folder = await tempDir('images')
  store = await openStore(`file://${folder.path}/store`)
  place = { store, recipe: 'web', channel: 'stable', trustedKeys: [signingKey.publicKey] }
  const config = await loadConfig(folder.path, undefined, {
    HOME: folder.path,
    PARBAKE_CACHE: join(folder.path, 'cache'),
  })
  context = { config, reporter: silentReporter, signal: new AbortController().signal }
})

afterEach(async () => {
  store.close()
  await folder[Symbol.asyncDispose]()
})

function manifestOf(imageId: string, content: string): ImageManifest {
  return parseManifest(
    JSON.stringify({
      v: 1,
      imageId,
      recipe: 'web',
      channel: 'stable',
      createdAt: '2026-01-02T03:04:05Z',
      base: { name: 'debian-12', digest: sha256('base') },
      bundle: sha256('bundle'),
      steps: [{ name: 'packages', digest: sha256('packages'), seconds: 12.5 }],
      planDigest: sha256('plan'),
      format: { type: 'qcow2', compression: 'zstd' },
      sizeBytes: content.length,
      sha256: sha256(content),
      virtualSizeBytes: 4096,
      addedBytes: 7,
      tools: { qemu: '7.2' },
      parbakeVersion: '0.1.0',
      accelerator: 'tcg',
      verification: { readyUptime: 1, launchSeconds: 2, checks: [{ name: 'converged', ok: true }] },
    }),
    'test',
  )
}

async function publish(imageId: string, content = `disk of ${imageId}`, target: ImagePlace = place) {
  await mkdir(folder.path, { recursive: true })
  const disk = join(folder.path, `${imageId}.qcow2`)
  await writeFile(disk, content)
  const manifest = manifestOf(imageId, content)
  return { manifest, ...(await publishImage(context, target, { disk, manifest, signer: signerOf(signingKey) })) }
}

async function allKeys(): Promise<string[]> {
  return (await store.list()).objects.map((object) => object.key)
}

/** A store that fails at the n-th call that writes. */
function failingAt(call: number): ObjectStore {
  let calls = 0
  const count = <A extends unknown[], R>(method: (...args: A) => Promise<R>) => {
    return (...args: A): Promise<R> => {
      calls += 1
      if (calls === call) throw new Error('the store went away')
      return method(...args)
    }
  }
  return storeWith(store, {
    put: count(store.put.bind(store)),
    putFile: count(store.putFile.bind(store)),
  })
}

describe('publishing images', () => {
  test('the channel points to the newest, with a growing serial', async () => {
    expect(await currentImage(place)).toBeUndefined()
    expect((await publish('web-1')).serial).toBe(1)
    expect((await publish('web-2')).serial).toBe(2)
    expect((await currentImage(place))?.manifest.imageId).toBe('web-2')
    expect((await findImage(place, 'latest')).imageId).toBe('web-2')
    expect((await findImage(place, 'web-1')).imageId).toBe('web-1')
  })

  test.each([1, 2, 3])(
    'a failure at write %i leaves the image before in place and nothing half-published',
    async (call) => {
      await publish('web-1')
      const before = await allKeys()
      await expect(publish('web-2', 'new', { ...place, store: failingAt(call) })).rejects.toThrow('went away')
      expect(await allKeys()).toEqual(before)
      expect((await findImage(place, 'latest')).imageId).toBe('web-1')
    },
  )

  test('racing publishers each get a serial of their own', async () => {
    const results = await Promise.all(['a', 'b', 'c', 'd'].map((id) => publish(`web-${id}`)))
    expect(results.map((result) => result.serial).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4])
  })
})

describe('finding images', () => {
  test('none yet, and an unknown id', async () => {
    await expect(findImage(place, 'latest')).rejects.toThrow("there is no image of web in channel 'stable' yet")
    await expect(findImage(place, 'web-9')).rejects.toThrow("there is no image 'web-9' of web")
  })

  test('a manifest changed after signing is refused', async () => {
    const { manifest } = await publish('web-1')
    const forged = renderManifest({ ...manifest, sha256: sha256('evil') })
    await store.put(keys.imageFile('web', 'web-1', 'manifest.json'), forged)
    await expect(findImage(place, 'latest')).rejects.toThrow('is not the manifest that the image channel')
  })

  test('a channel signed by a stranger is refused', async () => {
    await publish('web-1')
    await expect(findImage({ ...place, trustedKeys: ['MCowBQYDK2VwAyEA'] }, 'latest')).rejects.toThrow('not trusted')
  })
})

describe('downloading images', () => {
  test('once, then from the cache', async () => {
    const { manifest } = await publish('web-1', 'the disk')
    const path = await fetchImage(context, place, manifest)
    expect(await readFile(path, 'utf8')).toBe('the disk')
    await store.delete(keys.imageFile('web', 'web-1', 'disk.qcow2'))
    expect(await fetchImage(context, place, manifest)).toBe(path)
  })

  test('a damaged disk is refused and not kept', async () => {
    const { manifest } = await publish('web-1', 'the disk')
    await store.put(keys.imageFile('web', 'web-1', 'disk.qcow2'), 'the dusk')
    await expect(fetchImage(context, place, manifest)).rejects.toThrow('is damaged')
    await store.put(keys.imageFile('web', 'web-1', 'disk.qcow2'), 'the disk')
    expect(await readFile(await fetchImage(context, place, manifest), 'utf8')).toBe('the disk')
  })
})
