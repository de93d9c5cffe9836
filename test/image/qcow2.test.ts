import { randomBytes } from 'node:crypto'
import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dataRanges } from '../../src/image/data-ranges.ts'
import { Allocator } from '../../src/image/qcow2/allocate.ts'
import { readClusterIndex, writeClusterIndex } from '../../src/image/qcow2/cluster-index.ts'
import { compressedEntry, touchedClusters } from '../../src/image/qcow2/format.ts'
import { clusterBytes } from '../../src/image/qcow2/clusters.ts'
import { readContents } from '../../src/image/qcow2/contents.ts'
import { writeQcow2, type WriteQcow2Options } from '../../src/image/qcow2/write.ts'
import { checkImage, imageInfo } from '../../src/image/qemu-img.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { run } from '../../src/system/run.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'

const context = { reporter: silentReporter, signal: new AbortController().signal }
let folder: TempDir
beforeEach(async () => {
  folder = await tempDir('test-qcow2')
})
afterEach(() => folder[Symbol.asyncDispose]())

const at = (name: string) => join(folder.path, name)

/** A raw disk with what matters to a writer: text, random data, zeros, holes, an odd end. */
async function makeDisk(name: string, sizeBytes: number, seed = ''): Promise<string> {
  const path = at(name)
  await writeFile(path, '')
  await truncate(path, sizeBytes)
  const file = await open(path, 'r+')
  const text = Buffer.from(`${seed}${'a line that compresses well\n'.repeat(40_000)}`)
  await file.write(text, 0, text.length, 0)
  await file.write(randomBytes(3 * clusterBytes), 0, 3 * clusterBytes, 40 * clusterBytes)
  // Compressed clusters after plain ones fill the gap.
  await file.write(text, 0, 900_000, 50 * clusterBytes + 1234)
  await file.write(Buffer.alloc(clusterBytes), 0, clusterBytes, 80 * clusterBytes)
  await file.write(Buffer.from('the end'), 0, 7, sizeBytes - 7)
  await file.close()
  return path
}

async function optionsFor(source: string, target: string): Promise<WriteQcow2Options> {
  const { size } = await stat(source)
  const ranges = await dataRanges(context, { path: source, format: 'raw' })
  const contents = await readContents(source, ranges, context.signal)
  return { source, sizeBytes: size, contents, target: at(target), workFolder: folder.path, signal: context.signal }
}

/** As QEMU reads both. */
async function expectSame(image: string, raw: string): Promise<void> {
  await checkImage(image)
  const result = await run('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', image, raw], { allowFailure: true })
  expect(result.stdout.trim()).toBe('Images are identical.')
}

describe('a whole image', () => {
  test.each([20 * 1024 * 1024, 20 * 1024 * 1024 + 512, 3 * 1024 * 1024 * 1024])(
    'of %i bytes reads as the disk, and is the same each time',
    async (sizeBytes) => {
      const raw = await makeDisk('disk.raw', sizeBytes)
      const first = await writeQcow2(await optionsFor(raw, 'first.qcow2'))
      await expectSame(at('first.qcow2'), raw)
      expect(await imageInfo(at('first.qcow2'))).toMatchObject({ virtualSizeBytes: sizeBytes, compression: 'zstd' })
      expect(first.sizeBytes).toBe((await stat(at('first.qcow2'))).size)
      await writeQcow2(await optionsFor(raw, 'second.qcow2'))
      expect(await readFile(at('second.qcow2'))).toEqual(await readFile(at('first.qcow2')))
    },
  )

  test('of nothing but zeros is a few clusters', async () => {
    await writeFile(at('empty.raw'), '')
    await truncate(at('empty.raw'), 1 << 30)
    const { sizeBytes } = await writeQcow2(await optionsFor(at('empty.raw'), 'empty.qcow2'))
    await expectSame(at('empty.qcow2'), at('empty.raw'))
    expect(sizeBytes).toBeLessThanOrEqual(4 * clusterBytes)
  })

  test('that is interrupted is no qcow2 file', async () => {
    const raw = await makeDisk('disk.raw', 20 * 1024 * 1024)
    const options = { ...(await optionsFor(raw, 'image.qcow2')), signal: AbortSignal.abort() }
    await expect(writeQcow2(options)).rejects.toThrow('interrupted')
    expect((await readFile(at('image.qcow2'))).subarray(0, 4)).not.toEqual(Buffer.from('QFI\xfb', 'latin1'))
  })
})

describe('what another image holds', () => {
  test('is copied, and nothing else', async () => {
    const raw = await makeDisk('disk.raw', 20 * 1024 * 1024)
    const { index } = await writeQcow2(await optionsFor(raw, 'first.qcow2'))
    await writeClusterIndex(at('first.clusters'), index)
    const known = await readClusterIndex(at('first.clusters'))
    expect(known).toEqual(index)
    const file = await open(raw, 'r+')
    await file.write(Buffer.from('changed'), 0, 7, 100)
    await file.close()
    const references = [{ path: at('first.qcow2'), index: known ?? index }]
    const again = await writeQcow2({ ...(await optionsFor(raw, 'again.qcow2')), references })
    await expectSame(at('again.qcow2'), raw)
    expect([again.compressed, again.copied]).toEqual([1, index.clusters.length - 1])
  })

  test('is copied in great number between what is new', async () => {
    await writeFile(at('disk.raw'), randomBytes(400 * clusterBytes))
    const { index } = await writeQcow2(await optionsFor(at('disk.raw'), 'first.qcow2'))
    const file = await open(at('disk.raw'), 'r+')
    for (const guest of [0, 1, 350]) await file.write(Buffer.from('changed'), 0, 7, guest * clusterBytes)
    await file.close()
    const references = [{ path: at('first.qcow2'), index }]
    const again = await writeQcow2({ ...(await optionsFor(at('disk.raw'), 'again.qcow2')), references })
    await expectSame(at('again.qcow2'), at('disk.raw'))
    expect([again.compressed, again.copied]).toEqual([3, 397])
  })

  test('is not copied where its bytes have changed since', async () => {
    const raw = await makeDisk('disk.raw', 20 * 1024 * 1024)
    const { index } = await writeQcow2(await optionsFor(raw, 'first.qcow2'))
    const file = await open(at('first.qcow2'), 'r+')
    await file.write(Buffer.from('!'), 0, 1, index.clusters[3]?.offset)
    await file.close()
    const references = [{ path: at('first.qcow2'), index }]
    const again = await writeQcow2({ ...(await optionsFor(raw, 'again.qcow2')), references })
    await expectSame(at('again.qcow2'), raw)
    expect(again.compressed).toBeGreaterThanOrEqual(1)
  })

  test.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['of another kind', (bytes: Buffer) => Buffer.from(bytes).fill('x', 0, 8)],
  ])('an index that is %s is none', async (_, damage) => {
    const raw = await makeDisk('disk.raw', 20 * 1024 * 1024)
    const { index } = await writeQcow2(await optionsFor(raw, 'first.qcow2'))
    await writeClusterIndex(at('x.clusters'), index)
    await writeFile(at('x.clusters'), damage(await readFile(at('x.clusters'))))
    expect(await readClusterIndex(at('x.clusters'))).toBeUndefined()
    expect(await readClusterIndex(at('absent.clusters'))).toBeUndefined()
  })
})

test('a thin image holds what differs, zeros where the base has data included', async () => {
  const size = 20 * 1024 * 1024
  const base = await makeDisk('base.raw', size)
  await writeQcow2(await optionsFor(base, 'base.qcow2'))
  const raw = at('thin.raw')
  await writeFile(raw, await readFile(base))
  const file = await open(raw, 'r+')
  await file.write(Buffer.alloc(2 * clusterBytes), 0, 2 * clusterBytes, 40 * clusterBytes)
  await file.write(Buffer.from('changed'), 0, 7, 100)
  await file.close()
  const { contents } = await optionsFor(base, 'x')
  const thin = await writeQcow2({ ...(await optionsFor(raw, 'thin.qcow2')), backing: { name: 'base.qcow2', contents } })
  await expectSame(at('thin.qcow2'), raw)
  expect(thin.index.clusters.map(({ guest }) => guest)).toEqual([0])
  expect((await imageInfo(at('thin.qcow2'))).backingFile).toBe(at('base.qcow2'))
})

describe('places in the file', () => {
  test('compressed clusters share a cluster, plain ones begin one, and the gap is filled', () => {
    const places = new Allocator(65_536)
    expect([places.packed(1000), places.packed(500), places.whole(1), places.packed(2000)]).toEqual([
      65_536, 66_536, 131_072, 67_036,
    ])
    expect(places.counts()).toEqual([1, 3, 1])
  })

  test('a compressed cluster goes on into the next cluster only where that is its own', () => {
    const places = new Allocator(65_536)
    expect([places.packed(60_000), places.packed(60_000), places.whole(1), places.packed(60_000)]).toEqual([
      65_536, 125_536, 196_608, 262_144,
    ])
    expect(places.counts()).toEqual([1, 2, 1, 1, 1])
  })

  test.each([
    [65_536, 512, 1n],
    [65_536, 513, 2n],
    [66_047, 2, 2n],
  ])('at %i, %i bytes are %i sectors', (offset, length, sectors) => {
    expect((compressedEntry(offset, length, 17) >> 53n) & 0x1ffn).toBe(sectors - 1n)
    expect(touchedClusters(offset, length, 131_072)).toEqual([0, 0])
  })
})
