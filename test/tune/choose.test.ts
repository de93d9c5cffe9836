import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { chooseTunings, type ChooseInput } from '../../src/tune/choose.ts'
import { compareVersions, guestFacts } from '../../src/tune/facts.ts'
import { tunings, type Tuning } from '../../src/tune/tunings.ts'

const debian12 = { osId: 'debian', osVersion: '12', cloudInit: '22.4.2', initramfs: 'initramfs-tools' } as const

function tuning(name: string, rest: Partial<Tuning> = {}): Tuning {
  return {
    ...{ name, title: name, does: name, level: 'same', changes: 'a thing' },
    saved: { seconds: 0, how: '' },
    obstacle: () => undefined,
    ...rest,
  }
}

const table = [
  tuning('small'),
  tuning('picky', { obstacle: ({ osId }) => (osId === 'alpine' ? 'it is Alpine' : undefined) }),
  tuning('bold', { level: 'deeper', replaces: ['small'] }),
]

function choose(input: Omit<ChooseInput, 'facts'> & Partial<Pick<ChooseInput, 'facts'>>) {
  const { chosen, left } = chooseTunings({ facts: {}, ...input }, table)
  return {
    chosen: chosen.map(({ name }) => name),
    left: Object.fromEntries(left.map((entry) => [entry.tuning.name, entry.why])),
  }
}

describe('choosing tunings', () => {
  it.each([
    ['nothing where it is switched off', { allow: 'none' }, []],
    ['what changes nothing', { allow: 'same' }, ['small', 'picky']],
    ['what does more in place of what it replaces', { allow: 'deeper' }, ['picky', 'bold']],
    ['only what is named', { allow: 'deeper', include: ['small'] }, ['small']],
    ['not what is excepted, which then replaces nothing', { allow: 'deeper', exclude: ['bold'] }, ['small', 'picky']],
    ['nothing deeper by name alone', { allow: 'same', include: ['bold'] }, []],
    ['not what does not fit', { allow: 'same', facts: { osId: 'alpine' } }, ['small']],
  ] as const)('takes %s', (_, input, expected) => {
    expect(choose(input).chosen).toEqual(expected)
  })

  it('says why for each that is left', () => {
    expect(choose({ allow: 'same', exclude: ['small'], facts: { osId: 'alpine' } }).left).toEqual({
      small: 'excluded by tune.except',
      picky: 'it is Alpine',
      bold: 'changes behaviour: a thing',
    })
    expect(choose({ allow: 'deeper' }).left).toEqual({ small: 'bold does more' })
    expect(choose({ allow: 'same', include: [] }).left['small']).toBe('not among tune.only')
    expect(choose({ allow: 'none' }).left['bold']).toBe('tuning is switched off')
  })
})

describe('the table', () => {
  const script = readFileSync(new URL('../../bootstrap/tune.sh', import.meta.url), 'utf8')
  // What makes a base ready is asked for when one is built, and is no tuning of images.
  const functions = [...script.matchAll(/^tune_([a-z0-9_]+)\(\)/gm)]
    .map((match) => (match[1] ?? '').replaceAll('_', '-'))
    .filter((name) => name !== 'initrd-ready')

  it('and the script know the same tunings, in the same order', () => {
    expect(tunings.map(({ name }) => name)).toEqual(functions)
  })

  it('replaces only what exists', () => {
    const names = new Set(functions)
    expect(tunings.flatMap(({ replaces }) => replaces ?? []).filter((name) => !names.has(name))).toEqual([])
  })

  it('lets Debian 12 have all that change nothing', () => {
    const { chosen } = chooseTunings({ allow: 'same', facts: debian12 })
    expect(chosen.map(({ name }) => name)).toEqual([
      'cloud-init-fork',
      'ssh-rsa-ahead',
      'growpart-ask',
      'cpu-share',
      'initrd-trim',
    ])
  })

  it.each([
    ['24.2', undefined],
    ['24.3', 'cloud-init 24.3 runs all stages in one process by itself'],
    ['25.1.4', 'cloud-init 25.1.4 runs all stages in one process by itself'],
  ])('loads cloud-init %s once where it does not do so itself', (cloudInit, why) => {
    const { left } = chooseTunings({ allow: 'same', facts: { ...debian12, cloudInit } })
    expect(left.find((entry) => entry.tuning.name === 'cloud-init-fork')?.why).toBe(why)
  })

  it('leaves to the script what is unknown', () => {
    expect(chooseTunings({ allow: 'same', facts: {} }).chosen).toHaveLength(5)
  })
})

describe('the facts of a guest', () => {
  it('come from os-release and what dpkg calls installed', () => {
    const status = [
      'Package: cloud-init\nStatus: install ok installed\nVersion: 22.4.2-1+deb12u3',
      'Package: initramfs-tools\nStatus: install ok installed\nVersion: 0.142+deb12u3',
      'Package: dracut\nStatus: deinstall ok config-files\nVersion: 059-4',
    ].join('\n\n')
    expect(guestFacts('ID=debian\nVERSION_ID="12"\n', `${status}\n`)).toEqual(debian12)
  })

  it('leave out what is not there', () => {
    expect(guestFacts('', '')).toEqual({})
  })

  it.each([
    ['24.3', '24.3', 0],
    ['24.10', '24.3', 1],
    ['22.4.2', '24.3', -1],
    ['24.3.1', '24.3', 1],
  ])('compare %s with %s as numbers', (a, b, sign) => {
    expect(Math.sign(compareVersions(a, b))).toBe(sign)
  })
})
