import { generateKeyPairSync } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keepLook, lastLook } from '../../src/bake/last-look.ts'
import type { BakeJob } from '../../src/bake/engine.ts'
import type { SigningKey } from '../../src/bundle/channel.ts'
import type { Context } from '../../src/context.ts'
import { dataRanges } from '../../src/image/data-ranges.ts'
import { readContents } from '../../src/image/qcow2/contents.ts'
import { sealCheck } from '../../src/seal/check.ts'
import { lookBeside, seenBytes, writeLook } from '../../src/seal/look-record.ts'
import { sealNeedles } from '../../src/seal/needles.ts'
import { run } from '../../src/system/run.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { busyboxTree, isRoot, testContext } from '../seal/support.ts'

const password = 'correct-horse-7-battery'
const token = `ghp_${'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5'}`
const key = (): SigningKey => ({ privateKey: generateKeyPairSync('ed25519').privateKey, publicKey: '' })
const signingKey = key()
const needles = sealNeedles({ credentials: { store: password } })
const job = { recipeName: 'web', base: { name: 'b', digest: 'f'.repeat(64), path: '' } } as BakeJob

describe.runIf(isRoot)('the look at the last image', () => {
  let folder: TempDir
  let context: Context
  let disk: string

  beforeAll(async () => {
    folder = await tempDir('test-last-look')
    context = { ...testContext(), config: { cacheDir: join(folder.path, 'cache') } as Context['config'] }
    disk = join(folder.path, 'disk.raw')
    const tree = join(folder.path, 'tree')
    await busyboxTree(tree)
    await mkdir(join(tree, 'opt'))
    await writeFile(join(tree, 'opt/settings'), 'colour=green\n'.repeat(1000))
    await run('truncate', ['-s', '64M', disk])
    await run('sfdisk', ['-q', disk], { input: 'label: dos\nstart=2048, type=83\n' })
    await run('mke2fs', ['-q', '-t', 'ext4', '-d', tree, '-E', `offset=${1024 * 1024}`, disk, '60M'])
    const report = await look()
    await keepLook(context, job, signingKey, { contents: await contents(), needles, report })
  }, 120_000)
  afterAll(() => folder[Symbol.asyncDispose]())

  const ranges = () => dataRanges(context, { path: disk, format: 'raw' })
  const contents = async () => readContents(disk, await ranges(), context.signal)
  const look = async () =>
    sealCheck(context, {
      disk: { path: disk, format: 'raw' },
      secrets: needles,
      seen: await lastLook(context, job, signingKey, await contents()),
      workFolder: folder.path,
    })

  test('saves the next one what has not changed', async () => {
    const { bytesLooked, bytesSeen, findings } = await look()
    expect(findings).toEqual([])
    expect(bytesSeen).toBeGreaterThan(bytesLooked / 2)
  })

  test('is of no use for what is looked for now and was not then', async () => {
    const seen = await lastLook(context, job, signingKey, await contents())
    const others = sealNeedles({ credentials: { store: 'another-password-8' } })
    expect(needles.map((needle) => seen?.looked(needle))).not.toContain(false)
    expect(others.map((needle) => seen?.looked(needle))).not.toContain(true)
  })

  test('tells nobody what was looked for who has not the signing key', async () => {
    const [name = ''] = (await readdir(join(folder.path, 'cache/images'))).filter((each) => each.endsWith('.seen.json'))
    const path = join(folder.path, 'cache/images', name)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readFile(path, 'utf8')).not.toContain(password)
    const stranger = await lastLook(context, job, key(), await contents())
    expect(needles.map((needle) => stranger?.looked(needle))).not.toContain(true)
  })

  test('is that at the base where there is no image yet, and needles are looked for everywhere', async () => {
    const base = { ...job.base, path: join(folder.path, 'base.qcow2') }
    const first = { ...job, recipeName: 'first', base }
    expect(await lastLook(context, first, signingKey, await contents())).toBeUndefined()
    const secret = {
      id: 'private-key',
      why: 'a private key',
      index: ((await contents())[2]?.guest ?? 0) * 128 * 1024 + 9,
    }
    await writeLook(lookBeside(base.path), { contents: await contents(), secrets: [secret] })
    const seen = await lastLook(context, first, signingKey, await contents())
    expect(seen?.ranges.length).toBeGreaterThan(0)
    expect(seen?.secrets).toContainEqual(secret)
    expect(needles.map((needle) => seen?.looked(needle))).not.toContain(true)
  })

  test('hides nothing that has come since', async () => {
    // A recipe's next version left a password in one file and a token in another.
    for (const [file, text] of [
      ['settings-2', `password=${password}\n`],
      ['settings-3', `colour=${token}\n`],
    ] as const) {
      await writeFile(join(folder.path, file), text)
      const place = `${disk}?offset=${1024 * 1024}`
      await run('debugfs', ['-w', '-R', `write ${join(folder.path, file)} /opt/${file}`, place])
    }
    const { findings, bytesSeen } = await look()
    expect(bytesSeen).toBeGreaterThan(0)
    expect(findings.map(({ id, where }) => `${id}: ${where.replace(/^byte \d+ of the disk, /, '')}`)).toEqual(
      expect.arrayContaining(['needle: in /opt/settings-2', 'github-token: /opt/settings-3:1']),
    )
  })

  test('that is damaged or of other rules is none', async () => {
    const path = join(folder.path, 'cache/images', `last-web-${'f'.repeat(16)}.seen.json`)
    const text = await readFile(path, 'utf8')
    const damages = ['', text.slice(0, -1), text.replace(/"rules":"./, '"rules":"-'), '{"v":1}']
    for (const damaged of damages) {
      await writeFile(path, damaged)
      expect(await lastLook(context, job, signingKey, await contents())).toBeUndefined()
    }
    await writeFile(path, text)
    expect(await lastLook(context, job, signingKey, await contents())).toBeDefined()
    expect(await lastLook(context, { ...job, recipeName: 'other' }, signingKey, [])).toBeUndefined()
  })
})

describe('which bytes an earlier look has seen', () => {
  const size = 128 * 1024
  const disk = (text: string) =>
    text.split('').flatMap((content, guest) => (content === '.' ? [] : [{ guest, content }]))
  const look = (text: string, secrets: readonly number[] = []) => ({
    contents: disk(text).map(({ guest, content }): [number, string] => [
      guest,
      Buffer.from(content, 'latin1').toString('base64'),
    ]),
    secrets: secrets.map((index) => ({ id: 'x', why: 'y', index })),
  })

  test.each<[string, string, string, (readonly [number, number])[]]>([
    [
      'all where nothing has changed',
      'abc.de',
      'abc.de',
      [
        [0, 3],
        [4, 2],
      ],
    ],
    [
      'what is around a change',
      'abcde',
      'abXde',
      [
        [0, 2],
        [3, 2],
      ],
    ],
    ['what has moved', 'abc', '..abc', [[2, 3]]],
    [
      'two runs where a border is new',
      'ab.cd',
      'abcd',
      [
        [0, 2],
        [2, 2],
      ],
    ],
    [
      'two runs where the order is another',
      'abc',
      'bca',
      [
        [0, 2],
        [2, 1],
      ],
    ],
    [
      'each of equal ones',
      'ab.ac',
      'abac',
      [
        [0, 2],
        [2, 2],
      ],
    ],
    ['none of a disk without anything in common', 'abc', 'xyz', []],
  ])('%s: %s, then %s', (_, before, now, runs) => {
    expect(seenBytes(look(before), disk(now)).ranges).toEqual(
      runs.map(([start, length]) => ({ start: start * size, length: length * size })),
    )
  })

  test('secrets move with them, and are in every copy', () => {
    const { secrets } = seenBytes(look('abc', [size + 5, 2 * size + 7]), disk('.bxb'))
    expect(secrets.map(({ index }) => index)).toEqual([size + 5, 3 * size + 5])
  })
})
