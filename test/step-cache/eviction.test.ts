import { describe, expect, test } from 'vitest'
import { random } from '../../bench/random.ts'
import { creditOf, planEviction, planExpiry, type Candidate } from '../../src/step-cache/eviction.ts'
import { defaultBound, leastFree, missingBytes } from '../../src/step-cache/limits.ts'

const mib = 1024 ** 2
const gib = 1024 ** 3

function state(id: string, parent: string | null, credit: number, more: Partial<Candidate> = {}): Candidate {
  return { id, key: id, parent, credit, sizeBytes: 1, createdAt: `2026-01-01T00:00:00.000Z`, ...more }
}

function evict(candidates: readonly Candidate[], maxBytes: number, pinned: readonly string[] = [], mustFreeBytes = 0) {
  return planEviction({ candidates, pinned: new Set(pinned), maxBytes, mustFreeBytes, inflation: 0 })
}

describe('planEviction', () => {
  test('does nothing below the bound', () => {
    expect(evict([state('a', null, 1), state('b', null, 2)], 2)).toEqual({ evict: [], inflation: 0, totalBytes: 2 })
  })

  test.each<[string, readonly Candidate[], number, readonly string[], readonly string[]]>([
    ['the least credit goes first', [state('a', null, 3), state('b', null, 1), state('c', null, 2)], 1, [], ['b', 'c']],
    ['equal credit: the oldest', [state('a', null, 1, { createdAt: '2026-02' }), state('b', null, 1)], 1, [], ['b']],
    ['leaves before what they build on', [state('a', null, 1), state('b', 'a', 5), state('c', null, 9)], 2, [], ['b']],
    [
      'a freed parent follows by its credit',
      [state('a', null, 1), state('b', 'a', 5), state('c', null, 9)],
      1,
      [],
      ['b', 'a'],
    ],
    ['what is in use stays', [state('a', null, 1), state('b', null, 2)], 1, ['a'], ['b']],
    ['nothing but what is in use', [state('a', null, 1), state('b', 'a', 2)], 0, ['b'], []],
    ['one large victim is enough', [state('a', null, 1, { sizeBytes: 10 }), state('b', null, 2)], 5, [], ['a']],
    [
      'a second state with the same key goes first, the older one',
      [state('a', null, 9, { key: 'k' }), state('b', null, 9, { key: 'k', createdAt: '2026-02' }), state('c', null, 1)],
      2,
      [],
      ['a'],
    ],
    ['a parent that is not there counts as none', [state('a', 'gone', 1)], 0, [], ['a']],
  ])('%s', (_, candidates, maxBytes, pinned, expected) => {
    expect(evict(candidates, maxBytes, pinned).evict).toEqual(expected)
  })

  test('frees what the disk lacks, whatever the bound says', () => {
    const candidates = [state('a', null, 1), state('b', null, 2), state('c', null, 3)]
    expect(evict(candidates, 100, [], 2).evict).toEqual(['a', 'b'])
  })

  test('credits start from that of the last victim, so that what nobody uses ages', () => {
    const old = { seconds: 100, sizeBytes: 10 * mib }
    const cheap = { seconds: 1, sizeBytes: mib }
    expect(creditOf(old, 0)).toBe(10)
    const { inflation } = evict([state('x', null, 9.5), state('old', null, creditOf(old, 0))], 1)
    expect(inflation).toBe(9.5)
    // Used just now, a cheap state stays longer than a dear one that was not used for long.
    expect(creditOf(cheap, inflation)).toBeGreaterThan(creditOf(old, 0))
  })

  test('size counts from one MiB, so that an empty state is not beyond price', () => {
    expect(creditOf({ seconds: 2, sizeBytes: 0 }, 1)).toBe(3)
  })
})

function randomFrom(seed: number): (below: number) => number {
  const next = random(seed)
  return (below) => Math.floor(next() * 2 ** 32) % below
}

function randomForest(random: (below: number) => number): readonly Candidate[] {
  return Array.from({ length: random(30) }, (_, index) =>
    state(`s${index}`, index === 0 || random(4) === 0 ? null : `s${random(index)}`, random(100), {
      key: `k${random(25)}`,
      sizeBytes: random(1000),
      createdAt: `2026-01-${10 + random(20)}`,
    }),
  )
}

function closure(candidates: readonly Candidate[], ids: ReadonlySet<string>): ReadonlySet<string> {
  const parents = new Map(candidates.map(({ id, parent }) => [id, parent]))
  const all = new Set<string>()
  for (const id of ids)
    for (let next: string | null = id; next !== null; next = parents.get(next) ?? null) all.add(next)
  return all
}

describe('for any forest, pins and bound', () => {
  test('nothing in use goes, nothing loses what it builds on, the bound holds as far as it can', () => {
    for (let seed = 1; seed <= 2000; seed += 1) {
      const random = randomFrom(seed)
      const candidates = randomForest(random)
      const pinned = new Set(candidates.filter(() => random(6) === 0).map(({ id }) => id))
      const maxBytes = random(8000)
      const mustFreeBytes = random(3) === 0 ? random(4000) : 0
      const result = planEviction({ candidates, pinned, maxBytes, mustFreeBytes, inflation: 7 })
      const inUse = closure(candidates, pinned)
      const left = new Map(candidates.map((candidate) => [candidate.id, candidate]))
      for (const id of result.evict) {
        expect(inUse.has(id), `seed ${seed}: ${id} is in use`).toBe(false)
        expect(left.delete(id), `seed ${seed}: ${id} goes twice`).toBe(true)
        // At every moment, so that an interruption leaves a forest too.
        const orphans = [...left.values()].filter(({ parent }) => parent === id)
        expect(orphans, `seed ${seed}: ${id} goes before what builds on it`).toEqual([])
      }
      const total = [...left.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      expect(result.totalBytes).toBe(total)
      const before = candidates.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      if (total > maxBytes || before - total < mustFreeBytes) {
        expect(
          [...left.keys()].filter((id) => !inUse.has(id)),
          `seed ${seed}: over the bound`,
        ).toEqual([])
      }
      const last = result.evict.at(-1)
      if (last !== undefined) {
        const size = candidates.find(({ id }) => id === last)?.sizeBytes ?? 0
        const enough = total + size <= maxBytes && before - total - size >= mustFreeBytes
        expect(enough, `seed ${seed}: ${last} went without need`).toBe(false)
      }
      expect(result.inflation).toBeGreaterThanOrEqual(7)
    }
  })
})

test('planExpiry takes what is over and what nothing else needs', () => {
  const candidates = [
    state('a', null, 0),
    state('b', 'a', 1),
    state('c', 'a', 0),
    state('d', 'c', 0),
    state('e', null, 0),
  ]
  const expired = planExpiry(candidates, new Set(['e']), ({ credit }) => credit === 0)
  expect(expired).toEqual(['d', 'c'])
})

describe('limits', () => {
  test.each([
    [1000 * gib, 20 * gib, 2 * gib],
    [50 * gib, 10 * gib, 2 * gib],
    [10 * gib, 2 * gib, gib],
  ])('of a file system of %d bytes', (totalBytes, bound, free) => {
    expect(defaultBound({ totalBytes, freeBytes: 0 })).toBe(bound)
    expect(leastFree({ totalBytes, freeBytes: 0 })).toBe(free)
    expect(missingBytes({ totalBytes, freeBytes: 0 })).toBe(free)
    expect(missingBytes({ totalBytes, freeBytes: free })).toBe(0)
  })
})
