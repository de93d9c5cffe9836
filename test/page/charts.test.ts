import { describe, expect, test } from 'vitest'
import { barsChart } from '../../src/page/charts/bars.ts'
import { historyChart, placeLabels } from '../../src/page/charts/history.ts'
import { rangesChart, rangesEnd } from '../../src/page/charts/ranges.ts'
import { sharesChart } from '../../src/page/charts/shares.ts'
import { shorten } from '../../src/page/charts/shorten.ts'
import { waterfallChart, waterfallRows } from '../../src/page/charts/spans.ts'
import type { Waterfall, WaterfallSpan } from '../../src/profile/waterfall.ts'

/** Spans of these lengths one after the other. */
function waterfall(lengths: readonly (readonly [WaterfallSpan['category'], string, number])[]): Waterfall {
  let clock = 0
  const spans = lengths.map(([category, name, seconds]) => {
    const start = clock
    clock += seconds
    return { category, name, start, end: clock }
  })
  return { run: 'r', host: 'h', image: '', startedAt: 0, launchToReady: clock, spans }
}

/** Left edge and width of every bar in the wide drawing. */
function barsOf(svg: string): { x: number; width: number }[] {
  const wide = svg.slice(0, svg.indexOf('</svg>'))
  return [...wide.matchAll(/<rect [^>]*>/g)].map(([tag]) => ({
    x: Number(/ x="([\d.]+)"/.exec(tag)?.[1]),
    width: Number(/ width="([\d.]+)"/.exec(tag)?.[1]),
  }))
}

describe('waterfallRows', () => {
  const boot = waterfall([
    ['kernel', 'kernel', 10],
    ['cloud-init', 'a', 0.5],
    ['cloud-init', 'b', 0.5],
    ['cloud-init', 'c', 20],
    ['cloud-init', 'd', 0.5],
    ['agent', 'agent', 0.1],
    ['step', 'tiny', 0.01],
    ['step', 'big', 68.39],
  ])

  test('puts short neighbours of one category together, and nothing else', () => {
    expect(waterfallRows(boot, 100).map(({ label, count }) => [label, count])).toEqual([
      ['kernel', 1],
      ['cloud-init: 2 short parts', 2],
      ['c', 1],
      ['d', 1],
      ['tiny', 1],
      ['big', 1],
    ])
  })

  test('keeps every stretch where none is short', () => {
    expect(waterfallRows(boot, 0.01)).toHaveLength(boot.spans.length)
  })
})

describe('charts', () => {
  test('draw bars in proportion, on one scale for two boots', () => {
    const long = waterfall([
      ['kernel', 'k', 25],
      ['step', 's', 75],
    ])
    const short = waterfall([['step', 's', 50]])
    const [kernel, step] = barsOf(waterfallChart(long, 100, 'long').text)
    const [half] = barsOf(waterfallChart(short, 100, 'short').text)
    expect((step?.width ?? 0) / (kernel?.width ?? 1)).toBeCloseTo(3, 2)
    expect((half?.width ?? 0) / (kernel?.width ?? 1)).toBeCloseTo(2, 2)
    expect(step?.x).toBeCloseTo((kernel?.x ?? 0) + (kernel?.width ?? 0), 1)
    expect(half?.x).toBe(kernel?.x)
    expect(waterfallChart(short, 100, 'short').text).toContain('seconds since the kernel began')
    expect(waterfallChart(waterfall([['firmware', 'f', 1]]), 1, 'all').text).toContain('seconds since power-on')
  })

  test('draw the parts of a mean one after the other', () => {
    const parts = [
      { category: 'kernel', seconds: 3, share: 0.3 },
      { category: 'step', step: 's', seconds: 7, share: 0.7 },
    ] as const
    const time = { count: 1, fromPowerOn: true, mean: 10, parts }
    const [kernel, step] = barsOf(sharesChart([{ label: 'now', time }], 'shares').text)
    expect((step?.width ?? 0) / (kernel?.width ?? 1)).toBeCloseTo(7 / 3, 2)
    expect(step?.x).toBeCloseTo((kernel?.x ?? 0) + (kernel?.width ?? 0), 1)
  })

  const evil = '<script>alert(1)</script>"\'&amp;\u202E'
  const spread = { count: 1, few: true, median: 2, p95: 3, min: 1, max: 4, mean: 2, stddev: 0 }
  const day = { day: '2026-01-01', image: evil, bundle: '', launches: 1, failed: 0, ready: spread }
  const change = { kind: 'image', day: '2026-01-01', name: evil } as const
  const bar = { label: evil, total: evil, pieces: [{ name: evil, colour: 'image', value: 1 }] }
  test.each([
    ['waterfall', waterfallChart(waterfall([['step', evil, 9]]), 9, evil)],
    ['ranges', rangesChart([{ label: evil, colour: 'image', ...spread }], evil)],
    ['bars', barsChart([bar], evil, { axis: 's', format: String })],
    ['history', historyChart([day], [change], evil)],
  ])('%s: draws foreign text as text, without style and handlers, in two sizes', (_, { text }) => {
    expect(text).not.toContain('<script')
    expect(text).not.toContain('\u202E')
    expect(text).not.toMatch(/<style| style=| on[a-z]+=|NaN|undefined/)
    expect(text.match(/<svg role="img" aria-label="&lt;script&gt;alert\(1\)/g)).toHaveLength(2)
    expect(text).toContain('&lt;script&gt;')
  })

  test('a single day and no change make a history too', () => {
    expect(historyChart([day], [], 'one').text.match(/<circle/g)).toHaveLength(2)
  })
})

describe('placeLabels', () => {
  const days = ['2026-01-01', '2026-03-31'].map((day) => ({ day, image: '', bundle: '', launches: 1, failed: 0 }))
  const change = (day: string, name: string) => ({ kind: 'image' as const, day, name })

  test('leaves to the table what would lie over another', () => {
    const events = ['a', 'b', 'c', 'd'].map((letter) => change('2026-01-10', letter.repeat(20)))
    expect(placeLabels(events, days).map(({ line, anchor }) => [line, anchor])).toEqual([
      [0, 'start'],
      [1, 'start'],
      [2, 'start'],
    ])
  })

  test('uses one line again where there is room, and turns round at the right edge', () => {
    const events = [change('2026-01-01', 'one'), change('2026-02-10', 'two'), change('2026-03-31', 'three')]
    expect(placeLabels(events, days).map(({ line, anchor }) => [line, anchor])).toEqual([
      [0, 'start'],
      [0, 'start'],
      [0, 'end'],
    ])
    expect(placeLabels([change('2026-01-01', 'x')], [])).toHaveLength(1)
  })
})

test('rangesEnd keeps one host that hung from squeezing the others', () => {
  const range = (p95: number, max: number) => ({ label: '', colour: 'image' as const, min: 1, median: 2, p95, max })
  expect(rangesEnd([range(10, 12), range(8, 9)])).toBe(12)
  expect(rangesEnd([range(10, 12), range(8, 1000)])).toBe(15)
})

test('shorten counts characters as people do', () => {
  expect(shorten('abc', 3)).toBe('abc')
  expect(shorten('abcd', 3)).toBe('ab…')
  expect(shorten('👩‍🚀👩‍🚀👩‍🚀', 2)).toBe('👩‍🚀…')
  expect(shorten('a\nb', 9)).toBe('a b')
})
