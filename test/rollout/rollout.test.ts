import { describe, expect, it } from 'vitest'
import { publishRecipe } from '../../src/bundle/publish.ts'
import type { Context } from '../../src/context.ts'
import { defaultBounds, type RolloutStatus } from '../../src/rollout/model.ts'
import { withPlace } from '../../src/rollout/place.ts'
import { renderRolloutChange, renderRolloutStatus } from '../../src/rollout/render.ts'
import { advanceRollout, haltRollout, startRollout, undoRollout, type StartOptions } from '../../src/rollout/rollout.ts'
import { newRolloutId, readState, startOfRollout } from '../../src/rollout/state.ts'
import { rolloutStatus } from '../../src/rollout/status.ts'
import { watchRollout, type WatchOptions } from '../../src/rollout/watch.ts'
import { failure, recipeOf, rig, type Rig } from './support.ts'

const web = { recipe: 'web' } as const
const options: StartOptions = { percent: 10, tags: [], bounds: defaultBounds }
const status = (ctx: Context): Promise<RolloutStatus> => withPlace(ctx, web, rolloutStatus)

/** A rollout of 'b' over 'a'. */
async function started(test: Rig, changes: Partial<StartOptions> = {}) {
  const first = await publishRecipe(recipeOf('a'), test.ctx)
  const change = await startRollout(recipeOf('b'), test.ctx, { ...options, ...changes })
  return { first, change, bundle: change.rollout?.bundle ?? '' }
}

async function reportAll(test: Rig, bundle: string, count: number, failed = 0): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await test.report({
      bundle,
      ...(index < failed ? { outcome: 'failed', error: 'no such file' } : { outcome: 'ok' }),
    })
  }
}

function watch(ctx: Context, changes: Partial<WatchOptions> = {}) {
  const looks: [string, string | undefined][] = []
  const all = {
    ...web,
    ...{ intervalSeconds: 0.01, stageSeconds: 0, once: true },
    onLook: (look: RolloutStatus, change?: { action: string }) =>
      void looks.push([look.judgement.verdict, change?.action]),
    ...changes,
  }
  return { looks, ended: watchRollout(ctx, all) }
}

describe('a rollout', () => {
  it('starts beside the bundle of all others, which nothing touches', async () => {
    await using test = await rig()
    const { first, change } = await started(test, { percent: 5, tags: ['canary'] })
    const channel = await test.channel()
    expect(channel).toMatchObject({ serial: 2, bundle: first.bundle, agent: first.agent, expires: 0 })
    expect(channel.rollout).toEqual(change.rollout)
    expect(channel.rollout).toMatchObject({ percent: 5, tags: ['canary'] })
    const key = `bundles/web/${channel.rollout?.bundle}.tar.gz`
    expect((await test.store.head(key))?.sizeBytes).toBe(channel.rollout?.bundleBytes)
    expect(renderRolloutChange(change)).toContain('for 5 percent of hosts and hosts tagged canary')
  })

  it('goes from stage to stage on good reports, and ends as what all hosts have', async () => {
    await using test = await rig()
    const { first, bundle } = await started(test)
    await reportAll(test, first.bundle, 6)
    await reportAll(test, bundle, 6)
    for (const [serial, percent] of [
      [3, 25],
      [4, 50],
    ] as const) {
      expect(await advanceRollout(test.ctx, web)).toMatchObject({ serial, rollout: { percent } })
    }
    const end = await advanceRollout(test.ctx, web)
    expect(end).toMatchObject({ action: 'finish', serial: 5, bundle, rollout: undefined })
    expect(await test.channel()).toMatchObject({ serial: 5, bundle })
    expect((await test.channel()).rollout).toBeUndefined()
    // Hosts had it at serial 2 to 4 already; publishing it changes nothing more.
    expect(await publishRecipe(recipeOf('b'), test.ctx)).toMatchObject({ serial: 5, unchanged: true })
  })

  it('does not go on without evidence, and says what --force overrides', async () => {
    await using test = await rig()
    await started(test)
    const refused = await failure(advanceRollout(test.ctx, { ...web, percent: 50 }))
    expect(refused).toMatchObject({ code: 'rollout-not-ready', exitCode: 1 })
    expect(refused.message).toContain('only 0 of at least 5 hosts have reported')
    expect(await test.channel()).toMatchObject({ serial: 2, rollout: { percent: 10 } })
    await advanceRollout(test.ctx, { ...web, percent: 50, force: true })
    expect(await test.channel()).toMatchObject({ serial: 3, rollout: { percent: 50 } })
    expect(test.events).toContainEqual(
      expect.objectContaining({ type: 'warning', text: expect.stringContaining(`overriding 'wait': only 0 of`) }),
    )
    expect((await failure(advanceRollout(test.ctx, { ...web, percent: 50, force: true }))).exitCode).toBe(2)
  })

  it('does not go on while hosts fail', async () => {
    await using test = await rig()
    const { bundle } = await started(test)
    await reportAll(test, bundle, 8, 4)
    expect((await failure(advanceRollout(test.ctx, web))).message).toContain('4 of 8')
    const look = await status(test.ctx)
    expect(look.judgement.verdict).toBe('halt')
    const text = renderRolloutStatus(look, { colour: false })
    expect(text).toMatch(/rollout\s+[0-9a-f]{12}\s+8\s+4 of 8/)
    expect(text).toContain('no such file')
    expect(text).toContain('next: parbake rollout halt web')
  })

  it('is halted for everybody, visibly, and can be followed by another one', async () => {
    await using test = await rig()
    const { first } = await started(test, { tags: ['canary'] })
    await haltRollout(test.ctx, web)
    expect(await test.channel()).toMatchObject({ serial: 3, bundle: first.bundle, rollout: { percent: 0, tags: [] } })
    expect(await haltRollout(test.ctx, web)).toMatchObject({ serial: 3 })
    expect((await failure(advanceRollout(test.ctx, web))).message).toContain('was halted')
    await startRollout(recipeOf('c'), test.ctx, options)
    expect(await test.channel()).toMatchObject({ serial: 4, rollout: { percent: 10 } })
  })

  it('is undone', async () => {
    await using test = await rig()
    const { first } = await started(test)
    expect(await undoRollout(test.ctx, web)).toMatchObject({ action: 'undo', serial: 3, rollout: undefined })
    const channel = await test.channel()
    expect(channel).toMatchObject({ serial: 3, bundle: first.bundle })
    expect(channel.rollout).toBeUndefined()
    expect(await failure(undoRollout(test.ctx, web))).toMatchObject({ code: 'no-rollout' })
    expect(await failure(status(test.ctx))).toMatchObject({ code: 'no-rollout' })
  })

  it('keeps what was done and by whom beside the channel', async () => {
    await using test = await rig()
    const { change } = await started(test, { bounds: { maxFailureRate: 0.2, maxSlowdown: 3, minHosts: 1 } })
    await advanceRollout(test.ctx, { ...web, percent: 40, force: true })
    await haltRollout(test.ctx, web, 'pager')
    await undoRollout(test.ctx, web)
    const state = await withPlace(test.ctx, web, (place) => readState(place, change.rollout?.id ?? ''))
    expect(state?.bounds).toEqual({ maxFailureRate: 0.2, maxSlowdown: 3, minHosts: 1 })
    expect(state?.log.map(({ action, percent, serial, by }) => [action, percent, serial, by])).toEqual([
      ['start', 10, 2, 'person'],
      ['advance', 40, 3, 'person'],
      ['halt', 0, 4, 'person'],
      ['undo', 0, 5, 'person'],
    ])
  })

  it('works by usual bounds where what stood beside the channel is gone or nonsense', async () => {
    await using test = await rig()
    const { bundle } = await started(test, { bounds: { ...defaultBounds, minHosts: 1 } })
    await test.store.put('rollouts/web/stable.json', 'nonsense')
    await reportAll(test, bundle, 3)
    expect(await status(test.ctx)).toMatchObject({ bounds: defaultBounds, judgement: { verdict: 'wait' } })
    await haltRollout(test.ctx, web)
    expect(await status(test.ctx)).toMatchObject({ judgement: { verdict: 'halted' } })
  })

  it('writes nothing in a dry run', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const before = (await test.store.list()).objects
    const change = await startRollout(recipeOf('b'), test.ctx, { ...options, dryRun: true })
    expect(change).toMatchObject({ serial: 2, dryRun: true, rollout: { percent: 10 } })
    expect((await test.store.list()).objects).toEqual(before)
    await startRollout(recipeOf('b'), test.ctx, options)
    const running = (await test.store.list()).objects
    await advanceRollout(test.ctx, { ...web, force: true, dryRun: true })
    await haltRollout(test.ctx, { ...web, dryRun: true })
    await undoRollout(test.ctx, { ...web, dryRun: true })
    expect((await test.store.list()).objects).toEqual(running)
  })

  it.each<[string, (test: Rig) => Promise<unknown>, string | number]>([
    ['before anything was published', (t) => startRollout(recipeOf('a'), t.ctx, options), 'not-published'],
    [
      'of what all hosts have',
      async (t) => {
        await publishRecipe(recipeOf('a'), t.ctx)
        await startRollout(recipeOf('a'), t.ctx, options)
      },
      'rollout-nothing-new',
    ],
    [
      'beside another one',
      async (t) => {
        await started(t)
        await startRollout(recipeOf('c'), t.ctx, options)
      },
      'rollout-active',
    ],
    ['of 101 percent', (t) => startRollout(recipeOf('a'), t.ctx, { ...options, percent: 101 }), 2],
    ['with no true tag', (t) => startRollout(recipeOf('a'), t.ctx, { ...options, tags: ['A B'] }), 2],
  ])('does not start %s', async (_name, work, expected) => {
    await using test = await rig()
    const error = await failure(work(test))
    expect(typeof expected === 'number' ? error.exitCode : error.code).toBe(expected)
  })

  it('is in the way of a publish while it has hosts, but not of renewing what is there', async () => {
    await using test = await rig()
    const { change } = await started(test)
    expect(await failure(publishRecipe(recipeOf('c'), test.ctx))).toMatchObject({ code: 'rollout-active' })
    expect((await failure(publishRecipe(recipeOf('b'), test.ctx))).hint).toContain('--to 100')
    await publishRecipe(recipeOf('a'), test.configured({ channelExpiryDays: 3 }))
    expect((await test.channel()).rollout).toEqual(change.rollout)
    await haltRollout(test.ctx, web)
    await publishRecipe(recipeOf('c'), test.ctx)
    expect((await test.channel()).rollout).toBeUndefined()
  })

  it('has an id that tells when it began', () => {
    const now = Date.UTC(2026, 10, 21, 17, 53, 1, 250)
    expect(newRolloutId(now)).toMatch(/^20261121t175301z-[0-9a-f]{6}$/)
    expect(startOfRollout(newRolloutId(now))).toBe(now - 250)
    expect(startOfRollout('by-hand')).toBeUndefined()
    expect(startOfRollout('99999999t999999z-a')).toBeUndefined()
  })
})

describe('a watch', () => {
  it('halts by itself, once, and says so by its exit', async () => {
    await using test = await rig()
    const { first, bundle } = await started(test, { tags: ['canary'] })
    await reportAll(test, first.bundle, 5)
    await reportAll(test, bundle, 6, 3)
    expect((await failure(watch(test.ctx, { dryRun: true }).ended)).message).toContain('would be halted')
    expect(await test.channel()).toMatchObject({ serial: 2 })
    const { looks, ended } = watch(test.ctx, { once: false })
    expect(await failure(ended)).toMatchObject({ code: 'rollout-halted', exitCode: 1 })
    expect(looks).toEqual([['halt', 'halt']])
    expect(await test.channel()).toMatchObject({ serial: 3, rollout: { percent: 0, tags: [] } })
    expect(await failure(watch(test.ctx).ended)).toMatchObject({ code: 'rollout-halted' })
    expect(await test.channel()).toMatchObject({ serial: 3 })
  })

  it('never goes on unless it was told the stages', async () => {
    await using test = await rig()
    const { bundle } = await started(test)
    await reportAll(test, bundle, 6)
    const plain = watch(test.ctx)
    await plain.ended
    expect(plain.looks).toEqual([['go', undefined]])
    const told = watch(test.ctx, { once: false, stages: [10, 50, 100] })
    await told.ended
    expect(told.looks).toEqual([
      ['go', 'advance'],
      ['go', 'finish'],
    ])
    expect(await test.channel()).toMatchObject({ serial: 4, bundle })
  })

  it('gives each stage its time', async () => {
    await using test = await rig()
    const { bundle } = await started(test)
    await reportAll(test, bundle, 6)
    const { looks, ended } = watch(test.ctx, { stages: [10, 50], stageSeconds: 3600 })
    await ended
    expect(looks).toEqual([['go', undefined]])
  })

  it('ends when somebody else ended the rollout', async () => {
    await using test = await rig()
    await started(test)
    let undone: Promise<unknown> | undefined
    const { ended } = watch(test.ctx, {
      once: false,
      onLook: () => {
        undone ??= undoRollout(test.ctx, web)
      },
    })
    await expect(ended).resolves.toBeUndefined()
    await undone
  })

  it('says where there is none', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    expect(await failure(watch(test.ctx).ended)).toMatchObject({ code: 'no-rollout' })
  })
})
