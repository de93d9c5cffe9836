import { describe, expect, test } from 'vitest'
import type { StateEntry } from '../../src/step-cache/entry.ts'
import { chainOf, prefixes } from '../../src/step-cache/lookup.ts'
import { isThere, type CacheUser, type Here } from '../../src/step-cache/users.ts'

function entry(id: string, key: string, parent: string | null, more: Partial<StateEntry> = {}): StateEntry {
  return { id, key, parent, durable: true, bootId: 'now', createdAt: '2026-01-01', ...more } as StateEntry
}

const byId = (...entries: readonly StateEntry[]) => new Map(entries.map((each) => [each.id, each]))
const found = (entries: ReadonlyMap<string, StateEntry>, ...keys: readonly string[]) =>
  prefixes(entries, keys, 'now').map((chain) => chain.map(({ id }) => id).join(' '))

describe('prefixes', () => {
  test.each<[string, ReadonlyMap<string, StateEntry>, readonly string[], readonly string[]]>([
    ['none', byId(), ['0', '1'], []],
    ['the deepest first', byId(entry('a', '0', null), entry('b', '2', 'a')), ['0', '1', '2', '3'], ['a b', 'a']],
    ['no state of other keys', byId(entry('a', 'x', null)), ['0'], []],
    [
      'of equal ones the newest',
      byId(entry('a', '0', null), entry('b', '0', null, { createdAt: '2026-02' })),
      ['0'],
      ['b', 'a'],
    ],
    ['none without its parent', byId(entry('b', '1', 'a')), ['0', '1'], []],
    ['none whose parent is off the way', byId(entry('a', 'x', null), entry('b', '1', 'a')), ['0', '1'], []],
    ['none whose parent comes after it', byId(entry('a', '1', null), entry('b', '0', 'a')), ['0', '1'], ['a']],
    ['none that builds on itself', byId(entry('a', '0', 'b'), entry('b', '1', 'a')), ['0', '1'], []],
    ['unsynced of this boot', byId(entry('a', '0', null, { durable: false })), ['0'], ['a']],
    ['not unsynced of another boot', byId(entry('a', '0', null, { durable: false, bootId: 'then' })), ['0'], []],
    [
      'nor what builds on one',
      byId(entry('a', '0', null, { durable: false, bootId: 'then' }), entry('b', '1', 'a')),
      ['0', '1'],
      [],
    ],
    ['synced of another boot', byId(entry('a', '0', null, { bootId: 'then' })), ['0'], ['a']],
  ])('%s', (_, entries, keys, expected) => {
    expect(found(entries, ...keys)).toEqual(expected)
  })

  test('chainOf gives the lowest first', () => {
    const entries = byId(entry('a', '0', null), entry('b', '1', 'a'), entry('c', '2', 'b'))
    expect(chainOf(entries, 'c', 'now')?.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })
})

describe('isThere', () => {
  const here: Here = {
    bootId: 'now',
    pidNamespace: 'pid:[1]',
    startTime: (pid) => Promise.resolve(pid === 7 ? '100' : undefined),
  }
  const user: CacheUser = {
    ...{ v: 1, pid: 7, startTime: '100', bootId: 'now', pidNamespace: 'pid:[1]', pins: [], reserved: [] },
  }
  test.each<[string, Partial<CacheUser>, number, boolean]>([
    ['a running process', {}, 0, true],
    ['an old running process', {}, 1e12, true],
    ['one that has ended', { pid: 8 }, 0, false],
    ['another with its number', { startTime: '99' }, 0, false],
    ['one before the machine went down', { bootId: 'then' }, 0, false],
    ['one in another container, whom we cannot see', { pid: 8, pidNamespace: 'pid:[2]' }, 0, true],
    ['the same after a month', { pid: 8, pidNamespace: 'pid:[2]' }, 30 * 86_400_000, false],
  ])('%s', async (_, change, ageMs, expected) => {
    expect(await isThere({ ...user, ...change }, here, ageMs)).toBe(expected)
  })
})
