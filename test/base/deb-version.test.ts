import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { compareDebVersions } from '../../src/base/deb-version.ts'
import { parseInstalled } from '../../src/base/packages.ts'
import { run } from '../../src/system/run.ts'
import { findTool } from '../../src/system/tools.ts'

test.each([
  ['1.0', '1.0', 0],
  ['1.0', '1.0-0', 0],
  ['0:1.0', '1.0', 0],
  ['1.00', '1.0', 0],
  ['1.0~rc1', '1.0', -1],
  ['1.0~~', '1.0~', -1],
  ['1.0', '1.0a', -1],
  ['1.0a', '1.0+b', -1],
  ['1.9', '1.10', -1],
  ['1:0.1', '9', 1],
  ['2.36-9+deb12u9', '2.36-9+deb12u10', -1],
  ['3.0.15-1~deb12u1', '3.0.15-1', -1],
  ['1.2-3-4', '1.2-3-3', 1],
  ['20240101000000000000001', '20240101000000000000002', -1],
])('%s against %s', (a, b, expected) => {
  expect(Math.sign(compareDebVersions(a, b))).toBe(expected)
  expect(Math.sign(compareDebVersions(b, a))).toBe(expected === 0 ? 0 : -expected)
})

/** Numbers that look random and are the same at every run. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state >>> 8
  }
}

function madeUp(next: () => number): string {
  const pieces = ['0', '1', '9', '10', '01', '.', '.', '+', '~', 'a', 'b', 'rc', 'deb', 'Z']
  const part = (length: number) => Array.from({ length }, () => pieces[next() % pieces.length] ?? '').join('')
  const epoch = next() % 8 === 0 ? `${next() % 3}:` : ''
  const revision = next() % 3 === 0 ? '' : `-${part(1 + (next() % 4))}`
  return `${epoch}${next() % 10}${part(next() % 6)}${revision}`
}

const dpkg = await findTool('dpkg')

test.skipIf(dpkg === undefined)(
  'two thousand pairs compare as dpkg compares them',
  async () => {
    const source = numbers(7)
    const next = () => source.next().value
    const real = parseInstalled(await readFile('/var/lib/dpkg/status', 'utf8')).map(({ version }) => version)
    const pick = () => real[next() % real.length] ?? '1'
    const pairs = Array.from({ length: 2000 }, (_, index): [string, string] => {
      if (index % 4 === 0) return [pick(), pick()]
      const version = index % 4 === 1 ? pick() : madeUp(next)
      if (index % 4 === 3) return [version, madeUp(next)]
      // A near neighbour: one character more, less or changed. Nothing may follow a dash that ends a version.
      const at = 1 + (next() % Math.max(1, version.length - 2))
      return [
        version,
        `${version.slice(0, at)}${['', '0', '1', '~', '+', 'a', '.'][next() % 7]}${version.slice(at + (next() % 2))}`,
      ]
    })
    const script = `while read -r a b; do
    if dpkg --compare-versions "$a" lt "$b"; then echo -1
    elif dpkg --compare-versions "$a" gt "$b"; then echo 1
    else echo 0; fi
  done`
    const input = `${pairs.map((pair) => pair.join(' ')).join('\n')}\n`
    const { stdout } = await run('sh', ['-c', script], { input })
    const ours = pairs.map(([a, b]) => Math.sign(compareDebVersions(a, b)))
    const theirs = stdout.trim().split('\n').map(Number)
    const wrong = pairs.filter((_, index) => ours[index] !== theirs[index])
    expect(theirs).toHaveLength(pairs.length)
    expect(wrong).toEqual([])
    expect(new Set(theirs)).toEqual(new Set([-1, 0, 1]))
  },
  180_000,
)
