import { describe, expect, test } from 'vitest'
import type { Allowance } from '../../src/verify/explain.ts'
import type { Inventory } from '../../src/verify/inventory.ts'
import { renderVerification, verdict } from '../../src/verify/render.ts'
import { judge, type Verification } from '../../src/verify/verify.ts'
import { fileLine, inventory, secondReport } from './support.ts'

const quiet = secondReport([{ name: 'a', when: 'change', outcome: 'stamped' }])
const inapplicable = secondReport([{ name: 'a', when: 'change', outcome: 'not-applicable' }])
const restless = secondReport([{ name: 'a', when: 'change', outcome: 'ran' }])

/** A host whose identity is `id`, with more lines. */
function host(id: string, ...lines: readonly string[]): Inventory {
  return inventory(
    fileLine('/etc/machine-id', { held: id }),
    fileLine('/var/lib/cloud/data/instance-id', { held: id }),
    `identity\thostname\t${id}`,
    ...lines,
  )
}

const identityRule: Allowance[] = ['/etc/machine-id', '/var/lib/cloud/**'].map((glob) => ({
  ...{ id: 'identity', kind: 'file', glob, reason: 'belongs to one host', source: 'built-in' },
}))

function verification(
  inventories: readonly [base: Inventory, image: Inventory, again: Inventory],
  options: { readonly second?: typeof quiet; readonly allowances?: readonly Allowance[] } = {},
): Verification {
  const [base, image, again] = inventories.map((taken) => ({
    first: quiet,
    second: options.second ?? quiet,
    inventory: taken,
  }))
  const hosts = { base: base!, image: image!, again: again! }
  return {
    ...judge([...identityRule, ...(options.allowances ?? [])], hosts),
    ...{ recipe: 'web', base: 'debian-12', image: 'web-1', engine: 'container', seconds: 3 },
  }
}

const text = (result: Verification) => renderVerification(result, { colour: false })

describe('judge', () => {
  test('equal hosts that are two hosts and quiet pass', () => {
    const result = verification([host('1'), host('2'), host('3')])
    expect([result.ok, verdict(result)]).toEqual([true, undefined])
    expect(text(result)).toContain('✓ equivalence: nothing differs that is not explained')
  })

  test('a file that the bake froze fails, and is named with both sides', () => {
    const page = (held: string) => fileLine('/srv/page', { held })
    const result = verification([host('1', page('aa')), host('2', page('bb')), host('3', page('bb'))])
    expect(result.ok).toBe(false)
    expect(verdict(result)).toContain('1 difference that nothing explains')
    expect(text(result)).toContain('    /srv/page: content\n      base:  3 bytes, sha256 aa\n')
  })

  test('a file that names the host passes, for it differs between launches too', () => {
    const page = (held: string) => fileLine('/srv/page', { held })
    const result = verification([host('1', page('aa')), host('2', page('bb')), host('3', page('cc'))])
    expect(result.ok).toBe(true)
    expect(text(result)).toMatch(/1 {2}per-launch +differs between two launches/)
  })

  test('one host twice fails', () => {
    const result = verification([host('1'), host('2'), host('2')])
    expect(result.ok).toBe(false)
    expect(verdict(result)).toContain('machine-id same; hostname same; instance-id same')
  })

  test('a second converge that runs something fails', () => {
    const result = verification([host('1'), host('2'), host('3')], { second: restless })
    expect(result.ok).toBe(false)
    expect(text(result)).toContain('✗ base: step a (when: change) ran')
    expect(verification([host('1'), host('2'), host('3')], { second: inapplicable }).ok).toBe(true)
  })

  test('an allowance that explains nothing is told, and fails nothing', () => {
    const allowance: Allowance = { id: 'verify.yaml:2', kind: 'unit', glob: 'x', reason: 'r', source: 'recipe' }
    const result = verification([host('1'), host('2'), host('3')], { allowances: [allowance] })
    expect(result.ok).toBe(true)
    expect(text(result)).toContain("verify.yaml:2: 'x' explains nothing here")
  })
})

describe('renderVerification', () => {
  test('lets a folder stand for what is in it', () => {
    const lines = ['/srv/d', '/srv/d/e', '/srv/d/e/f', '/srv/g'].map((path) => fileLine(path, { type: 'd', held: '' }))
    const shown = text(verification([host('1', ...lines), host('2'), host('3')]))
    expect(shown).toContain('/srv/d: only the host from the base has it, with 2 below it')
    expect(shown).toContain('/srv/g: only the host from the base has it\n')
    expect(shown).not.toContain('/srv/d/e')
  })

  test('counts what it does not show', () => {
    const lines = Array.from({ length: 45 }, (_, index) => fileLine(`/srv/${index}`))
    expect(text(verification([host('1'), host('2', ...lines), host('3', ...lines)]))).toContain(
      'and 5 more: see --json',
    )
  })
})
