import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadAgent } from '../../src/bundle/agent.ts'
import { verifyChannel } from '../../src/bundle/channel.ts'
import { publishRecipe } from '../../src/bundle/publish.ts'
import type { Config } from '../../src/config.ts'
import type { Context } from '../../src/context.ts'
import { UserError } from '../../src/errors.ts'
import { initKeys, loadTrustedKeys } from '../../src/keys/index.ts'
import { loadConfig } from '../../src/load-config.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { getBytes, type ObjectStore } from '../../src/store/object-store.ts'
import { openStore } from '../../src/store/open.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { recipeOf } from '../rollout/support.ts'

interface Rig extends AsyncDisposable {
  readonly path: string
  readonly ctx: Context
  readonly store: ObjectStore
  /** The channel as a host would take it, or undefined where there is none. */
  channel(nowSeconds?: number): Promise<ReturnType<typeof verifyChannel> | undefined>
  configured(changes: Partial<Config>): Context
}

async function rig(): Promise<Rig> {
  const dir = await tempDir('publish')
  const env = { HOME: dir.path, PARBAKE_STATE: join(dir.path, 'state') }
  await writeFile(join(dir.path, 'parbake.yaml'), '')
  const config = await loadConfig(dir.path, undefined, env)
  await initKeys(config, 'default', silentReporter)
  const ctx = { config, reporter: silentReporter, signal: new AbortController().signal }
  const store = await openStore(config.store)
  return {
    path: dir.path,
    ctx,
    store,
    channel: async (nowSeconds) => {
      const bytes = await getBytes(store, 'channels/web/stable')
      const options = { recipe: 'web', channel: 'stable', ...(nowSeconds === undefined ? {} : { nowSeconds }) }
      return bytes && verifyChannel(bytes.toString(), loadTrustedKeys(config, {}), options)
    },
    configured: (changes) => ({ ...ctx, config: { ...config, ...changes } }),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
}

/** A store whose n-th call (from 1) fails before or after it took effect; counts what was called. */
function failingStore(store: ObjectStore, at: number, when: 'before' | 'after') {
  const calls: string[] = []
  const wrap =
    <A extends unknown[], R>(name: string, call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      calls.push(`${name} ${String(args[0])}`)
      const fails = calls.length === at
      if (fails && when === 'before') throw new UserError('the store is gone', { code: 'store-unreachable' })
      const result = await call(...args)
      if (fails) throw new UserError('the answer was lost', { code: 'store-unreachable' })
      return result
    }
  const wrapped: ObjectStore = {
    url: store.url,
    put: wrap('put', store.put.bind(store)),
    putFile: wrap('putFile', store.putFile.bind(store)),
    get: wrap('get', store.get.bind(store)),
    head: wrap('head', store.head.bind(store)),
    list: wrap('list', store.list.bind(store)),
    delete: wrap('delete', store.delete.bind(store)),
    close: () => store.close(),
  }
  return { store: wrapped, calls }
}

async function failure(work: Promise<unknown>): Promise<UserError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof UserError)) throw new Error(`no UserError but ${String(error)}`)
  return error
}

describe('publish', () => {
  it('puts bundle and agent under their digests and the channel on top', async () => {
    await using test = await rig()
    const result = await publishRecipe(recipeOf('a'), test.ctx)
    expect(result).toMatchObject({ recipe: 'web', channel: 'stable', serial: 1, uploaded: true, unchanged: false })
    expect(await test.channel()).toMatchObject({
      serial: 1,
      bundle: result.bundle,
      bundleBytes: result.bundleBytes,
      agent: loadAgent().sha256,
      expires: 0,
    })
    const bundle = await getBytes(test.store, `bundles/web/${result.bundle}.tar.gz`)
    expect(sha256(bundle ?? '')).toBe(result.bundle)
    expect(bundle).toHaveLength(result.bundleBytes)
    expect(sha256((await getBytes(test.store, `agents/${result.agent}.sh`)) ?? '')).toBe(result.agent)
  })

  it('changes nothing when there is nothing new, and counts on when there is', async () => {
    await using test = await rig()
    const first = await publishRecipe(recipeOf('a'), test.ctx)
    const before = await getBytes(test.store, 'channels/web/stable')
    expect(await publishRecipe(recipeOf('a'), test.ctx)).toEqual({ ...first, uploaded: false, unchanged: true })
    expect(await getBytes(test.store, 'channels/web/stable')).toEqual(before)
    expect(await publishRecipe(recipeOf('b'), test.ctx)).toMatchObject({ serial: 2, uploaded: true, unchanged: false })
    // Going back is a change like any other: the serial grows, the bundle is there already.
    expect(await publishRecipe(recipeOf('a'), test.ctx)).toMatchObject({ serial: 3, uploaded: false, unchanged: false })
    expect(await test.channel()).toMatchObject({ serial: 3, bundle: first.bundle })
  })

  it('keeps what the channel said before, and nothing of what is there now', async () => {
    await using test = await rig()
    const texts: string[] = []
    for (const script of ['a', 'b', 'c']) {
      await publishRecipe(recipeOf(script), test.ctx)
      texts.push((await getBytes(test.store, 'channels/web/stable'))?.toString() ?? '')
    }
    const { objects } = await test.store.list({ prefix: 'history/' })
    expect(objects.map(({ key }) => key)).toEqual([
      'history/web/stable/000000000000001',
      'history/web/stable/000000000000002',
    ])
    const kept = await Promise.all(objects.map(({ key }) => getBytes(test.store, key)))
    expect(kept.map(String)).toEqual(texts.slice(0, 2))
  })

  it('keeps channels apart', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    expect(await publishRecipe(recipeOf('b'), test.ctx, { channel: 'canary' })).toMatchObject({
      channel: 'canary',
      serial: 1,
    })
    expect(await test.channel()).toMatchObject({ serial: 1 })
    const error = await failure(publishRecipe(recipeOf('a'), test.ctx, { channel: 'no/good' }))
    expect(error.exitCode).toBe(2)
  })

  it('writes nothing in a dry run and says what it would do', async () => {
    await using test = await rig()
    expect(await publishRecipe(recipeOf('a'), test.ctx, { dryRun: true })).toMatchObject({ serial: 1, uploaded: true })
    expect(await test.channel()).toBeUndefined()
    expect((await test.store.list()).objects).toEqual([])
    await publishRecipe(recipeOf('a'), test.ctx)
    expect(await publishRecipe(recipeOf('a'), test.ctx, { dryRun: true })).toMatchObject({
      unchanged: true,
      uploaded: false,
    })
    expect(await publishRecipe(recipeOf('b'), test.ctx, { dryRun: true })).toMatchObject({ serial: 2, uploaded: true })
    expect(await test.channel()).toMatchObject({ serial: 1 })
  })

  it('brings back a bundle that was lost or cut in the store', async () => {
    await using test = await rig()
    const { bundle, bundleBytes } = await publishRecipe(recipeOf('a'), test.ctx)
    const key = `bundles/web/${bundle}.tar.gz`
    await test.store.delete(key)
    expect(await publishRecipe(recipeOf('a'), test.ctx)).toMatchObject({ unchanged: true, uploaded: true })
    expect(await test.store.head(key)).toMatchObject({ sizeBytes: bundleBytes })
    await test.store.put(key, 'cut')
    await publishRecipe(recipeOf('a'), test.ctx)
    expect(sha256((await getBytes(test.store, key)) ?? '')).toBe(bundle)
  })

  it('renews a channel in the second half of its life, also after its end', async () => {
    await using test = await rig()
    const ctx = test.configured({ channelExpiryDays: 10 })
    const now = Math.floor(Date.now() / 1000)
    await publishRecipe(recipeOf('a'), ctx)
    expect(await publishRecipe(recipeOf('a'), ctx)).toMatchObject({ serial: 1, unchanged: true })
    expect((await failure(test.channel(now + 11 * 86_400))).code).toBe('channel-expired')
    // Ten of forty days are left: less than half.
    expect(await publishRecipe(recipeOf('a'), test.configured({ channelExpiryDays: 40 }))).toMatchObject({ serial: 2 })
    expect(await publishRecipe(recipeOf('a'), test.ctx)).toMatchObject({ serial: 3, unchanged: false })
    expect(await test.channel(now + 1000 * 86_400)).toMatchObject({ expires: 0 })
  })

  it('signs anew with another key', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const next = await initKeys(test.ctx.config, 'next', silentReporter)
    expect(await publishRecipe(recipeOf('a'), test.ctx, { keyName: 'next' })).toMatchObject({
      serial: 2,
      unchanged: false,
    })
    expect((await test.channel())?.signature.key).toBe(next.publicKey)
  })

  it('needs a key before it touches the store', async () => {
    await using test = await rig()
    const ctx = test.configured({ keysDir: join(test.path, 'no-keys') })
    expect((await failure(publishRecipe(recipeOf('a'), ctx))).code).toBe('no-signing-key')
    expect((await test.store.list()).objects).toEqual([])
  })
})

describe('a channel that is not genuine', () => {
  it.each<[string, (text: string) => string, string]>([
    ['changed text', (text) => text.replace('serial 1', 'serial 9'), 'channel-bad-signature'],
    ['nonsense', () => 'hello\n', 'channel-malformed'],
    ['a cut text', (text) => text.slice(0, -20), 'channel-malformed'],
    ['nothing', () => '', 'channel-malformed'],
    ['very much', () => 'x'.repeat(100_000), 'channel-malformed'],
  ])('%s stops a publish and is left alone', async (_name, change, code) => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const text = (await getBytes(test.store, 'channels/web/stable'))?.toString() ?? ''
    await test.store.put('channels/web/stable', change(text))
    const before = (await test.store.list()).objects
    const error = await failure(publishRecipe(recipeOf('b'), test.ctx))
    expect(error.code).toBe(code)
    expect(error.hint).toContain('nothing was overwritten')
    expect((await test.store.list()).objects).toEqual(before)
  })

  it('of a colleague is accepted once their public key is there', async () => {
    await using mine = await rig()
    await using theirs = await rig()
    const ctx = mine.configured({ keysDir: theirs.ctx.config.keysDir })
    await publishRecipe(recipeOf('a'), ctx)
    const error = await failure(publishRecipe(recipeOf('b'), mine.ctx))
    expect(error).toMatchObject({ code: 'channel-untrusted' })
    const pub = await readFile(join(theirs.ctx.config.keysDir, 'default.pub'))
    await writeFile(join(mine.ctx.config.keysDir, 'colleague.pub'), pub)
    expect(await publishRecipe(recipeOf('b'), mine.ctx)).toMatchObject({ serial: 2 })
  })

  it('copied from another recipe is refused', async () => {
    await using test = await rig()
    await publishRecipe({ ...recipeOf('a'), name: 'db' }, test.ctx)
    const text = (await getBytes(test.store, 'channels/db/stable')) ?? ''
    await test.store.put('channels/web/stable', text)
    expect((await failure(publishRecipe(recipeOf('a'), test.ctx))).code).toBe('channel-misplaced')
  })
})

describe('a publish that fails half-way', () => {
  it.each(['before', 'after'] as const)(
    'leaves a channel that works, whichever call fails, %s it took effect',
    async (when) => {
      await using test = await rig()
      const old = await publishRecipe(recipeOf('old'), test.ctx)
      let at = 1
      for (; ; at += 1) {
        const faulty = failingStore(test.store, at, when)
        const wanted = recipeOf(`new ${when} ${at}`)
        const error = await publishRecipe(wanted, test.ctx, { store: faulty.store }).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        if (error === undefined) break
        expect(error).toBeInstanceOf(UserError)
        const channel = await test.channel()
        if (channel?.kind !== 'bundle') throw new Error('no channel')
        // Only a channel put whose answer was lost may have moved it.
        const last = faulty.calls.at(-1) ?? ''
        if (!(when === 'after' && last.startsWith('put channels/'))) expect(channel.bundle).toBe(old.bundle)
        const bundle = await getBytes(test.store, `bundles/web/${channel.bundle}.tar.gz`)
        expect(sha256(bundle ?? '')).toBe(channel.bundle)
        // And the next try gets through.
        const again = await publishRecipe(wanted, test.ctx)
        expect(again.serial).toBeGreaterThan(old.serial)
        await publishRecipe(recipeOf('old'), test.ctx)
      }
      // get, head agent, head bundle, put bundle, get, put history, put channel.
      expect(at).toBe(8)
    },
  )

  it('stops at an interrupt without moving the channel', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const controller = new AbortController()
    controller.abort()
    await expect(publishRecipe(recipeOf('b'), { ...test.ctx, signal: controller.signal })).rejects.toThrow()
    expect(await test.channel()).toMatchObject({ serial: 1 })
  })
})

describe('publishing at the same time', () => {
  it('gives ten publishers ten serials', async () => {
    await using test = await rig()
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, index) => publishRecipe(recipeOf(`v${index}`), test.ctx)),
    )
    expect(results.map((result) => result.serial).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    const last = results.find((result) => result.serial === 10)
    expect(await test.channel()).toMatchObject({ serial: 10, bundle: last?.bundle })
    expect(await readdir(join(test.ctx.config.stateDir, 'store', 'bundles', 'web'))).toHaveLength(10)
  })

  it('lets ten publishers of the same recipe share one serial', async () => {
    await using test = await rig()
    const results = await Promise.all(Array.from({ length: 10 }, () => publishRecipe(recipeOf('same'), test.ctx)))
    expect(new Set(results.map((result) => result.serial))).toEqual(new Set([1]))
    expect(results.filter((result) => !result.unchanged)).toHaveLength(1)
    expect(await test.channel()).toMatchObject({ serial: 1 })
  })
})

describe('the store is a folder beside the keys', () => {
  it('never holds a private key', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    expect(test.ctx.config.store).toBe(pathToFileURL(join(test.path, 'state', 'store')).href)
    for (const { key } of (await test.store.list()).objects) {
      expect((await getBytes(test.store, key))?.toString('latin1')).not.toContain('PRIVATE KEY')
    }
  })
})
