import { describe, expect, it } from 'vitest'
import { fleetOf } from '../../src/profile/load.ts'
import { renderFleet, renderGroups, renderWarm } from '../../src/profile/render-fleet.ts'
import { historyStep, renderHistory } from '../../src/profile/render-history.ts'
import { renderProfile } from '../../src/profile/render.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import { digestOf, recipe, report, step, stepReport } from './support.ts'

const plain = { colour: false }
const web = recipe([step('packages'), step('site')])
const day = (number: number) => Date.UTC(2026, 10, number, 12) / 1000
const old = { digest: digestOf('packages of old') }

/** Two versions of the recipe, an image, two regions, one straggler, one failure, converges by cron. */
const reports = [
  ...[2, 3, 4, 5].map((number) =>
    report([stepReport('packages', 20 + number, old), stepReport('site', 0.5)], {
      startedAt: day(number),
      readyUptime: 60 + number,
      region: number % 2 === 0 ? 'eu' : 'us',
      bundle: digestOf('first'),
      run: `old-${number}`,
    }),
  ),
  ...Array.from({ length: 13 }, (_, index) =>
    report([stepReport('packages', index === 12 ? 90 : 10 + index / 10), stepReport('site', 0.5)], {
      startedAt: day(9 + (index % 3)),
      readyUptime: index === 12 ? 130 : 50 + index / 10,
      region: 'eu',
      bundle: digestOf('second'),
      image: index % 3 === 2 ? 'web-1' : '',
      run: `run-${index}`,
      host: `host-${index}`,
    }),
  ),
  report([stepReport('packages', 3, { outcome: 'failed', exit: 1 })], {
    startedAt: day(11),
    outcome: 'failed',
    bundle: digestOf('second'),
    region: 'us',
    image: 'web-1',
  }),
  report([stepReport('packages', 2)], { startedAt: day(11), cold: false, trigger: 'cron' }),
]
const fleet = fleetOf(reports, web)

describe('renderFleet', () => {
  it('shows changes, the rate of launches and outliers', () => {
    expect(renderFleet(fleet, plain)).toBe(`CHANGED STEP  SINCE       BEFORE   AFTER  CHANGE  DIGEST
packages      2026-11-09  23.5 s  10.6 s   -55 %  ${digestOf('packages').slice(0, 8)}

launches: 1.8 a day over 10 days, 2.1 in the last week
outliers: 1 launch took more than 96.8 s, slowest 2 min 10 s in run run-12 on host-12
outliers: 1 run of packages took more than 16.4 s, slowest 90.0 s in run run-12 on host-12
`)
  })

  it('is nothing where there is nothing to say', () => {
    expect(renderFleet(fleetOf(reports.slice(0, 1), web), plain)).toBe('')
  })
})

describe('renderGroups', () => {
  it('tells regions apart', () => {
    expect(renderGroups(fleet, 'region', {}, plain)).toBe(`web: launch-to-ready of 18 cold boots

REGION  COUNT  MEDIAN     P95   SPREAD                    FAILED
eu         15  50.7 s  83.8 s  ±20.5 s  ████████████▋          -
us         2*  64.0 s  64.9 s  ±1.41 s  ████████████████       1

cold runs of steps

STEP      REGION  COUNT  MEDIAN     P95   SPREAD
packages  eu         13  10.6 s  42.7 s  ±22.0 s  ████████████████
site      eu         15  0.50 s  0.50 s  ±0.00 s  ████████████████
          us         2*  0.50 s  0.50 s  ±0.00 s  ████████████████

* fewer than 3 samples: take the figure as a hint
`)
  })

  it('tells images apart, also for warm runs', () => {
    const text = renderGroups(fleet, 'image', { warm: true }, plain)
    expect(text).toMatch(/^plain base +13 /m)
    expect(text).toMatch(/^web-1 +4 /m)
    expect(text).toMatch(/^warm runs of steps$/m)
    expect(text).toMatch(/^packages +plain base +1\* +2\.00 s/m)
  })

  it('shows the latest steps where the recipe has others', () => {
    const text = renderGroups(fleetOf(reports, recipe([step('new')])), 'region', {}, plain)
    expect(text).toMatch(/^packages +eu +13 /m)
  })
})

describe('renderWarm', () => {
  it('sets warm beside cold', () => {
    expect(renderWarm(fleet, plain)).toBe(`web: 1 converges of live hosts (0 failed)

STEP      WARM  MEDIAN     P95  COLD MEDIAN  WARM/COLD     CPU  RECEIVED  FAILED
packages    1*  2.00 s  2.00 s       10.6 s       0.19  1.00 s     100 B       -

* fewer than 3 samples: take the figure as a hint
`)
  })

  it('says that there is none', () => {
    expect(renderWarm(fleetOf(reports.slice(0, 3), web), plain)).toBe('web: 0 converges of live hosts (0 failed)\n')
  })
})

describe('renderHistory', () => {
  it('marks what changed, by day', () => {
    expect(renderHistory(fleet, 'day', plain)).toBe(`web: 18 cold boots in 10 days (1 failed)

DAY         BOOTS  FAILED  MEDIAN      P95                        CHANGED
2026-11-02     1*       -  62.0 s   62.0 s  ███████████████████▏
2026-11-03     1*       -  63.0 s   63.0 s  ███████████████████▍
2026-11-04     1*       -  64.0 s   64.0 s  ███████████████████▊
2026-11-05     1*       -  65.0 s   65.0 s  ████████████████████
2026-11-09      5       -  50.6 s  114.2 s  ███████████████▋      recipe ${digestOf('second').slice(0, 8)}
2026-11-10      4       -  50.5 s   51.0 s  ███████████████▌
2026-11-11      5       1  50.6 s   51.1 s  ███████████████▋      image web-1

* fewer than 3 samples: take the figure as a hint
`)
  })

  it('by week', () => {
    const text = renderHistory(fleet, 'week', plain)
    expect(text).toMatch(/^2026-11-02 +4 +- +63\.5 s/m)
    expect(text).toMatch(/^2026-11-09 +14 +1 +50\.6 s .* recipe [0-9a-f]{8}, image web-1$/m)
  })

  it('takes weeks where there are many days', () => {
    expect(historyStep(fleet)).toBe('day')
    const later = report([stepReport('site', 1)], { startedAt: day(2) + 40 * 86_400 })
    expect(historyStep(fleetOf([...reports, later], web))).toBe('week')
  })

  it('is one line without boots', () => {
    expect(renderHistory(fleetOf([], web), 'day', plain)).toBe('web: 0 cold boots in 0 days (0 failed)\n')
  })
})

describe('terminals', () => {
  const texts = (style: { readonly colour: boolean; readonly width?: number }) => [
    renderProfile(profileOf(reports, web), style).split('failed: run')[0] ?? '',
    renderGroups(fleet, 'region', {}, style),
    renderGroups(fleet, 'instanceType', {}, style),
    renderWarm(fleet, style),
    renderHistory(fleet, 'day', style),
    (renderFleet(fleet, style).split('\n\n')[0] ?? '').concat('\n'),
  ]

  it.each([50, 60, 80, 100])('of %i columns are not overrun by tables, and show the medians', (width) => {
    for (const text of texts({ colour: false, width })) {
      const wide = text.split('\n').filter((line) => line.length > width && !/^[*]|cold boots/.test(line))
      expect(wide).toEqual([])
      expect(text).toMatch(/MEDIAN|AFTER|CHANGE/)
    }
  })

  it('with colour show the same words', () => {
    const [coloured, same] = [texts({ colour: true }), texts(plain)]
    expect(coloured.join('')).toContain('\u001B[')
    expect(coloured.map((text) => text.replaceAll(/\u001B\[[0-9;]*m/g, ''))).toEqual(same)
  })

  it('get nothing that a host wrote as it is', () => {
    const evil = 'x\u001B[2J\r\ny'
    const bad = fleetOf(
      [
        ...Array.from({ length: 20 }, (_, index) =>
          report([stepReport(evil, 1 + index / 100)], { region: evil, image: evil }),
        ),
        report([stepReport(evil, 99)], { run: evil, host: evil, region: evil, readyUptime: 999, startedAt: day(3) }),
      ],
      recipe([]),
    )
    const all = [
      renderFleet(bad, plain),
      renderGroups(bad, 'region', {}, plain),
      renderWarm(bad, plain),
      renderHistory(bad, 'day', plain),
    ].join('')
    expect(all).toContain('outliers')
    expect(all).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/)
  })
})
