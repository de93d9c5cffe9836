import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Command } from '../../src/lint/shell/model.ts'
import { readShell } from '../../src/lint/shell/read.ts'
import { repository } from '../support/source-files.ts'

/** One line for each command: `A=1 name|argument <file`. Words are told apart by `|`; a pipe before it is `… | `. */
function show(text: string): string[] {
  return readShell(text).commands.map(showCommand)
}

function showCommand({ assignments, words, redirects, pipedIn }: Command): string {
  return [
    ...(pipedIn ? ['…'] : []),
    ...assignments.map(({ name, value }) => `${name}=${value.text}`),
    ...(words.length > 0 ? [words.map((word) => word.text).join('|')] : []),
    ...redirects.map(({ fd, operator, target }) => `${fd ?? ''}${operator}${target.text}`),
  ].join(' ')
}

describe('commands', () => {
  it.each<[string, string[]]>([
    ['', []],
    ['# only a comment', []],
    ['echo a b', ['echo|a|b']],
    ['a; b && c || d', ['a', 'b', 'c', 'd']],
    ['a | b |& c', ['a', '… b', '… c']],
    ['a |\n  b', ['a', '… b']],
    ['a \\\n  b', ['a|b']],
    ['a #b; c', ['a']],
    ['a#b', ['a#b']],
    ['A=1 B="x y" c', ['A=1 B=x y c']],
    ['A=1; b', ['A=1', 'b']],
    ['a b=1', ['a|b=1']],
    ['echo \'a # b; c\' "d | e"', ['echo|a # b; c|d | e']],
    ["it''s$'\\n'x", ['its\\nx']],
    ['echo "say \\"hi\\" for \\$5"', ['echo|say "hi" for $5']],
    ['echo "it\'s" done', ["echo|it's|done"]],
    ['a >f 2>&1 <g', ['a >f 2>&1 <g']],
    ['a >>f &>g', ['a >>f &>g']],
    ['>f', ['>f']],
    ['a 2 >f', ['a|2 >f']],
    ['if a; then b; elif c; then d; else e; fi', ['a', 'b', 'c', 'd', 'e']],
    ['while a; do b; done <f', ['a', 'b', '<f']],
    ['until ! a; do b; done', ['a', 'b']],
    ['for x in 1 "2 3"; do a "$x"; done', ['for|x|in|1|2 3', 'a|$x']],
    ['{ a; b; } >f', ['a', 'b', '>f']],
    ['(a; b) | c', ['a', 'b', '… c']],
    ['f() { a; }; f', ['a', 'f']],
    ['f ( )\n{ a\n}', ['a']],
    ['function g { a; }', ['a']],
    ['case $x in (a|b) c;; *) d ;; esac; e', ['case|$x|in', 'c', 'd', 'e']],
    ['case $x in\n  a) b\n  ;;\n  c) d; esac\ne', ['case|$x|in', 'b', 'd', 'e']],
    ['case x in esac; a', ['case|x|in', 'a']],
    ['[[ $a < b && ( -f c ) ]] && d', ['[[|$a|b|-f|c|]]', 'd']],
    ['a=(1 "2 3" $(b)); c', ['a=', 'b', 'c']],
    ['declare -a x=(1 2); c', ['declare|-a|x=', 'c']],
    ['x=$((1 + (2 * 3))); a', ['x=$((1 + (2 * 3)))', 'a']],
    ['((x++)); a', ['a']],
    ['a $(b | c "$(d)") e', ['a|$(b | c "$(d)")|e', 'b', '… c|$(d)', 'd']],
    ['a `b c` d', ['a|`b c`|d', 'b|c']],
    ['a "`b`" "$(c)"', ['a|`b`|$(c)', 'b', 'c']],
    ['a $(case x in y) b;; esac) c', ['a|$(case x in y) b;; esac)|c', 'case|x|in', 'b']],
    ['a <(b) >(c)', ['a|<(b)|>(c)', 'b', 'c']],
    ['a ${b:-$(c)} d', ['a|${b:-$(c)}|d', 'c']],
    ['a ${b%"}"} c', ['a|${b%"}"}|c']],
    ['a <<E\nb $(c) `d`\nE\ne', ['a <<E', 'c', 'd', 'e']],
    ["a <<'E'\nb $(c)\nE\ne", ['a <<E', 'e']],
    ['a <<-E | b\n\tc\n\tE\nd', ['a <<-E', '… b', 'd']],
    ['a <<E <<F\n1\nE\n2\nF\nb', ['a <<E <<F', 'b']],
    ['a <<E\nnever ends', ['a <<E']],
    ['a <<<"b c"', ['a <<<b c']],
    ['a & b & wait', ['a', 'b', 'wait']],
    ['sudo -u x a', ['sudo|-u|x|a']],
  ])('%j', (text, expected) => {
    expect(show(text)).toEqual(expected)
  })

  it('know their pipeline, depth and place', () => {
    const { commands } = readShell('a | b\nif c; then\n  d $(e)\nfi; f')
    expect(commands.map(({ depth }) => depth)).toEqual([0, 0, 1, 1, 2, 0])
    expect(commands[0]?.pipeline).toBe(commands[1]?.pipeline)
    expect(commands[2]?.pipeline).not.toBe(commands[1]?.pipeline)
    expect(commands.map(({ offset }) => offset)).toEqual([0, 4, 9, 19, 23, 30])
  })

  it('know which words are what they seem', () => {
    const { commands } = readShell('a b "c" \'$d\' $e "$f" `g` x"$(h)" \\$i "$"')
    expect(commands[0]?.words.map(({ text, literal }) => [text, literal])).toEqual([
      ['a', true],
      ['b', true],
      ['c', true],
      ['$d', true],
      ['$e', false],
      ['$f', false],
      ['`g`', false],
      ['x$(h)', false],
      ['$i', true],
      ['$', true],
    ])
  })
})

it('finds functions, expansions and what goes into the background', () => {
  const text = 'f() { :; }\nfunction g { :; }\na $b ${c:-${d}} "$e" \'$no\' \\$no $1 $? & ( h ) &\ncat <<E\n$i\nE'
  const { functions, expansions, backgrounds } = readShell(text)
  expect([...functions]).toEqual(['f', 'g'])
  expect(expansions.map(({ name }) => name)).toEqual(['b', 'c', 'd', 'e', '1', '?', 'i'])
  expect(backgrounds.map((offset) => text[offset])).toEqual(['&', '&'])
  expect(readShell('a && b >&2 2>&1 &>c |& d').backgrounds).toEqual([])
})

it('ends for whatever it gets, with places inside of the text', () => {
  const pieces = [
    '"',
    "'",
    '`',
    '$(',
    '${',
    '$((',
    ')',
    '}',
    '(',
    '((',
    '<<E',
    '\nE\n',
    '\\',
    '\n',
    ' a',
    ';;',
    'case x in',
    'esac',
    '&',
    '|',
    '>',
    '[[',
    '#',
    'f()',
    '=(',
  ]
  let seed = 42
  for (let round = 0; round < 3000; round += 1) {
    let text = ''
    for (let index = 0; index < 12; index += 1) {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      text += pieces[seed % pieces.length]
    }
    const wrong = readShell(text).commands.filter(
      ({ offset, words }) =>
        offset > text.length || words.some((word) => !text.startsWith(word.raw, word.offset) || word.raw === ''),
    )
    expect({ text, wrong }).toEqual({ text, wrong: [] })
  }
})

it('finds what our own scripts run', async () => {
  const folder = join(repository, 'bootstrap')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sh'))
  expect(names.length).toBeGreaterThan(3)
  for (const name of names) {
    const text = await readFile(join(folder, name), 'utf8')
    const { commands, functions } = readShell(`${text}\nlast`)
    // As a reader of lines finds them, in scripts that are laid out by one style. OpenRC's are in a text that is written.
    const defined = [...text.matchAll(/^ *([a-z_][a-z0-9_]*)\(\) [({]/gm)]
      .map((match) => match[1])
      .filter((found) => found !== 'depend' && found !== 'start')
    expect(new Set(functions)).toEqual(new Set(defined))
    // Whatever was opened has been closed.
    expect({ name, ...commands.at(-1) }).toMatchObject({ name, depth: 0, words: [{ text: 'last' }] })
  }
})
