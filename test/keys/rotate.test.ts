import { copyFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseChannel, signChannel, verifyChannel } from '../../src/bundle/channel.ts'
import { publishRecipe } from '../../src/bundle/publish.ts'
import { initKeys, listKeys, loadSigningKey, loadTrustedKeys } from '../../src/keys/index.ts'
import { listKeysWithUses } from '../../src/keys/list.ts'
import { revokeKey, type RevokeOptions } from '../../src/keys/revoke.ts'
import { rotateKeys, type RotateOptions } from '../../src/keys/rotate.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { getBytes } from '../../src/store/object-store.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { failure, recipeOf, rig, type Rig } from '../rollout/support.ts'

const now = () => Math.floor(Date.now() / 1000)
const later = () => now() + 3600
const rotate = (test: Rig, changes: Partial<RotateOptions> = {}) =>
  rotateKeys(test.ctx, { notBefore: now() - 1, dryRun: false, ...changes })
const revoke = (test: Rig, key: string, changes: Partial<RevokeOptions> = {}) =>
  revokeKey(test.ctx, { key, force: false, dryRun: false, ...changes })
const keyOf = (test: Rig, name: string) =>
  listKeys(test.ctx.config).find((key) => key.name === name)?.publicKey ?? 'none'

/** What the agent does with keys: it trusts those of its user-data, learns from what it accepts, and forgets no revocation. */
class Host {
  readonly #accepted = new Map<string, number>()
  readonly #revoked = new Set<string>()

  constructor(keys: readonly string[]) {
    for (const key of keys) this.#accepted.set(key, 0)
  }

  /** Throws where it would refuse the channel. */
  async converge(test: Rig): Promise<number> {
    const text = (await getBytes(test.store, 'channels/web/stable'))?.toString() ?? ''
    const valid = [...this.#accepted].filter(([key, from]) => from <= now() && !this.#revoked.has(key))
    const channel = verifyChannel(
      text,
      valid.map(([key]) => key),
    )
    if (channel.kind !== 'bundle') throw new Error('no channel of bundles')
    for (const { key, notBefore } of channel.trust ?? []) this.#accepted.set(key, notBefore)
    for (const key of channel.revoke ?? []) this.#revoked.add(key)
    return channel.serial
  }
}

describe('a rotation', () => {
  it('introduces a key, signs with it when its time has come, and every host that listens follows', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const host = new Host([keyOf(test, 'default')])
    await host.converge(test)
    const first = await rotate(test, { name: 'next', notBefore: later() })
    expect(first).toMatchObject({ name: 'next', made: true, channels: [{ step: 'introduced', serial: 2 }] })
    await host.converge(test)
    // Too early: the old key goes on, also for what is published meanwhile.
    expect(await rotate(test, { name: 'next' })).toMatchObject({
      made: false,
      channels: [{ step: 'waiting', serial: 2 }],
    })
    await publishRecipe(recipeOf('b'), test.ctx)
    expect((await test.channel()).signature.key).toBe(keyOf(test, 'default'))
    expect((await test.channel()).trust).toEqual([{ key: first.publicKey, notBefore: first.channels[0]?.notBefore }])
    expect(await host.converge(test)).toBe(3)
  })

  it('goes on when it is run again, and is done then', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const host = new Host([keyOf(test, 'default')])
    const { name, publicKey } = await rotate(test)
    expect(name).toMatch(/^key-\d{8}$/)
    await host.converge(test)
    expect(await rotate(test)).toMatchObject({ name, made: false, channels: [{ step: 'signed', serial: 3 }] })
    expect((await test.channel()).signature.key).toBe(publicKey)
    expect(await host.converge(test)).toBe(3)
    expect(await rotate(test)).toMatchObject({ name, channels: [{ step: 'done', serial: 3 }] })
    expect(await revoke(test, 'default')).toMatchObject({ channels: [{ recipe: 'web', serial: 4 }] })
    expect(await host.converge(test)).toBe(4)
    await publishRecipe(recipeOf('b'), test.ctx)
    expect(await host.converge(test)).toBe(5)
    expect(await test.channel()).toMatchObject({ signature: { key: publicKey }, revoke: [expect.any(String)] })
    // And the next one, by the same steps.
    const third = await rotate(test, { name: 'third' })
    await host.converge(test)
    await rotate(test, { name: 'third' })
    await revoke(test, name)
    expect(await host.converge(test)).toBe(8)
    expect((await test.channel()).signature.key).toBe(third.publicKey)
    expect((await test.channel()).revoke).toHaveLength(2)
  })

  it('leaves behind only a host that was never told, and says so', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const host = new Host([keyOf(test, 'default')])
    await test.report({ host: 'sleeper' })
    // Times in channels are whole seconds.
    await new Promise((done) => setTimeout(done, 1100))
    await rotate(test)
    await test.report({ host: 'listener' })
    expect((await rotate(test, { dryRun: true })).channels[0]?.untold).toEqual(['sleeper'])
    const refused = await failure(revoke(test, 'default'))
    expect(refused).toMatchObject({ code: 'hosts-untold' })
    expect(refused.message).toContain('sleeper')
    expect((await test.channel()).serial).toBe(2)
    await revoke(test, 'default', { force: true })
    await expect(host.converge(test)).rejects.toMatchObject({ code: 'channel-untrusted' })
  })

  it('takes all channels along', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    await publishRecipe(recipeOf('a'), test.ctx, { channel: 'canary' })
    await publishRecipe({ ...recipeOf('a'), name: 'db' }, test.ctx)
    const { channels } = await rotate(test)
    expect(channels.map(({ recipe, channel, step }) => `${recipe}/${channel} ${step}`)).toEqual([
      'db/stable introduced',
      'web/canary introduced',
      'web/stable introduced',
    ])
  })

  it('writes nothing in a dry run', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const before = [(await test.store.list()).objects, await readdir(test.ctx.config.keysDir)]
    expect(await rotate(test, { dryRun: true })).toMatchObject({ made: true, channels: [{ step: 'introduced' }] })
    expect([(await test.store.list()).objects, await readdir(test.ctx.config.keysDir)]).toEqual(before)
  })

  it('makes a key also where nothing was published yet', async () => {
    await using test = await rig()
    expect(await rotate(test, { name: 'next' })).toMatchObject({ made: true, channels: [] })
    expect(loadTrustedKeys(test.ctx.config, {})).toHaveLength(2)
  })
})

describe('a revocation', () => {
  it('never takes the last key that can sign', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    expect(await failure(revoke(test, 'default'))).toMatchObject({ code: 'last-key' })
    // A key that hosts were not told about does not count, nor one whose time has not come.
    await initKeys(test.ctx.config, 'stranger', silentReporter)
    expect(await failure(revoke(test, 'default', { keyName: 'stranger' }))).toMatchObject({ code: 'key-not-accepted' })
    await rotate(test, { name: 'next', notBefore: later() })
    expect(await failure(revoke(test, 'default'))).toMatchObject({ code: 'last-key' })
    expect(await failure(revoke(test, 'default', { keyName: 'next' }))).toMatchObject({ code: 'key-not-accepted' })
    expect((await test.channel()).revoke).toBeUndefined()
  })

  it('takes back a key that was introduced and is not to come', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const { publicKey } = await rotate(test, { name: 'next', notBefore: later() })
    await revoke(test, 'next')
    const channel = await test.channel()
    expect(channel).toMatchObject({ revoke: [publicKey], signature: { key: keyOf(test, 'default') } })
    expect(channel.trust).toBeUndefined()
    // It cannot come back, whoever still has it.
    await writeFile(join(test.ctx.config.keysDir, 'again.pub'), `${publicKey}\n`)
    expect(await failure(rotate(test, { name: 'again' }))).toMatchObject({ code: 'key-revoked' })
  })

  it('changes no channel where one of them would be lost', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    await rotate(test, { name: 'next' })
    await publishRecipe({ ...recipeOf('a'), name: 'db' }, test.ctx, { keyName: 'default' })
    expect(await failure(revoke(test, 'default'))).toMatchObject({ code: 'last-key' })
    expect((await test.channel()).revoke).toBeUndefined()
  })

  it('sets the files aside, so that nothing here trusts or uses the key any more', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const old = keyOf(test, 'default')
    const { publicKey } = await rotate(test, { name: 'next' })
    await revoke(test, old)
    expect((await readdir(test.ctx.config.keysDir)).toSorted()).toEqual([
      'default.key.revoked',
      'default.pub.revoked',
      'next.key',
      'next.pub',
    ])
    expect(loadTrustedKeys(test.ctx.config, {})).toEqual([publicKey])
    const text = (await getBytes(test.store, 'channels/web/stable'))?.toString() ?? ''
    expect(parseChannel(text)).toMatchObject({ revoke: [old] })
  })

  it('holds against a machine that still has the key', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    await rotate(test, { name: 'next' })
    await rotate(test, { name: 'next' })
    const old = keyOf(test, 'default')
    const { privateFile } = listKeys(test.ctx.config).find(({ name }) => name === 'default') ?? {}
    await using other = await rig()
    await copyFile(privateFile ?? '', `${other.ctx.config.keysDir}/old.key`)
    await writeFile(`${other.ctx.config.keysDir}/old.pub`, `${old}\n`)
    await writeFile(`${other.ctx.config.keysDir}/next.pub`, `${keyOf(test, 'next')}\n`)
    await revoke(test, 'default')
    const ctx = test.configured({ keysDir: other.ctx.config.keysDir })
    const error = await failure(publishRecipe(recipeOf('b'), ctx, { keyName: 'old' }))
    expect(error).toMatchObject({ code: 'key-revoked' })
    expect((await test.channel()).serial).toBe(4)
  })

  it('does not know every name', async () => {
    await using test = await rig()
    expect(await failure(revoke(test, 'nobody'))).toMatchObject({ exitCode: 2 })
  })
})

describe('the list of keys', () => {
  it('says what each channel makes of them', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const notBefore = later()
    await rotate(test, { name: 'next', notBefore })
    const keys = await listKeysWithUses(test.ctx)
    expect(keys.map(({ name, uses }) => [name, uses])).toEqual([
      ['default', [{ recipe: 'web', channel: 'stable', state: 'signs' }]],
      ['next', [{ recipe: 'web', channel: 'stable', state: 'introduced', notBefore }]],
    ])
  })

  it('is there without a store too', async () => {
    await using test = await rig()
    await test.store.put('channels/web/stable', 'nonsense')
    expect(await listKeysWithUses(test.ctx)).toMatchObject([{ name: 'default', uses: undefined }])
    expect(test.events).toContainEqual(expect.objectContaining({ type: 'warning' }))
  })
})

describe('pointers to images', () => {
  /** A pointer to an image, signed by the key of that name. */
  async function withImage(test: Rig): Promise<string> {
    const content = {
      kind: 'image',
      recipe: 'web',
      channel: 'stable',
      serial: 3,
      image: 'web-1',
      manifest: sha256('manifest'),
      published: '2026-11-20T10:00:00Z',
    } as const
    const text = signChannel(content, loadSigningKey(test.ctx.config))
    await test.store.put('images/web/channels/stable', text)
    return text
  }
  const pointer = async (test: Rig) => (await getBytes(test.store, 'images/web/channels/stable'))?.toString() ?? ''

  it('are signed again where the new key begins to sign, and not before', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const text = await withImage(test)
    const { publicKey } = await rotate(test, { name: 'next' })
    expect(await pointer(test)).toBe(text)
    expect(await rotate(test)).toMatchObject({ images: [{ recipe: 'web', channel: 'stable' }] })
    expect(verifyChannel(await pointer(test), [publicKey])).toMatchObject({ image: 'web-1', serial: 4 })
    expect(await rotate(test)).toMatchObject({ images: [] })
    await revoke(test, 'default')
  })

  it('keep a key from being revoked that signed them', async () => {
    await using test = await rig()
    await publishRecipe(recipeOf('a'), test.ctx)
    const text = await withImage(test)
    await rotate(test, { name: 'next' })
    expect(await failure(revoke(test, 'default'))).toMatchObject({ code: 'image-signed' })
    expect((await test.channel()).revoke).toBeUndefined()
    await revoke(test, 'default', { force: true })
    expect(await pointer(test)).toBe(text)
    expect(test.events).toContainEqual(expect.objectContaining({ hint: expect.stringContaining('bake again') }))
  })
})
