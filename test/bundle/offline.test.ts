import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadAgent } from '../../src/bundle/agent.ts'
import { preparePublish, publishSigned, signPrepared, type Prepared } from '../../src/bundle/offline.ts'
import { publishRecipe } from '../../src/bundle/publish.ts'
import { readFromTar, tarball } from '../../src/bundle/tar.ts'
import { preparedText } from '../../src/commands/sign.ts'
import type { Context } from '../../src/context.ts'
import { listKeys } from '../../src/keys/index.ts'
import { rotateKeys } from '../../src/keys/rotate.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { failure, recipeOf, rig, type Rig } from '../rollout/support.ts'

interface Apart {
  readonly test: Rig
  /** Where the store is, but no private key. */
  readonly publisher: Context
  /** Where the key is, but no store. */
  readonly safe: Context
  readonly folder: string
}

/** One machine that publishes, and one that signs. */
async function apart(test: Rig): Promise<Apart> {
  const publicOnly = join(test.path, 'public-keys')
  await mkdir(publicOnly)
  await copyFile(join(test.ctx.config.keysDir, 'default.pub'), join(publicOnly, 'default.pub'))
  return {
    test,
    publisher: test.configured({ keysDir: publicOnly }),
    safe: test.configured({ store: 's3://nowhere?endpoint=http://127.0.0.1:1' }),
    folder: join(test.path, 'to-sign'),
  }
}

async function sign(ctx: Context, folder: string, dryRun = false): Promise<Prepared> {
  let seen: Prepared | undefined
  await signPrepared(ctx, folder, { dryRun, look: (prepared) => void (seen = prepared) })
  if (seen === undefined) throw new Error('nothing was shown')
  return seen
}

describe('publishing and signing apart', () => {
  it('puts into the store what was signed elsewhere', async () => {
    await using test = await rig()
    const { publisher, safe, folder } = await apart(test)
    const prepared = await preparePublish(recipeOf('a'), publisher, folder)
    expect((await test.store.list()).objects).toEqual([])
    const shown = await sign(safe, folder)
    expect(shown).toMatchObject({ channel: { recipe: 'web', serial: 1 }, steps: [{ name: 'only', when: 'change' }] })
    expect(preparedText(shown)).toContain(`bundle   ${prepared.channel.bundle}`)
    const published = await publishSigned(publisher, folder, false)
    expect(published).toMatchObject({ serial: 1, uploaded: true, unchanged: false, agent: loadAgent().sha256 })
    expect(await test.channel()).toMatchObject({ serial: 1, bundle: prepared.channel.bundle })
    expect(await publishSigned(publisher, folder, false)).toMatchObject({ serial: 1, unchanged: true })
    // The same as a publish in one go would have made.
    expect(await publishRecipe(recipeOf('a'), test.ctx)).toMatchObject({ unchanged: true })
  })

  it('goes on from what is there, and keeps it', async () => {
    await using test = await rig()
    const { publisher, safe, folder } = await apart(test)
    await publishRecipe(recipeOf('a'), test.ctx)
    await rotateKeys(test.ctx, { name: 'next', notBefore: 9_999_999_999, dryRun: false })
    const trust = (await test.channel()).trust
    await preparePublish(recipeOf('b'), publisher, folder)
    await sign(safe, folder)
    expect(await publishSigned(publisher, folder, true)).toMatchObject({ serial: 3, uploaded: true })
    expect(await test.channel()).toMatchObject({ serial: 2 })
    await publishSigned(publisher, folder, false)
    expect(await test.channel()).toMatchObject({ serial: 3, trust })
    expect((await test.store.list({ prefix: 'history/' })).objects).toHaveLength(2)
  })

  it('is refused where the channel has moved meanwhile', async () => {
    await using test = await rig()
    const { publisher, safe, folder } = await apart(test)
    await publishRecipe(recipeOf('a'), test.ctx)
    await preparePublish(recipeOf('b'), publisher, folder)
    await sign(safe, folder)
    await publishRecipe(recipeOf('c'), test.ctx)
    expect(await failure(publishSigned(publisher, folder, false))).toMatchObject({ code: 'channel-moved' })
    expect(await test.channel()).toMatchObject({ serial: 2 })
  })

  it.each<[string, (folder: string) => Promise<unknown>]>([
    ['another bundle', (folder) => writeFile(join(folder, 'bundle.tar.gz'), 'x')],
    ['another agent', (folder) => writeFile(join(folder, 'agent.sh'), '#!/bin/sh\n')],
    [
      'another digest in the channel',
      async (folder) => {
        const file = join(folder, 'channel.unsigned')
        await writeFile(file, (await readFile(file, 'utf8')).replace(/^bundle ./m, 'bundle 0'))
      },
    ],
    [
      'a bundle that is none, by whoever prepared it',
      async (folder) => {
        const file = join(folder, 'channel.unsigned')
        const bundle = `bundle ${sha256('x')} 1`
        await writeFile(join(folder, 'bundle.tar.gz'), 'x')
        await writeFile(file, (await readFile(file, 'utf8')).replace(/^bundle .*$/m, bundle))
      },
    ],
    ['a line too many', (folder) => writeFile(join(folder, 'channel.unsigned'), 'x\n', { flag: 'a' })],
    ['no channel', (folder) => rm(join(folder, 'channel.unsigned'))],
  ])('signs nothing with %s', async (_name, change) => {
    await using test = await rig()
    const { publisher, safe, folder } = await apart(test)
    await preparePublish(recipeOf('a'), publisher, folder)
    await change(folder)
    await failure(sign(safe, folder))
    expect(await readdir(folder)).not.toContain('channel.signed')
  })

  it.each<[string, (folder: string) => Promise<unknown>]>([
    ['was changed after it was signed', (folder) => writeFile(join(folder, 'bundle.tar.gz'), 'x')],
    [
      'has a signature of another text',
      async (folder) => {
        const file = join(folder, 'channel.signed')
        await writeFile(file, (await readFile(file, 'utf8')).replace('serial 1', 'serial 2'))
      },
    ],
    ['was not signed', (folder) => rm(join(folder, 'channel.signed'))],
  ])('publishes nothing that %s', async (_name, change) => {
    await using test = await rig()
    const { publisher, safe, folder } = await apart(test)
    await preparePublish(recipeOf('a'), publisher, folder)
    await sign(safe, folder)
    await change(folder)
    await failure(publishSigned(publisher, folder, false))
    expect((await test.store.list()).objects).toEqual([])
  })

  it('signs nothing in a dry run, and nothing with another key than was prepared for', async () => {
    await using test = await rig()
    await using stranger = await rig()
    const { publisher, safe, folder } = await apart(test)
    await preparePublish(recipeOf('a'), publisher, folder)
    await sign(safe, folder, true)
    expect(await failure(sign(stranger.ctx, folder))).toMatchObject({ code: 'no-signing-key', exitCode: 2 })
    expect(await readdir(folder)).not.toContain('channel.signed')
  })

  it('needs an empty folder, something new, and a key to prepare for', async () => {
    await using test = await rig()
    const { publisher, folder } = await apart(test)
    await publishRecipe(recipeOf('a'), test.ctx)
    expect(await failure(preparePublish(recipeOf('a'), publisher, folder))).toMatchObject({ code: 'nothing-new' })
    expect(await failure(preparePublish(recipeOf('b'), publisher, test.path))).toMatchObject({ exitCode: 2 })
    const error = await failure(preparePublish(recipeOf('b'), publisher, folder, { keyName: 'nobody' }))
    expect(error).toMatchObject({ code: 'no-signing-key' })
    expect(listKeys(publisher.config)).toMatchObject([{ privateFile: undefined }])
  })
})

describe('reading from an archive', () => {
  it('finds one file', async () => {
    const archive = await tarball([
      { path: 'a', executable: true },
      { path: 'a/b', content: Buffer.from('hello'), executable: false },
      { path: 'index', content: Buffer.alloc(2000, 'x'), executable: false },
    ])
    expect((await readFromTar(archive, 'a/b'))?.toString()).toBe('hello')
    expect((await readFromTar(archive, 'index'))?.length).toBe(2000)
    expect(await readFromTar(archive, 'a')).toBeUndefined()
    expect(await readFromTar(archive, 'b')).toBeUndefined()
  })
})
