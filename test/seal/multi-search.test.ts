import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { MultiSearch } from '../../src/seal/multi-search.ts'

function searchAll(patterns: readonly string[], text: string): readonly string[] {
  const found: string[] = []
  const buffers = patterns.map((pattern) => Buffer.from(pattern, 'latin1'))
  new MultiSearch(buffers).search(Buffer.from(text, 'latin1'), (index, at) =>
    found.push(`${patterns[index] ?? ''}@${at}`),
  )
  return found.toSorted()
}

test.each([
  [['abc'], 'abc', ['abc@0']],
  [['abc'], 'xxabcabc', ['abc@2', 'abc@5']],
  [['aaa'], 'aaaaa', ['aaa@0', 'aaa@1', 'aaa@2']],
  [['abcdef', 'cde'], 'xabcdefx', ['abcdef@1', 'cde@3']],
  [['abc', 'abcd', 'abcde'], 'abcde', ['abc@0', 'abcd@0', 'abcde@0']],
  [['abcdefgh'], 'abcdefg', []],
  [['abcdefgh', 'xyz'], 'abcdefgxyz', ['xyz@7']],
  [[], 'abc', []],
  [['\0\0\0'], 'a\0\0\0b', ['\0\0\0@1']],
  [['\xff\xfe\xfd\xfc'], 'aa\xff\xfe\xfd\xfc', ['\xff\xfe\xfd\xfc@2']],
])('%j in %j', (patterns, text, found) => {
  expect(searchAll(patterns, text)).toEqual(found)
})

test('strings that are too short are refused', () => {
  expect(() => new MultiSearch([Buffer.from('ab')])).toThrow('3 bytes')
})

describe('agrees with a search for each', () => {
  test.each([2, 4, 256])('in random bytes of %i values', (values) => {
    const random = (length: number) => randomBytes(length).map((byte) => byte % values)
    const text = Buffer.from(random(20_000))
    const patterns = Array.from({ length: 40 }, (_, index) =>
      index % 2 === 0
        ? text.subarray(index * 300, index * 300 + 3 + (index % 70))
        : Buffer.from(random(3 + (index % 20))),
    )
    const expected: string[] = []
    for (const [index, pattern] of patterns.entries()) {
      for (let at = text.indexOf(pattern); at !== -1; at = text.indexOf(pattern, at + 1))
        expected.push(`${index}@${at}`)
    }
    const found: string[] = []
    new MultiSearch(patterns).search(text, (index, at) => found.push(`${index}@${at}`))
    expect(found.toSorted()).toEqual(expected.toSorted())
    expect(found.length).toBeGreaterThanOrEqual(20)
  })
})
