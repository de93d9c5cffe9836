import { describe, expect, it } from 'vitest'
import { bar, formatShare, renderTable, styled, terminalStyle, type Column } from '../../src/report/table.ts'

const plain = { colour: false }
const esc = '\u001B'

describe('renderTable', () => {
  const columns: readonly Column[] = [
    { header: 'STEP', narrow: 'cut' },
    { header: 'MEDIAN', align: 'right' },
    { header: 'WHY', narrow: 'wrap' },
  ]
  const rows = [
    ['packages', '14.8 s', 'median 14.8 s reaches the threshold'],
    ['nginx-site-with-a-long-name', '0.31 s', 'quick'],
  ]

  it('aligns without borders and leaves no blank at line ends', () => {
    expect(renderTable(columns, rows, plain)).toBe(
      [
        'STEP                         MEDIAN  WHY',
        'packages                     14.8 s  median 14.8 s reaches the threshold',
        'nginx-site-with-a-long-name  0.31 s  quick',
      ].join('\n'),
    )
  })

  it('cuts and wraps what may give way to the width of the terminal', () => {
    expect(renderTable(columns, rows, { colour: false, width: 44 })).toBe(
      [
        'STEP               MEDIAN  WHY',
        'packages           14.8 s  median 14.8 s',
        '                           reaches the',
        '                           threshold',
        'nginx-site-with-…  0.31 s  quick',
      ].join('\n'),
    )
  })

  it.each([40, 50, 60, 70])('stays within %d columns', (width) => {
    for (const line of renderTable(columns, rows, { colour: false, width }).split('\n')) {
      expect(line.length).toBeLessThanOrEqual(width)
    }
  })

  it('keeps numbers whole even where the terminal is too narrow for them', () => {
    expect(renderTable(columns, rows, { colour: false, width: 5 })).toContain('14.8 s')
  })

  it('is a header alone without rows, and takes short rows', () => {
    expect(renderTable(columns, [], plain)).toBe('STEP  MEDIAN  WHY')
    expect(renderTable(columns, [['a']], plain)).toBe('STEP  MEDIAN  WHY\na')
  })

  it('has no escape codes without colour, and aligned ones with it', () => {
    const styledRows = [[{ text: 'a', style: 'red' as const }, '1', 'x']]
    expect(renderTable(columns, styledRows, plain)).toBe('STEP  MEDIAN  WHY\na          1  x')
    const coloured = renderTable(columns, styledRows, { colour: true })
    expect(coloured).toContain(`${esc}[31ma${esc}[39m`)
    expect(coloured.split('\n')[0]).toContain(`${esc}[1mSTEP${esc}[22m`)
    expect(coloured.replaceAll(/\u001B\[\d+m/g, '')).toBe('STEP  MEDIAN  WHY\na          1  x')
  })

  it('lets no host write to the terminal', () => {
    const evil = `a${esc}[2J${esc}]0;title\u0007b\r\nc\u009Bd`
    const text = renderTable([{ header: 'X' }], [[evil]], { colour: true, width: 80 })
    const cell = text.split('\n').slice(1).join('\n')
    expect(cell).not.toMatch(/[\u0000-\u001F\u007F-\u009F]/)
    expect(cell).toMatch(/^a.*b c/)
  })

  it('keeps wide characters aligned', () => {
    expect(
      renderTable(
        [{ header: 'N' }, { header: 'V' }],
        [
          ['日本', '1'],
          ['ab', '2'],
        ],
        plain,
      ),
    ).toBe('N     V\n日本  1\nab    2')
  })
})

describe('terminalStyle', () => {
  it.each([
    ['a pipe', {}, {}, { colour: false }],
    ['a terminal', { isTTY: true, columns: 100 }, {}, { colour: true, width: 100 }],
    ['NO_COLOR', { isTTY: true, columns: 100 }, { NO_COLOR: '1' }, { colour: false, width: 100 }],
    ['an empty NO_COLOR', { isTTY: true, columns: 100 }, { NO_COLOR: '' }, { colour: true, width: 100 }],
    ['a dumb terminal', { isTTY: true, columns: 100 }, { TERM: 'dumb' }, { colour: false, width: 100 }],
    ['a terminal without a size', { isTTY: true, columns: 0 }, {}, { colour: true }],
    ['a pipe with columns', { columns: 80 }, {}, { colour: false }],
  ])('for %s', (_, stream, env, expected) => {
    expect(terminalStyle(stream, env)).toEqual(expected)
  })
})

describe('bar', () => {
  it.each([
    [0, '    '],
    [0.5, '██  '],
    [1, '████'],
    [0.25 / 8, '▏   '],
    [0.3, '█▎  '],
    [7, '████'],
    [-1, '    '],
    [Number.NaN, '    '],
  ])('of %d', (share, expected) => {
    expect(bar(share, 4)).toBe(expected)
  })
})

describe('formatShare', () => {
  it.each([
    [0, '0 %'],
    [0.004, '0.4 %'],
    [0.0994, '9.9 %'],
    [0.0996, '10 %'],
    [0.434, '43 %'],
    [1, '100 %'],
  ])('of %d is %s', (share, expected) => {
    expect(formatShare(share)).toBe(expected)
  })
})

describe('styled', () => {
  it('adds codes only where colour is on', () => {
    expect(styled('x', 'green', false)).toBe('x')
    expect(styled('', 'green', true)).toBe('')
    expect(styled('x', 'green', true)).toBe(`${esc}[32mx${esc}[39m`)
  })
})
