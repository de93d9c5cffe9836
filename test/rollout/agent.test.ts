import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { publishRecipe } from '../../src/bundle/publish.ts'
import { listHosts } from '../../src/hosts/list.ts'
import { listKeys, loadTrustedKeys } from '../../src/keys/index.ts'
import { revokeKey } from '../../src/keys/revoke.ts'
import { rotateKeys } from '../../src/keys/rotate.ts'
import { defaultBounds } from '../../src/rollout/model.ts'
import { withPlace } from '../../src/rollout/place.ts'
import { rollBack } from '../../src/rollout/rollback.ts'
import { advanceRollout, startRollout, undoRollout } from '../../src/rollout/rollout.ts'
import { rolloutStatus } from '../../src/rollout/status.ts'
import { watchRollout } from '../../src/rollout/watch.ts'
import { AgentHost, testRecipe } from '../support/agent.ts'
import { failure, rig } from './support.ts'

const web = { recipe: 'web' } as const

/** A real agent on a store that the commands write, trusting the one key that there is at first. */
async function fleetOfOne() {
  const test = await rig()
  const host = await AgentHost.create({ tags: 'canary' })
  const ctx = test.configured({ store: pathToFileURL(host.store).href })
  const [key = ''] = loadTrustedKeys(ctx.config, {})
  await host.configure({ tags: 'canary', key })
  return {
    test,
    host,
    ctx,
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]()
      await test[Symbol.asyncDispose]()
    },
  }
}

describe('a real agent', () => {
  it('takes a rollout, is judged, and goes back when it fails', async () => {
    await using fleet = await fleetOfOne()
    const { host, ctx } = fleet
    const old = testRecipe([host.step('old')])
    const { bundle } = await publishRecipe(old, ctx)
    expect(await host.converge()).toMatchObject({ bundle, rollout: '' })
    const bounds = { ...defaultBounds, minHosts: 1 }
    const options = { percent: 0, tags: ['canary'], bounds }
    const change = await startRollout(testRecipe([host.step('bad', 'exit 3')]), ctx, options)
    expect(await host.converge({ code: 1 })).toMatchObject({
      bundle: change.rollout?.bundle,
      rollout: change.rollout?.id,
      outcome: 'failed',
    })
    const status = await withPlace(ctx, web, rolloutStatus)
    expect(status.evidence.rollout).toMatchObject({ hosts: 1, failures: [{ steps: ['bad'] }] })
    const watch = watchRollout(ctx, { ...web, intervalSeconds: 1, stageSeconds: 0, once: true, onLook: () => {} })
    expect(await failure(watch)).toMatchObject({ code: 'rollout-halted' })
    expect(await host.converge()).toMatchObject({ bundle, rollout: '', outcome: 'ok' })
    await undoRollout(ctx, web)
    // The next one is good, and becomes what all have.
    const next = await startRollout(testRecipe([host.step('good')]), ctx, options)
    await host.converge()
    const [list] = await listHosts(ctx, {
      ...web,
      days: 2,
      schedule: { everyMinutes: 15, cron: '', splaySeconds: 0 },
      filters: [],
    })
    expect(list?.hosts).toMatchObject([{ bundleState: 'rollout', failing: false, failures: 1, tags: ['canary'] }])
    const end = await advanceRollout(ctx, { ...web, percent: 100 })
    expect(end).toMatchObject({ action: 'finish', bundle: next.rollout?.bundle })
    expect(await host.converge()).toMatchObject({ bundle: end.bundle, rollout: '', serial: end.serial })
    await rollBack(ctx, { ...web, to: 'previous' })
    expect(await host.converge()).toMatchObject({ bundle, outcome: 'ok' })
  })

  it('follows a rotation of keys to its end, and no key that was revoked', async () => {
    await using fleet = await fleetOfOne()
    const { host, ctx, test } = fleet
    const [first] = listKeys(ctx.config)
    await publishRecipe(testRecipe([host.step('one')]), ctx)
    await host.converge()
    const rotate = () => rotateKeys(ctx, { name: 'next', notBefore: Math.floor(Date.now() / 1000) - 1, dryRun: false })
    await rotate()
    expect(await host.converge()).toMatchObject({ serial: 2, outcome: 'ok' })
    expect(await rotate()).toMatchObject({ channels: [{ step: 'signed', serial: 3 }] })
    expect(await host.converge()).toMatchObject({ serial: 3, outcome: 'ok' })
    await revokeKey(ctx, { key: first?.name ?? '', force: false, dryRun: false })
    expect(await host.converge()).toMatchObject({ serial: 4, outcome: 'ok' })
    await publishRecipe(testRecipe([host.step('two')]), ctx)
    expect(await host.converge()).toMatchObject({ serial: 5, outcome: 'ok' })
    expect(host.trace()).toEqual(['one', 'two'])
    expect(host.text('state/keys')).toContain(`revoke ${first?.publicKey}`)
    expect(test.events.filter(({ type }) => type === 'warning')).toEqual([])
  })
})
