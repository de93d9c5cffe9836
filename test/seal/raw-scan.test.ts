import { open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { intersectRanges, mergeRanges } from '../../src/disk/ranges.ts'
import { dataRanges } from '../../src/image/data-ranges.ts'
import { scanRaw } from '../../src/seal/raw-scan.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { testContext } from './support.ts'

const mebibyte = 1024 * 1024
let folder: TempDir
let disk: string
beforeEach(async () => {
  folder = await tempDir('test-raw')
  disk = join(folder.path, 'disk.raw')
  await writeFile(disk, '')
  await truncate(disk, 16 * mebibyte)
})
afterEach(() => folder[Symbol.asyncDispose]())

async function put(texts: Readonly<Record<number, string>>): Promise<void> {
  const file = await open(disk, 'r+')
  for (const [at, text] of Object.entries(texts)) await file.write(text, Number(at))
  await file.close()
}

const needle = { name: 'token', bytes: Buffer.from('needle-in-it') }
const whole = [{ start: 0, length: 16 * mebibyte }]

test('needles are found at every offset, also across chunks and at the very end', async () => {
  const offsets = [0, mebibyte - 5, 3 * mebibyte - 11, 16 * mebibyte - needle.bytes.length]
  await put(Object.fromEntries(offsets.map((at) => [at, 'needle-in-it'])))
  const result = await scanRaw({ path: disk, ranges: whole, needles: [needle] })
  expect(result.hits).toEqual(offsets.map((offset) => ({ needle, offset })))
  expect(result.bytesScanned).toBe(16 * mebibyte)
  expect(result.leftovers).toEqual([])
})

test('one needle is told of four times', async () => {
  await put(Object.fromEntries(Array.from({ length: 9 }, (_, index) => [index * 4096, 'needle-in-it'])))
  expect((await scanRaw({ path: disk, ranges: whole, needles: [needle] })).hits.length).toBe(4)
})

test('bytes on both sides of a hole are not one text', async () => {
  await put({ 0: 'needle-', 8192: 'in-it' })
  const ranges = [
    { start: 0, length: 7 },
    { start: 8192, length: 5 },
  ]
  expect((await scanRaw({ path: disk, ranges, needles: [needle] })).hits).toEqual([])
})

test('holes are not read', async () => {
  await put({ 4096: 'x', [9 * mebibyte]: 'needle-in-it' })
  const ranges = await dataRanges(testContext(), { path: disk, format: 'raw' })
  const result = await scanRaw({ path: disk, ranges, needles: [needle] })
  expect(result.hits).toEqual([{ needle, offset: 9 * mebibyte }])
  expect(result.bytesScanned).toBeLessThan(mebibyte)
})

test('data where none may be is told of by sectors', async () => {
  await put({ 5000: 'x', [mebibyte - 1]: 'xy', [2 * mebibyte]: 'outside' })
  const unused = [
    { start: 4096, length: 4096 },
    { start: mebibyte - 4096, length: 8192 },
  ]
  const result = await scanRaw({ path: disk, ranges: whole, needles: [], unused })
  expect(result.leftovers).toEqual([
    { start: 4608, length: 512 },
    { start: mebibyte - 512, length: 1024 },
  ])
})

test('it ends when the user asks to', async () => {
  const look = scanRaw({ path: disk, ranges: whole, needles: [needle], signal: AbortSignal.abort() })
  await expect(look).rejects.toThrow('interrupted')
})

test.each([
  [[], []],
  [
    [
      [5, 5],
      [0, 5],
    ],
    [[0, 10]],
  ],
  [
    [
      [0, 5],
      [6, 1],
    ],
    [
      [0, 5],
      [6, 1],
    ],
  ],
  [
    [
      [0, 10],
      [2, 3],
      [9, 4],
    ],
    [[0, 13]],
  ],
  [
    [
      [3, 0],
      [4, 1],
    ],
    [[4, 1]],
  ],
])('merging %j', (ranges, merged) => {
  expect(mergeRanges(ranges.map(([start = 0, length = 0]) => ({ start, length })))).toEqual(
    merged.map(([start, length]) => ({ start, length })),
  )
})

test.each([
  [
    [[0, 10]],
    [
      [2, 3],
      [8, 10],
    ],
    [
      [2, 3],
      [8, 2],
    ],
  ],
  [
    [
      [0, 2],
      [4, 2],
    ],
    [[2, 2]],
    [],
  ],
  [
    [
      [0, 5],
      [10, 5],
    ],
    [[3, 9]],
    [
      [3, 2],
      [10, 2],
    ],
  ],
  [[], [[0, 1]], []],
])('%j and %j', (a, b, common) => {
  const ranges = (list: readonly (readonly number[])[]) => list.map(([start = 0, length = 0]) => ({ start, length }))
  expect(intersectRanges(ranges(a), ranges(b))).toEqual(ranges(common))
})
