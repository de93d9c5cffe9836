import { describe, expect, test } from 'vitest'
import { chainKeys } from '../../src/step-cache/keys.ts'
import { worthKeeping } from '../../src/step-cache/worth.ts'

describe('chainKeys', () => {
  const input = { fingerprint: { engine: 'vm', qemu: '7.2' }, baseDigest: 'b', steps: ['1', '2', '3'] }
  const keys = chainKeys(input)

  test('has one key for the booted base and one for each step, all different', () => {
    expect(keys).toHaveLength(4)
    expect(new Set(keys).size).toBe(4)
    expect(chainKeys({ ...input, steps: [] })).toEqual([keys[0]])
  })

  test('depends on the order of keys in the fingerprint as little as JSON does', () => {
    expect(chainKeys({ ...input, fingerprint: { qemu: '7.2', engine: 'vm' } })).toEqual(keys)
  })

  test.each([
    ['the last step', { steps: ['1', '2', 'x'] }, 3],
    ['the first step', { steps: ['x', '2', '3'] }, 1],
    ['the order of steps', { steps: ['2', '1', '3'] }, 1],
    ['where one step ends', { steps: ['12', '3'] }, 1],
    ['the base', { baseDigest: 'c' }, 0],
    ['a tool', { fingerprint: { engine: 'vm', qemu: '8.0' } }, 0],
  ])('%s changes the keys from there on', (_, change, same) => {
    const changed = chainKeys({ ...input, ...change })
    expect(changed.slice(0, same)).toEqual(keys.slice(0, same))
    expect(changed.slice(same).filter((key) => (keys as readonly string[]).includes(key))).toEqual([])
  })
})

describe('worthKeeping', () => {
  const mib = 1024 ** 2
  test.each([
    ['a slow step that is kept at once', { secondsSinceLast: 10, keepSeconds: 0.3, sizeBytes: 300 * mib }, true],
    ['a step that takes no time', { secondsSinceLast: 0.1, keepSeconds: 0, sizeBytes: 0 }, false],
    ['keeping that takes as long as redoing', { secondsSinceLast: 1, keepSeconds: 1, sizeBytes: 0 }, false],
    ['keeping that takes more than half of it', { secondsSinceLast: 1, keepSeconds: 0.6, sizeBytes: 0 }, false],
    ['keeping that takes less than half of it', { secondsSinceLast: 1, keepSeconds: 0.4, sizeBytes: 0 }, true],
    ['gigabytes that are written in a second', { secondsSinceLast: 1, keepSeconds: 0, sizeBytes: 3000 * mib }, false],
    ['gigabytes that took a minute', { secondsSinceLast: 60, keepSeconds: 0, sizeBytes: 3000 * mib }, true],
  ])('%s', (_, input, expected) => {
    expect(worthKeeping(input)).toBe(expected)
  })
})
