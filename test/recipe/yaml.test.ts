import { describe, expect, it } from 'vitest'
import { formatUserError, UserError } from '../../src/errors.ts'
import { dumpYaml, parseYaml } from '../../src/util/yaml.ts'

const text = `# comment
name: "web"
list:
  - one
  - {k: v, 'q': [1, 22]}
block: |
  first
    second {{x}}
folded: >-
  a
  b
empty:
again: &anchor
  deep: 1
alias: *anchor
`
const document = parseYaml(text, 'f.yaml')

function at(path: readonly (string | number)[]): string {
  const { line, column } = document.locate(path)
  return `${line}:${column}`
}

describe('parseYaml', () => {
  it('gives the values', () => {
    expect(document.value).toEqual({
      name: 'web',
      list: ['one', { k: 'v', q: [1, 22] }],
      block: 'first\n  second {{x}}\n',
      folded: 'a b',
      empty: null,
      again: { deep: 1 },
      alias: { deep: 1 },
    })
  })

  it.each([
    { path: [], where: '2:1' },
    { path: ['name'], where: '2:7' },
    { path: ['list'], where: '4:3' },
    { path: ['list', 1], where: '5:5' },
    { path: ['list', 1, 'k'], where: '5:9' },
    { path: ['list', 1, 'q', 1], where: '5:21' },
    { path: ['block'], where: '7:3' },
    { path: ['empty'], where: '12:1' },
    { path: ['again', 'deep'], where: '14:9' },
    { path: ['alias'], where: '15:8' },
    { path: ['alias', 'deep'], where: '14:9' },
    { path: ['list', 1, 'absent', 'deeper'], where: '5:5' },
    { path: ['list', 7], where: '4:3' },
  ])('finds $path at $where', ({ path, where }) => {
    expect(at(path)).toBe(where)
  })

  it('finds keys', () => {
    expect(document.locateKey(['list', 1, 'q'])).toEqual({
      file: 'f.yaml',
      line: 5,
      column: 12,
      sourceLine: "  - {k: v, 'q': [1, 22]}",
    })
  })

  it('finds places inside texts', () => {
    const where = (path: string, line: number, column: number) => {
      const found = document.locateInText([path], line, column)
      return `${found.line}:${found.column}`
    }
    expect(where('block', 2, 10)).toBe('8:12')
    expect(where('name', 1, 3)).toBe('2:10')
    expect(where('folded', 1, 3)).toBe('10:3')
  })

  it.each(['', '# only a comment\n', '---\n', '\uFEFF'])('reads %j as null', (empty) => {
    expect(parseYaml(empty, 'f').value).toBeNull()
  })

  it('reads YAML 1.2 scalars', () => {
    expect(parseYaml('[yes, 0700, 2026-01-01, 0o17, ~]', 'f').value).toEqual(['yes', 700, '2026-01-01', 15, null])
  })

  it('counts lines and columns in files with CRLF', () => {
    expect(parseYaml('a: 1\r\nb: 2\r\n', 'f').locate(['b'])).toEqual({
      file: 'f',
      line: 2,
      column: 4,
      sourceLine: 'b: 2',
    })
  })
})

function failure(source: string): string {
  try {
    parseYaml(source, 'f.yaml')
  } catch (error) {
    if (error instanceof UserError) return `${error.exitCode}\n${formatUserError(error)}`
    throw error
  }
  return 'no error'
}

describe('bad YAML', () => {
  it.each([
    [
      'a duplicate key',
      'a: 1\nb: 2\na: 3\n',
      "2\nf.yaml:3:1: the key 'a' appears twice in the same mapping\n    a: 3\n    ^",
    ],
    [
      'a tab',
      'a:\n\tb: 1\n',
      '2\nf.yaml:2:1: bad YAML: tab characters must not be used in indentation\n     b: 1\n    ^\n  YAML is indented with spaces, never with tabs',
    ],
    [
      'a colon in a value',
      'run: echo a: b\n',
      "2\nf.yaml:1:12: bad YAML: bad indentation of a mapping entry\n    run: echo a: b\n               ^\n  quote a value that contains ': '",
    ],
    ['an open bracket', 'a: [1,\nb: 2', '2\nf.yaml:2:1: bad YAML: deficient indentation\n    b: 2\n    ^'],
    ['an unknown anchor', 'a: *b\n', '2\nf.yaml:1:5: bad YAML: unidentified alias "b"\n    a: *b\n        ^'],
    [
      'an alias of itself',
      'a: &x [*x]\n',
      '2\nf.yaml:1:9: an alias refers to what contains it\n    a: &x [*x]\n            ^',
    ],
    [
      'two documents',
      'a: 1\n---\nb: 1\n',
      '2\nf.yaml:1:1: bad YAML: expected a single document in the stream, but found more\n    a: 1\n    ^',
    ],
  ])('%s', (_name, source, expected) => {
    expect(failure(source)).toBe(expected)
  })
})

describe('dumpYaml', () => {
  it('writes texts as literal blocks, quotes what a YAML 1.1 reader would take for something else, folds nothing', () => {
    const long = 'word '.repeat(60).trim()
    expect(dumpYaml({ script: '#!/bin/sh\necho hi\n', mode: '0644', on: 'yes', time: '1:30', n: 5, long })).toBe(
      `script: |\n  #!/bin/sh\n  echo hi\nmode: '0644'\n'on': 'yes'\ntime: '1:30'\n'n': 5\nlong: ${long}\n`,
    )
  })

  it('writes the same object twice rather than an alias', () => {
    const shared = { a: 1 }
    expect(dumpYaml([shared, shared])).toBe('- a: 1\n- a: 1\n')
  })
})
