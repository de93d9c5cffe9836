import { describe, expect, it } from 'vitest'
import { changeChannel } from '../../src/bundle/change-channel.ts'
import { publishRecipe } from '../../src/bundle/publish.ts'
import { initKeys, loadTrustedKeys } from '../../src/keys/index.ts'
import { loadSigners } from '../../src/keys/signer.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { defaultBounds } from '../../src/rollout/model.ts'
import { listVersions, rollBack } from '../../src/rollout/rollback.ts'
import { startRollout } from '../../src/rollout/rollout.ts'
import { getBytes } from '../../src/store/object-store.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { failure, recipeOf, rig, type Rig } from './support.ts'

const web = { recipe: 'web' } as const

/** Three versions, at serials 1 to 3. */
async function published(test: Rig) {
  const results = []
  for (const script of ['a', 'b', 'c']) results.push(await publishRecipe(recipeOf(script), test.ctx))
  return results.map(({ bundle }) => bundle)
}

describe('a rollback', () => {
  it('goes to the bundle before, forward in serials, and back again', async () => {
    await using test = await rig()
    const [, b, c] = await published(test)
    expect(await rollBack(test.ctx, { ...web, to: 'previous' })).toMatchObject({
      serial: 4,
      from: 2,
      bundle: b,
      replaced: c,
    })
    expect(await test.channel()).toMatchObject({ serial: 4, bundle: b })
    expect(await rollBack(test.ctx, { ...web, to: 'previous' })).toMatchObject({ serial: 5, from: 3, bundle: c })
  })

  it.each<[string, (bundles: readonly string[]) => string, number]>([
    ['a serial', () => '1', 0],
    ['the last serial of that bundle', () => '2', 1],
    ['a digest', (bundles) => bundles[0] ?? '', 0],
    ['the beginning of a digest', (bundles) => bundles[1]?.slice(0, 8) ?? '', 1],
  ])('goes to %s', async (_name, to, expected) => {
    await using test = await rig()
    const bundles = await published(test)
    await rollBack(test.ctx, { ...web, to: to(bundles) })
    expect(await test.channel()).toMatchObject({ serial: 4, bundle: bundles[expected] })
  })

  it('skips serials at which only something else had changed', async () => {
    await using test = await rig()
    const [, , c] = await published(test)
    const b = (await rollBack(test.ctx, { ...web, to: '2' })).bundle
    await publishRecipe(recipeOf('b'), test.configured({ channelExpiryDays: 9 }))
    expect(await test.channel()).toMatchObject({ serial: 5, bundle: b })
    expect(await rollBack(test.ctx, { ...web, to: 'previous' })).toMatchObject({ from: 3, bundle: c })
  })

  it('keeps the agent of today unless it is told otherwise', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const { ctx, store } = test
    const { bundle, bundleBytes, agent: today } = await test.channel()
    const old = sha256('an older agent')
    await changeChannel({
      place: { store, recipe: 'web', name: 'stable', trustedKeys: loadTrustedKeys(ctx.config) },
      expiryDays: 0,
      dryRun: false,
      signerFor: loadSigners(ctx).choose,
      draft: () => ({ bundle, bundleBytes, agent: old }),
    })
    await publishRecipe(recipeOf('b'), ctx)
    expect(await rollBack(ctx, { ...web, to: '2' })).toMatchObject({ agent: today, bundle })
    const error = await failure(rollBack(ctx, { ...web, to: '2', withAgent: true }))
    expect(error).toMatchObject({ code: 'rollback-gone' })
    await store.put(`agents/${old}.sh`, 'an older agent')
    expect(await rollBack(ctx, { ...web, to: '2', withAgent: true })).toMatchObject({ agent: old, bundle })
  })

  it('ends a rollout', async () => {
    await using test = await rig()
    const [, b] = await published(test)
    await startRollout(recipeOf('d'), test.ctx, { percent: 10, tags: [], bounds: defaultBounds })
    await rollBack(test.ctx, { ...web, to: 'previous' })
    const channel = await test.channel()
    expect(channel).toMatchObject({ serial: 5, bundle: b })
    expect(channel.rollout).toBeUndefined()
  })

  it('does not go where the store has the bundle no more, or only a part of it', async () => {
    await using test = await rig()
    const [a, b] = await published(test)
    await test.store.delete(`bundles/web/${b}.tar.gz`)
    await test.store.put(`bundles/web/${a}.tar.gz`, 'cut')
    for (const to of ['previous', '1']) {
      expect(await failure(rollBack(test.ctx, { ...web, to }))).toMatchObject({ code: 'rollback-gone' })
    }
    expect(await test.channel()).toMatchObject({ serial: 3 })
    expect((await listVersions(test.ctx, web, 9)).map(({ serial, available }) => [serial, available])).toEqual([
      [3, true],
      [2, false],
      [1, false],
    ])
  })

  it('believes nothing in the history that no trusted key signed, or that stands in another place', async () => {
    await using test = await rig()
    await using stranger = await rig()
    await published(test)
    await published(stranger)
    const key = (serial: number) => `history/web/stable/${String(serial).padStart(15, '0')}`
    await test.store.put(key(2), (await getBytes(stranger.store, key(2))) ?? '')
    await test.store.put(key(99), (await getBytes(test.store, key(1))) ?? '')
    expect(await failure(rollBack(test.ctx, { ...web, to: '2' }))).toMatchObject({ code: 'rollback-untrusted' })
    expect(await failure(rollBack(test.ctx, { ...web, to: '99' }))).toMatchObject({ code: 'rollback-untrusted' })
    // What is left is the oldest one.
    expect(await rollBack(test.ctx, { ...web, to: 'previous' })).toMatchObject({ from: 1 })
    expect((await listVersions(test.ctx, web, 2)).map(({ serial }) => serial)).toEqual([4, 99])
  })

  it('writes nothing in a dry run', async () => {
    await using test = await rig()
    await published(test)
    const before = (await test.store.list()).objects
    expect(await rollBack(test.ctx, { ...web, to: '1', dryRun: true })).toMatchObject({ serial: 4, dryRun: true })
    expect((await test.store.list()).objects).toEqual(before)
  })

  it.each<[string, string, string | number]>([
    ['an unknown serial', '77', 'rollback-unknown'],
    ['an unknown bundle', 'f'.repeat(64), 'rollback-unknown'],
    ['the serial of now', '3', 'rollback-unknown'],
    ['nonsense', 'yesterday', 2],
  ])('refuses %s', async (_name, to, expected) => {
    await using test = await rig()
    await published(test)
    const error = await failure(rollBack(test.ctx, { ...web, to }))
    expect(typeof expected === 'number' ? error.exitCode : error.code).toBe(expected)
  })

  it('needs something to go back to', async () => {
    await using test = await rig()
    expect(await failure(rollBack(test.ctx, { ...web, to: 'previous' }))).toMatchObject({ code: 'not-published' })
    await publishRecipe(recipeOf('a'), test.ctx)
    expect(await failure(rollBack(test.ctx, { ...web, to: 'previous' }))).toMatchObject({ code: 'rollback-unknown' })
  })

  it('is signed by the key that signs today', async () => {
    await using test = await rig()
    await published(test)
    const next = await initKeys(test.ctx.config, 'next', silentReporter)
    await rollBack(test.ctx, { ...web, to: '1', keyName: 'next' })
    expect((await test.channel()).signature.key).toBe(next.publicKey)
    // And what was signed with it stays signed with it.
    await rollBack(test.ctx, { ...web, to: '2' })
    expect((await test.channel()).signature.key).toBe(next.publicKey)
  })
})
