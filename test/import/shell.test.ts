import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { scanShell } from '../../src/import/shell/scan.ts'
import { splitScript } from '../../src/import/shell/split.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { carriedLines, importText, lostLines, scriptOf } from './support.ts'

const textsOf = (script: string) => scanShell(script)?.map(({ text }) => text)
const headingsOf = (script: string) => splitScript(script)?.parts.map(({ heading }) => heading.join(' '))

describe('commands at the top level', () => {
  test.each([
    ['a simple one on each line', 'a b\nc; d\n', ['a b', 'c; d']],
    ['comments and empty lines between them', '# x\n\na # y\n\n# z\nb', ['a # y', 'b']],
    ['continued lines', 'a \\\n  b\nc &&\n  d ||\ne\nf |\n g', ['a \\\n  b', 'c &&\n  d ||\ne', 'f |\n g']],
    ['quotes over lines', `a 'b\nc' "d\n$(e "f\ng")"\nh`, [`a 'b\nc' "d\n$(e "f\ng")"`, 'h']],
    [
      'if, loops and case',
      'if a; then\nb\nelif c; then d\nelse e\nfi\nwhile a; do\nb\ndone\ncase $x in\n a|b) c ;;\n (d) e\nesac\nf',
      undefined,
    ],
    ['functions', 'f() {\n  a\n}\nfunction g {\n b; }\nfunction h() (\n c\n)\nd', undefined],
    ['here-documents', 'cat <<A >x <<-"B" && c\n$( A\nA\n\t)\n\tB\nd', undefined],
    ['substitutions', 'a `b\nc` ${d:-"e}"} $((1 + (2)))\nf <(g\nh)', ['a `b\nc` ${d:-"e}"} $((1 + (2)))', 'f <(g\nh)']],
    [
      'tests and arithmetic of bash',
      '[[ a =~ ^(b|c)$ && d ]]\n((a += 1))\nx=(1\n 2)\nfor ((i=0;i<3;i++)); do\n a\ndone',
      undefined,
    ],
    [
      'words that only look like keywords',
      'echo if then fi\nfi=1\necho done',
      ['echo if then fi', 'fi=1', 'echo done'],
    ],
    ['subshells and groups', '(a\nb)\n{ c\nd; } >x', ['(a\nb)', '{ c\nd; } >x']],
  ])('%s', async (_, script, wanted) => {
    const found = textsOf(script)
    if (wanted !== undefined) expect(found).toEqual(wanted)
    expect(found).toBeDefined()
    // A real shell must be able to read each command by itself.
    for (const text of found ?? []) {
      const { exitCode, stderr } = await run('bash', ['-n'], { input: `${text}\n`, allowFailure: true })
      expect([text, exitCode, stderr]).toEqual([text, 0, ''])
    }
  })

  test.each([
    'if a; then\nb\n',
    "a 'b\n",
    'cat <<A\nb\n',
    'a )\n',
    'fi\n',
    'case a in b) c\n',
    '{ a\n',
    'a &&\n',
    '$(a\n',
  ])('%j is not taken apart', (script) => {
    expect(scanShell(script)).toBeUndefined()
  })
})

describe('a script is taken apart', () => {
  const sections = (first: string, second: string) => `# one\n${first}\n\n# two\n${second}\n`

  test('at comments after an empty line, and nowhere else', () => {
    expect(headingsOf('a\n# no\nb\n\nc\n\n# yes\nd\n\n#####\n# Title #\n#####\ne\n')).toEqual(['', 'yes', 'Title #'])
  })

  test.each([
    ['nothing is shared', 'touch a', 'touch b'],
    ['a plain variable is', 'X=1\nY="$X/2"\ntouch $Y', 'touch $Y'],
    ['a function is', 'f() { touch $1; }\nf a', 'f b'],
    ['an option is', 'set -e\ntouch a', 'touch b'],
    ['an exported variable is', 'export X=1\ntouch a', 'env'],
    ['a variable of another program', 'X=$(date)\ntouch $X', 'touch b'],
    ['a script that is written', 'cat >a <<E\nexport X=1\ncd /tmp\nexit 0\nE', 'touch "$X"'],
    ['what a host says again and again', 'X=$(curl -s http://169.254.169.254/id | cut -c 1)\ntouch a', 'touch $X'],
    ['a variable for one command', 'X=1 touch a', 'X=1 touch b'],
    ['a failing exit', 'test -e a || exit 1', 'touch b'],
    ['a folder that is left again', 'cd /tmp\ntouch a', 'cd /var\ntouch b'],
  ])('where %s', (_, first, second) => {
    expect(headingsOf(sections(first, second))).toEqual(['one', 'two'])
  })

  test.each([
    ['what a program said', 'X=$(date)\ntouch a', 'touch $X'],
    ['what was downloaded', 'X=$(curl -s http://169.254.169.254/id -o /a)\ntouch a', 'touch $X'],
    ['what was done on the way', 'X=$(hostname | tee /a)\ntouch a', 'touch $X'],
    ['what another variable got from a program', 'X=$(date)\nY=a$X\ntouch a', 'touch $Y'],
    ['what a function set', 'f() { X=$1; }\nf a', 'touch $X'],
    ['what a function reads of a program', 'X=$(date)\nf() { touch $X; }\ntouch a', 'f'],
    ['a loop variable', 'for x in 1 2; do touch $x; done', 'touch $x'],
    ['what was read', 'read x <a', 'touch $x'],
    ['an exported secret', 'export X=$(date)\ntouch a', 'env'],
    ['the folder', 'cd /tmp\ntouch a', 'touch b'],
    ['the folder that a function goes to', 'f() { cd /tmp; }\nf', 'touch b'],
    ['a trap', 'trap "touch x" EXIT\ntouch a', 'touch b'],
    ['the status', 'false', '[ $? = 0 ] || touch b'],
    ['what runs beside it', 'sleep 1 &\ntouch a', 'touch b'],
    ['a sourced file', '. /etc/default/x\ntouch a', 'touch b'],
    ['an end that may come', 'test -e a && exit 0', 'touch b'],
    ['a condition on a variable', 'X=1\nif true; then X=2; fi', 'touch $X'],
    ['a default', ': ${X:=1}\ntouch a', 'touch $X'],
    ['options for all that is set', 'set -a\nX=1\ntouch a', 'env'],
    ['a function of one system', 'if true; then f() { touch a; }; fi', 'f'],
    ['what stands behind a function', 'f() { touch a; }; X=$(date)', 'touch $X'],
    ['how words are told apart, by a program', 'IFS=$(date)\ntouch a', 'touch b'],
    ['a variable by its name', 'X=1\ntouch a', 'Y=X; touch ${!Y}'],
    ['the name of the script', 'touch a', 'touch $0'],
  ])('but not where the next part needs %s', (_, first, second) => {
    expect(headingsOf(sections(first, second))).toBeUndefined()
  })

  test('lines of the parts are those of the script, each once', () => {
    const script = 'X=1\n\n# one\na\n# within\nb\n\nc\n\n# two\nd $X\n# last\n'
    const parts = splitScript(script)?.parts ?? []
    expect(parts.map(({ body }) => body.trimEnd()).join('\n\n')).toBe(script.slice('X=1\n\n'.length).trimEnd())
    expect(parts.map(({ firstLine, lastLine }) => [firstLine, lastLine])).toEqual([
      [3, 9],
      [10, 13],
    ])
    expect(parts.map(({ carried }) => carried)).toEqual([[], ['X=1']])
  })

  test('a part does not get declarations that stand behind it', () => {
    const script = 'set -u\n\n# one\na\n\n# names\nX=1\n\n# two\nb $X\n\n# more names\nY="$X/y"\n\n# three\nc $Y\n'
    expect(splitScript(script)?.parts.map(({ carried, body }) => [...carried, body])).toEqual([
      ['set -u', '# one\na\n'],
      ['set -u', 'X=1', '# two\nb $X\n'],
      ['set -u', 'X=1', 'Y="$X/y"', '# three\nc $Y\n'],
    ])
  })

  test('output of the whole is told apart', () => {
    const split = splitScript('exec >/var/log/x 2>&1\n\n# one\na\n\n# two\nb\n')
    expect(split?.parts.map(({ body }) => body.includes('exec'))).toEqual([false, false])
    expect(split?.redirection?.firstLine).toBe(1)
  })
})

/** Pieces that share whatever pieces of shell can share. All that they do is append to files in `$OUT`. */
const pieces = [
  'X=1',
  'X=2',
  'Y="$X-y"',
  'Z=$(echo "z$X")',
  'export E="e$X"',
  'set -e',
  'set +e',
  'set -u',
  'set +u',
  'umask 027',
  'f() { echo "f $1 ${X-}" >>"$OUT/f"; }',
  'g() { X=g; f in-g; }',
  'h() { cd "$OUT"; }',
  'f called',
  'g',
  'h',
  'echo "x ${X-} y ${Y-} z ${Z-}" >>"$OUT/vars"',
  'env | grep ^E= >>"$OUT/env" || true',
  'pwd >>"$OUT/pwd"',
  'false',
  'test -e "$OUT/pwd" && exit 0',
  'test ! -e "$OUT/env" || exit 3',
  'for i in a b; do echo $i >>"$OUT/loop"; done',
  'echo "i ${i-}" >>"$OUT/i"',
  'cd /tmp',
  'cd /',
  'cat >>"$OUT/here" <<EOF\n$X ${Y-none} # not a comment\n\n# not a heading\nEOF',
  'if [ "${X-}" = 2 ]; then\n  Y=branch\nfi',
  'unset X',
  ': "${D:=default}"; echo "$D" >>"$OUT/d"',
  'echo "d ${D-}" >>"$OUT/d"',
  'echo $? >>"$OUT/status"',
  '(cd /usr; pwd >>"$OUT/pwd"; X=sub)',
  'case ${X-} in\n  1) W=one ;;\n  *) W=other ;;\nesac',
  'echo "w ${W-}" >>"$OUT/w"',
  'umask >>"$OUT/umask"',
  'if [ "${X-}" != 1 ]; then\n  k() { echo "k $1" >>"$OUT/k"; }\nfi',
  'command -v k >/dev/null && k called',
  'X=prefix true',
  'E=prefix sh -c \'echo "$E" >>"$OUT/prefix"\'',
  'l() { echo "l ${X-}" >>"$OUT/l"; }; l; X=after-l',
  'IFS=,',
  'for i in $(echo 1,2); do echo "$i" >>"$OUT/ifs"; done',
  'cat >"$OUT/written" <<\'EOF\'\ncd /usr\nX=written\nexit 0\nEOF',
  'trap "echo bye >>\\"$OUT/trap\\"" EXIT',
]

/** Numbers that are the same in every run. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

test('parts of random scripts do what the whole script does, in every shell', { timeout: 120_000 }, async () => {
  await using dir = await tempDir('split')
  const shells = [['dash'], ['bash', '--posix'], ['busybox', 'ash']] as const
  const next = numbers(20_261_121)
  let split = 0
  for (let round = 0; round < 160; round += 1) {
    const count = 4 + Math.floor(next() * 8)
    const script = Array.from({ length: count }, (_, index) => {
      const piece = pieces[Math.floor(next() * pieces.length)] ?? ''
      return next() < 0.4 ? `\n# part ${index}\n${piece}\n` : `${piece}\n`
    }).join('')
    const found = splitScript(script)
    if (found === undefined) continue
    split += 1
    const [shell = 'dash', ...args] = shells[split % shells.length] ?? []
    const whole = join(dir.path, `${round}-whole`)
    const apart = join(dir.path, `${round}-parts`)
    const status = await runIn(whole, shell, args, script)
    let last = 0
    for (const [index, part] of found.parts.entries()) {
      const isLast = index === found.parts.length - 1
      const end = isLast ? '' : 'true\n'
      last = await runIn(apart, shell, args, `${part.carried.join('\n')}\n${part.body}${end}`)
      if (last !== 0) break
    }
    expect([script, await contentOf(apart), last === 0]).toEqual([script, await contentOf(whole), status === 0])
  }
  expect(split).toBeGreaterThan(40)
})

async function runIn(folder: string, shell: string, args: readonly string[], script: string): Promise<number> {
  await mkdir(folder, { recursive: true })
  const file = `${folder}.sh`
  await writeFile(file, script)
  const env = { OUT: folder, PATH: process.env['PATH'] ?? '' }
  const { exitCode } = await run(shell, [...args, file], { cwd: '/', env, allowFailure: true })
  return exitCode ?? 1
}

async function contentOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(folder)).toSorted()
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
  return Object.fromEntries(names.map((name, index) => [name, (texts[index] ?? '').replaceAll(folder, 'OUT')]))
}

describe('a script of user-data', () => {
  test('without #! is one for sh, and its lines count from the first', () => {
    const imported = importText('shell', 'hostname -f\n')
    expect(scriptOf(imported, 'provision')).toMatch(/^#!\/bin\/sh\n# parbake: allow .*\ncd \/\nhostname -f\n$/)
    expect(imported.carried[0]?.at.line).toBe(1)
    expect(imported.carried[0]?.note).toContain('line 1 uses')
  })

  test('for another interpreter stays whole', () => {
    const imported = importText('shell', '#!/usr/bin/perl\n\n# one\n1;\n\n# two\n2;\n')
    expect(imported.steps.map(({ name }) => name)).toEqual(['provision'])
    expect(imported.files.map(({ path, executable }) => [path, executable])).toEqual([['scripts/provision', true]])
  })

  test('that jinja fills in is listed; one that has nothing to fill in is carried over', () => {
    expect(lostLines(importText('shell', '## template: jinja\n#!/bin/sh\necho {{ x }}\n'))).toEqual(['1 script'])
    expect(carriedLines(importText('shell', '## template: jinja\n#!/bin/sh\necho\n'))).toEqual([
      '2 script -> provision',
    ])
  })

  test('only parts that use what a host is asked for are left to the hosts', () => {
    const { steps } = importText(
      'shell',
      '#!/bin/sh\n# Variables\nID=$(hostname)\nV=1\n\n# Install\nget $V\n\n# Configure\nset-up "$ID"\n',
    )
    expect(steps.map(({ name, when, comments }) => [name, when, comments])).toEqual([
      ['install', undefined, undefined],
      ['configure', 'instance', ["Once per instance: a variable in it uses the host's name or address."]],
    ])
  })

  test('parts of one that stops at errors stop at errors', () => {
    const imported = importText('shell', '#!/bin/bash -ex\n# One\nfalse\n\n# Two\ntrue\n')
    expect(scriptOf(imported, 'one')).toMatch(/^#!\/bin\/bash -ex\ncd \/\n# One\nfalse\n\n# .*\ntrue\n$/)
  })
})
