import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeJob } from '../../src/bake/job.ts'
import type { Base } from '../../src/base/model.ts'
import { verifyChannel } from '../../src/bundle/channel.ts'
import { publishRecipe } from '../../src/bundle/publish.ts'
import type { Context } from '../../src/context.ts'
import { publishImage } from '../../src/image/images.ts'
import { manifestSchema } from '../../src/image/manifest.ts'
import { loadSigners } from '../../src/keys/signer.ts'
import type { Recipe } from '../../src/recipe/model.ts'
import { defaultBounds } from '../../src/rollout/model.ts'
import { haltRollout, startRollout, undoRollout } from '../../src/rollout/rollout.ts'
import { getBytes } from '../../src/store/object-store.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { planWorld } from '../plan/support.ts'
import { failure, recipeOf, rig, type Rig } from '../rollout/support.ts'
import { hardwareKey } from '../support/hardware-key.ts'

/** The job of a bake of the recipe's one step; `local`: of an image that stays on this machine. */
async function jobOf(test: Rig, ctx: Context, recipe: Recipe, local = false) {
  const { trustedKeys, choose } = loadSigners(ctx)
  return makeJob({
    ...{ recipe, channelName: 'stable', trustedKeys, signer: choose(undefined, 0), signal: ctx.signal },
    plan: planWorld({ steps: recipe.steps, measured: { only: { seconds: 100 } } }),
    // Nothing of it is read but its folder.
    base: { name: 'debian-12', digest: sha256('base'), path: join(test.path, 'disk.qcow2') } as unknown as Base,
    ...(local ? {} : { store: test.store }),
  })
}

describe('a bake with a signing command', () => {
  it('takes the channel that the command signed, and lets it sign the one that only its guest sees', async () => {
    await using test = await rig()
    const key = await hardwareKey(test.path)
    const ctx = test.configured({ signing: { command: [key.script], key: key.publicKey } })
    const recipe = recipeOf('a')
    const { bundle } = await publishRecipe(recipe, ctx)
    const published = await jobOf(test, ctx, recipe)
    expect(published.trustedKeys).toContain(key.publicKey)
    expect(published.channelText).toBe((await getBytes(test.store, 'channels/web/stable'))?.toString())
    const local = await jobOf(test, ctx, recipe, true)
    for (const { channelText } of [published, local]) {
      // By this key alone.
      expect(verifyChannel(channelText, [key.publicKey])).toMatchObject({ kind: 'bundle', bundle, serial: 1 })
    }
  })

  it.each([true, false])('publishes the image only where the command signs its pointer (%s)', async (signs) => {
    await using test = await rig()
    const key = await hardwareKey(test.path)
    const ctx = test.configured({ signing: { command: [signs ? key.script : 'false'], key: key.publicKey } })
    const { trustedKeys, choose } = loadSigners(ctx)
    const disk = join(test.path, 'made.qcow2')
    await writeFile(disk, 'disk')
    const manifest = manifestSchema.parse({
      ...{ v: 1, imageId: 'web-1', recipe: 'web', channel: 'stable', createdAt: '2026-01-02T03:04:05Z' },
      ...{ base: { name: 'debian-12', digest: sha256('base') }, bundle: sha256('bundle'), planDigest: sha256('plan') },
      ...{ steps: [], format: { type: 'qcow2', compression: 'zstd' }, sizeBytes: 4, sha256: sha256('disk') },
      ...{ virtualSizeBytes: 4096, addedBytes: 7, tools: {}, parbakeVersion: '0.1.0', accelerator: 'tcg' },
      verification: { readyUptime: 1, launchSeconds: 2, checks: [{ name: 'converged', ok: true }] },
    })
    const place = { store: test.store, recipe: 'web', channel: 'stable', trustedKeys }
    const work = publishImage(ctx, place, { disk, manifest, signer: choose(undefined, 0) })
    const images = async () => (await test.store.list({ prefix: 'images/' })).objects.map((object) => object.key)
    if (!signs) {
      expect(await failure(work)).toMatchObject({ code: 'signing-failed' })
      expect(await images()).toEqual([])
      return
    }
    expect(await work).toEqual({ serial: 1 })
    expect(await images()).toHaveLength(3)
    const pointer = (await getBytes(test.store, 'images/web/channels/stable'))?.toString() ?? ''
    expect(verifyChannel(pointer, [key.publicKey])).toMatchObject({ kind: 'image', image: 'web-1' })
  })
})

describe('a bake while a rollout', () => {
  const options = { percent: 10, tags: [], bounds: defaultBounds }

  it('has hosts is refused, whichever of the two versions it is of; after its end it is not', async () => {
    await using test = await rig()
    const [old, next] = [recipeOf('old'), recipeOf('next')]
    await publishRecipe(old, test.ctx)
    await startRollout(next, test.ctx, options)
    const error = await failure(jobOf(test, test.ctx, old))
    expect(error).toMatchObject({ code: 'rollout-active', exitCode: 1 })
    expect(error.hint).toContain('parbake rollout undo web')
    expect(await failure(jobOf(test, test.ctx, next))).toMatchObject({ code: 'not-published' })

    await haltRollout(test.ctx, { recipe: 'web' })
    expect((await jobOf(test, test.ctx, old)).stepNames).toEqual(['only'])
    await undoRollout(test.ctx, { recipe: 'web' })
    expect((await jobOf(test, test.ctx, old)).stepNames).toEqual(['only'])
  })

  it('is by tags alone is refused too', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('old'), test.ctx)
    await startRollout(recipeOf('next'), test.ctx, { ...options, percent: 0, tags: ['canary'] })
    expect(await failure(jobOf(test, test.ctx, recipeOf('old')))).toMatchObject({ code: 'rollout-active' })
  })
})
