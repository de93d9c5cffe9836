import { open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { random } from '../../bench/random.ts'
import { intersectRanges, subtractRanges, totalLength, type ByteRange } from '../../src/disk/ranges.ts'
import { scanRaw } from '../../src/seal/raw-scan.ts'
import { joinResults, planScan, type SeenBytes } from '../../src/seal/seen.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'

const mebibyte = 1024 * 1024
const cluster = 128 * 1024
const old = { name: 'known before', bytes: Buffer.from('needle-of-old') }
const fresh = { name: 'new', bytes: Buffer.from('needle-of-now') }
const token = `ghp_${'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5'}`

let folder: TempDir
let disk: string
beforeEach(async () => {
  folder = await tempDir('test-seen')
  disk = join(folder.path, 'disk.raw')
  await writeFile(disk, '')
  await truncate(disk, 4 * mebibyte)
})
afterEach(() => folder[Symbol.asyncDispose]())

async function put(texts: Readonly<Record<number, string>>): Promise<void> {
  const file = await open(disk, 'r+')
  for (const [at, text] of Object.entries(texts)) await file.write(text, Number(at))
  await file.close()
}

const whole = [{ start: 0, length: 4 * mebibyte }]
/** All clusters but these are as they were. */
const seenBut = (changed: readonly number[], more: Partial<SeenBytes> = {}): SeenBytes => ({
  ranges: subtractRanges(
    whole,
    changed.map((at) => ({ start: at * cluster, length: cluster })),
  ),
  looked: (needle) => needle === old,
  secrets: [],
  ...more,
})

async function look(seen: SeenBytes | undefined, unused: readonly ByteRange[] = []) {
  const plan = planScan({ path: disk, ranges: whole, needles: [old, fresh], unused, forms: true }, seen)
  const results = await Promise.all(plan.scans.map((scan) => scanRaw(scan)))
  return { ...joinResults(results, plan), bytesSeen: plan.bytesSeen }
}

describe('a look after another', () => {
  test('searches what has changed for everything, up to both its ends and across them', async () => {
    await put({
      [3 * cluster - 5]: 'needle-of-old',
      [3 * cluster + 1000]: token,
      [4 * cluster - 5]: 'needle-of-old',
      [8 * cluster - 20]: token,
      [8 * cluster + 40]: 'x',
    })
    const { hits, secrets, bytesSeen } = await look(seenBut([3, 8]))
    expect(hits.map(({ offset }) => offset)).toEqual([3 * cluster - 5, 4 * cluster - 5])
    expect(secrets.map(({ index }) => index)).toEqual([3 * cluster + 1000, 8 * cluster - 20])
    expect(bytesSeen).toBeGreaterThan(3 * mebibyte)
  })

  test('searches the rest for new needles only', async () => {
    await put({ [10 * cluster]: 'needle-of-now', [12 * cluster]: 'needle-of-old', [14 * cluster]: token })
    const { hits, secrets } = await look(seenBut([3]))
    expect(hits).toEqual([{ needle: fresh, offset: 10 * cluster }])
    expect(secrets).toEqual([])
  })

  test('still tells of secrets that were there and allowed, for that may change', async () => {
    const match = { id: 'github-token', why: 'a token of GitHub', index: 14 * cluster }
    const changed = { id: 'github-token', why: 'a token of GitHub', index: 3 * cluster + 50 }
    await put({ [match.index]: token })
    const { secrets } = await look(seenBut([3], { secrets: [changed, match] }))
    expect(secrets).toEqual([match])
  })

  test('finds data where none may be by now, in what has not changed too', async () => {
    await put({ [10 * cluster + 512]: 'deleted' })
    const { leftovers } = await look(seenBut([3]), [{ start: 10 * cluster, length: cluster }])
    expect(leftovers).toEqual([{ start: 10 * cluster + 512, length: 512 }])
  })

  test('finds what a look at everything finds, wherever it lies', async () => {
    const next = random(7)
    for (let round = 0; round < 60; round += 1) {
      await truncate(disk, 0)
      await truncate(disk, 4 * mebibyte)
      const changed = [...new Set(Array.from({ length: 3 }, () => Math.floor(next() * 32)))].toSorted((a, b) => a - b)
      // Near the ends of what has changed, at least one byte in it.
      const places = changed.flatMap((at) => [
        at * cluster - Math.floor(next() * 13),
        (at + 1) * cluster - 1 - Math.floor(next() * 13),
      ])
      await put(Object.fromEntries(places.filter((at) => at >= 0).map((at) => [at, 'needle-of-old'])))
      const everything = await look(undefined)
      const { hits } = await look(seenBut(changed))
      const inChanged = everything.hits.filter(({ offset }) =>
        changed.some((at) => offset + 13 > at * cluster && offset < (at + 1) * cluster),
      )
      expect(hits.map(({ offset }) => offset)).toEqual(expect.arrayContaining(inChanged.map(({ offset }) => offset)))
    }
  })
})

test('what is subtracted and what is common make up the whole', () => {
  const next = random(3)
  const ranges = (): ByteRange[] => {
    let at = 0
    return Array.from({ length: Math.floor(next() * 6) }, () => {
      at += 1 + Math.floor(next() * 5)
      const range = { start: at, length: 1 + Math.floor(next() * 6) }
      at += range.length
      return range
    })
  }
  for (let round = 0; round < 500; round += 1) {
    const [first, second] = [ranges(), ranges()]
    const rest = subtractRanges(first, second)
    expect(intersectRanges(rest, second)).toEqual([])
    expect(totalLength(rest) + totalLength(intersectRanges(first, second))).toBe(totalLength(first))
    expect(totalLength(intersectRanges(rest, first))).toBe(totalLength(rest))
  }
})
