import { describe, expect, it } from 'vitest'
import { renderTraces, renderWaterfall, shownSpans } from '../../src/profile/waterfall-render.ts'
import { waterfallOf, type Waterfall, type WaterfallSpan } from '../../src/profile/waterfall.ts'
import { realBoot, stepReport } from './support.ts'

const span = (name: string, category: WaterfallSpan['category'], start: number, end: number): WaterfallSpan => ({
  name,
  category,
  start,
  end,
})

const made = (spans: readonly WaterfallSpan[]): Waterfall => ({
  run: 'r',
  host: 'h',
  image: '',
  startedAt: 0,
  launchToReady: spans.at(-1)?.end ?? 0,
  spans,
})

const simple = made([
  span('firmware and boot loader', 'firmware', 0, 10),
  span('before x', 'gap', 10, 30),
  { ...span('install', 'step', 30, 100), detail: 'cpu 3 s' },
])

const real = realBoot()

describe('renderWaterfall', () => {
  it('draws bars on one time line', () => {
    expect(renderWaterfall(simple, { colour: false })).toBe(
      [
        'START  SECONDS  WHAT                      WHEN                                      WHY',
        ' 0.00    10.00  firmware and boot loader  ████',
        '10.00    20.00  (before x)                    ████████',
        '30.00    70.00  install                               ████████████████████████████  cpu 3 s',
        '',
        'firmware 10.0 s (10 %), gaps 20.0 s (20 %), step 70.0 s (70 %)',
      ].join('\n'),
    )
  })

  it.each([40, 60, 80, 119, 120, 200])('fits into %i columns', (width) => {
    const text = renderWaterfall(waterfallOf(real.report, real.launch), { colour: false, width })
    expect(text.split('\n').filter((line) => line.length > width)).toEqual([])
    expect(text).toContain('packages')
  })

  it('colours by category', () => {
    expect(renderWaterfall(simple, { colour: true })).toContain('\u001b[32m')
    expect(renderWaterfall(simple, { colour: false })).not.toContain('\u001b')
  })
})

describe('shownSpans', () => {
  it('takes small neighbours of one category together, and loses no time', () => {
    const all = waterfallOf(real.report, real.launch)
    const shown = shownSpans(all)
    expect(shown.length).toBeLessThan(all.spans.length * 0.7)
    expect(shown[0]?.start).toBe(0)
    for (const [index, each] of shown.entries()) expect(each.end).toBe(shown[index + 1]?.start ?? all.launchToReady)
    // What is long keeps its own line and its own name.
    for (const each of all.spans.filter((one) => one.end - one.start > all.launchToReady * 0.01)) {
      expect(shown).toContainEqual(each)
    }
  })

  it('names the first and counts the others', () => {
    const spans = [
      span('a', 'cloud-init', 0, 0.1),
      span('b', 'cloud-init', 0.1, 0.2),
      span('a', 'cloud-init', 0.2, 0.3),
      span('install', 'step', 0.3, 100),
    ]
    expect(shownSpans(made(spans)).map(({ name }) => name)).toEqual(['a and 1 more', 'install'])
  })
})

describe('renderTraces', () => {
  it('lists the slowest commands of traced steps', () => {
    const trace = [
      { line: 12, command: 'make all', seconds: 3.2 },
      { line: 4, command: 'curl ***', seconds: 0.5 },
    ]
    expect(renderTraces([stepReport('plain', 1), stepReport('build', 4, { trace })], { colour: false })).toBe(
      ['slowest commands of build', 'LINE    TOOK  COMMAND', '  12  3.20 s  make all', '   4  0.50 s  curl ***'].join(
        '\n',
      ),
    )
    expect(renderTraces([stepReport('plain', 1)])).toBe('')
  })
})
