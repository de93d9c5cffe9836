import { describe, expect, it } from 'vitest'
import type { Rollout } from '../../src/bundle/channel.ts'
import { EvidenceBuilder } from '../../src/rollout/evidence.ts'
import { judge, nextStage } from '../../src/rollout/judge.ts'
import { placeInRollout } from '../../src/rollout/membership.ts'
import { defaultBounds, type Comparison, type Evidence, type Verdict } from '../../src/rollout/model.ts'
import { proportionOf } from '../../src/rollout/proportion.ts'
import { nextStep } from '../../src/rollout/watch.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { report, stepReport } from '../profile/support.ts'

const rollout: Rollout = { bundle: sha256('next'), bundleBytes: 9, percent: 10, id: 'r', tags: [] }

describe("Wilson's interval", () => {
  // As R's binom::binom.wilson gives them.
  it.each([
    [0, 10, 0, 0.277_53],
    [1, 10, 0.017_88, 0.404_15],
    [5, 10, 0.236_59, 0.763_41],
    [10, 10, 0.722_47, 1],
    [50, 1000, 0.038_12, 0.065_33],
  ])('of %i in %i', (count, of, low, high) => {
    const share = proportionOf(count, of)
    expect(share?.low).toBeCloseTo(low, 4)
    expect(share?.high).toBeCloseTo(high, 4)
  })

  it('of nothing there is none', () => {
    expect(proportionOf(0, 0)).toBeUndefined()
  })
})

const fine = (hosts: number, failed = 0, silent?: readonly [number, number]) => ({
  hosts,
  failed: proportionOf(failed, hosts),
  silent: silent === undefined ? undefined : proportionOf(...silent),
  failures: [],
})
const times = (ratio: number, samples: number, before = samples): Comparison => ({
  rollout: { seconds: 10 * ratio, samples },
  rest: { seconds: 10, samples: before },
  ratio,
})

function evidence(changes: Partial<Evidence>): Evidence {
  return { rollout: fine(20), rest: fine(180), launchToReady: undefined, converge: undefined, ...changes }
}

describe('judging', () => {
  it.each<[string, Partial<Evidence>, Verdict, RegExp]>([
    ['enough hosts, all well', {}, 'go', /0 of 20 hosts failed/],
    ['nobody yet', { rollout: fine(0) }, 'wait', /only 0 of at least 5/],
    ['too few hosts', { rollout: fine(4) }, 'wait', /only 4 of at least 5/],
    ['just enough', { rollout: fine(5) }, 'go', /at most 43 %/],
    ['one failure of many', { rollout: fine(100, 1) }, 'go', /1 of 100/],
    ['a failure that may be chance', { rollout: fine(5, 1) }, 'wait', /may be chance/],
    ['two failures of two', { rollout: fine(2, 2) }, 'halt', /2 of 2/],
    ['two failures of five', { rollout: fine(5, 2) }, 'halt', /beyond doubt; of all others 0 %/],
    ['a tenth of a hundred', { rollout: fine(100, 11) }, 'halt', /11 of 100/],
    ['6 of 100, which may be chance', { rollout: fine(100, 6) }, 'wait', /may be chance/],
    ['slower within the bound', { launchToReady: times(1.4, 9) }, 'go', /1\.40 times/],
    ['slower launches', { launchToReady: times(1.6, 9) }, 'halt', /launch-to-ready takes 16\.0 s against 10\.0 s/],
    ['slower launches, few of them', { launchToReady: times(1.6, 4) }, 'wait', /4 and 4 samples/],
    ['slower launches, few before', { launchToReady: times(1.6, 9, 4) }, 'wait', /9 and 4 samples/],
    ['slower steps', { converge: times(3, 5, 3) }, 'halt', /its steps take/],
    ['slower steps, few before', { converge: times(3, 5, 2) }, 'wait', /5 and 2 samples/],
    ['faster', { launchToReady: times(0.2, 9), converge: times(0.5, 9) }, 'go', /0\.20 times.*0\.50 times/],
    ['hosts that vanish', { rollout: fine(8, 0, [12, 20]), rest: fine(180, 0, [2, 180]) }, 'halt', /not been heard of/],
    [
      'hosts that vanish as others do',
      { rollout: fine(8, 0, [12, 20]), rest: fine(80, 0, [100, 180]) },
      'wait',
      /heard/,
    ],
    ['a host that vanished', { rollout: fine(19, 0, [1, 20]), rest: fine(180, 0, [9, 180]) }, 'go', /0 of 19/],
  ])('%s', (_name, changes, verdict, reason) => {
    const judgement = judge(evidence(changes), defaultBounds, rollout)
    expect(judgement.verdict).toBe(verdict)
    expect(judgement.reasons.join('; ')).toMatch(reason)
  })

  it('keeps to the bounds it is given', () => {
    const bounds = { maxFailureRate: 0.5, maxSlowdown: 4, minHosts: 1 }
    expect(judge(evidence({ rollout: fine(2, 1), converge: times(3, 9) }), bounds, rollout).verdict).toBe('go')
  })

  it('of a halted rollout is that', () => {
    expect(judge(evidence({}), defaultBounds, { ...rollout, percent: 0 }).verdict).toBe('halted')
    expect(judge(evidence({}), defaultBounds, { ...rollout, percent: 0, tags: ['canary'] }).verdict).toBe('go')
  })

  it.each([
    [0, 10],
    [10, 25],
    [30, 50],
    [50, 100],
    [100, undefined],
  ])('after %i comes %s', (percent, next) => {
    expect(nextStage(percent)).toBe(next)
  })
})

describe('a watch', () => {
  const status = (verdict: Verdict, percent = 10) => ({
    judgement: { verdict, reasons: [] },
    rollout: { ...rollout, percent },
    changedAt: '2026-11-21T10:00:00.000Z',
  })
  const after = (minutes: number) => Date.parse('2026-11-21T10:00:00Z') + minutes * 60_000
  const stages = [10, 25, 100]

  it.each<[string, ReturnType<typeof status>, readonly number[] | undefined, number, string | number]>([
    ['halts whatever it was told', status('halt'), undefined, 0, 'halt'],
    ['never goes on by itself', status('go'), undefined, 999, 'nothing'],
    ['goes on when the stage has lasted', status('go'), stages, 30, 25],
    ['waits until it has', status('go'), stages, 29, 'nothing'],
    ['waits while too little is known', status('wait'), stages, 999, 'nothing'],
    ['leaves a halted one alone', status('halted', 0), stages, 999, 'nothing'],
    ['ends at the last stage', status('go', 25), stages, 30, 100],
  ])('%s', (_name, given, own, minutes, expected) => {
    const options = { stageSeconds: 1800, ...(own === undefined ? {} : { stages: own }) }
    expect(nextStep(given, options, after(minutes))).toBe(expected)
  })
})

describe('evidence', () => {
  const since = Date.parse('2026-11-21T10:00:00Z')
  const builder = () => new EvidenceBuilder(rollout, since)
  const warm = { cold: false } as const
  const [inside, outside] = [
    'a',
    'b',
    'c',
    'd',
    'e',
    'f',
    'g',
    'h',
    'i',
    'j',
    'k',
    'l',
    'm',
    'n',
    'o',
    'p',
    'q',
    'r',
    's',
  ]
    .map((letter) => `host-${letter}`)
    .toSorted((a, b) => placeInRollout('r', a) - placeInRollout('r', b))
    .filter((_, index, all) => index === 0 || index === all.length - 1)

  it('counts each host once, where its last report puts it', () => {
    const all = builder()
    all.add(report([], { host: 'a', bundle: rollout.bundle, outcome: 'failed', error: 'e1' }), since + 1)
    all.add(report([], { host: 'a', bundle: rollout.bundle, outcome: 'ok' }), since + 2)
    all.add(report([], { host: 'b', bundle: rollout.bundle, outcome: 'failed', error: 'no space' }), since + 3)
    all.add(report([], { host: 'b', bundle: rollout.bundle, outcome: 'ok' }), since + 2)
    all.add(report([], { host: 'c', outcome: 'ok' }), since + 1)
    all.add(report([], { host: 'd', bundle: rollout.bundle, purpose: 'verify' }), since + 1)
    const { rollout: taken, rest } = all.build()
    expect(taken).toMatchObject({ hosts: 2, failed: { count: 1, of: 2 }, failures: [{ host: 'b', error: 'no space' }] })
    expect(rest).toMatchObject({ hosts: 1, failed: { count: 0, of: 1 } })
  })

  it('does not count what came before the rollout', () => {
    const all = builder()
    all.add(report([], { host: 'a', bundle: rollout.bundle, outcome: 'failed' }), since - 1)
    expect(all.build()).toMatchObject({ rollout: { hosts: 0, failed: undefined }, rest: { hosts: 0 } })
  })

  it('counts a host that could not even fetch the bundle against it', () => {
    const all = builder()
    all.add(report([], { host: inside ?? '', outcome: 'failed', error: 'bundle is damaged' }), since + 1)
    all.add(report([], { host: outside ?? '', outcome: 'failed', error: 'store is down' }), since + 1)
    all.add(report([], { host: 'z', rollout: 'r', outcome: 'failed', error: 'disk full' }), since + 1)
    const built = all.build()
    expect(new Set(built.rollout.failures.map(({ host }) => host))).toEqual(new Set([inside, 'z']))
    expect(built.rest.failures.map(({ host }) => host)).toEqual([outside])
  })

  it('compares first boots with first boots', () => {
    const all = builder()
    for (const readyUptime of [30, 31, 32]) all.add(report([], { readyUptime }), since + 1)
    for (const readyUptime of [60, 62, 64]) all.add(report([], { readyUptime, bundle: rollout.bundle }), since + 1)
    all.add(report([], { readyUptime: 9000, bundle: rollout.bundle, ...warm }), since + 1)
    all.add(report([], { readyUptime: 9000, bundle: rollout.bundle, outcome: 'failed' }), since + 1)
    expect(all.build().launchToReady).toMatchObject({ ratio: 2, rollout: { seconds: 62, samples: 3 } })
  })

  it('compares steps with those of the same name before, and leaves new ones out', () => {
    const all = builder()
    for (const wall of [9, 10, 11]) all.add(report([stepReport('app', wall), stepReport('old', 99)]), since - 1)
    const steps = [stepReport('app', 30), stepReport('new', 500), stepReport('old', 0, { outcome: 'stamped' })]
    for (let host = 0; host < 5; host += 1) all.add(report(steps, { bundle: rollout.bundle, ...warm }), since + 1)
    expect(all.build().converge).toEqual({
      rollout: { seconds: 30, samples: 5 },
      rest: { seconds: 10, samples: 3 },
      ratio: 3,
    })
  })

  it('has no comparison where one side is missing', () => {
    const all = builder()
    all.add(report([stepReport('app', 3)], { bundle: rollout.bundle, ...warm }), since + 1)
    expect(all.build()).toMatchObject({ converge: undefined, launchToReady: undefined })
  })

  it('tells who has not been heard of since the channel changed, by tags too', () => {
    const all = new EvidenceBuilder({ ...rollout, percent: 0, tags: ['canary'] }, since)
    all.add(report([], { host: 'tagged', tags: ['canary'] }), since - 1)
    const changedMs = since + 1000
    const seen = [
      { host: 'tagged', lastMs: since - 1 },
      { host: 'plain', lastMs: since - 1 },
      { host: 'other', lastMs: since + 2000 },
    ]
    const built = all.build({ seen, changedMs, nowMs: since + 3000 })
    expect(built.rollout.silent).toMatchObject({ count: 1, of: 1 })
    expect(built.rest.silent).toMatchObject({ count: 1, of: 2 })
  })

  it('counts a host that took the rollout and then fell silent, where its agent promised to be heard of', () => {
    const all = new EvidenceBuilder({ ...rollout, percent: 100 }, since)
    const schedule = { everyMinutes: 15, cron: '', splaySeconds: 0, zone: '+0100', reportSeconds: 80_000 }
    const takes = { bundle: rollout.bundle, ...warm }
    all.add(report([], { host: 'dead', ...takes, schedule }), since + 1000)
    all.add(report([], { host: 'alive', ...takes, schedule }), since + 1000)
    all.add(report([], { host: 'old-agent', ...takes }), since + 1000)
    const dayMs = 86_400_000
    const seen = ['dead', 'old-agent'].map((host) => ({ host, lastMs: since + 1000 }))
    const hosts = { seen: [...seen, { host: 'alive', lastMs: since + dayMs }], changedMs: since }
    const silentAt = (nowMs: number) => all.build({ ...hosts, nowMs }).rollout.silent
    expect(silentAt(since + 80_000_000)).toMatchObject({ count: 0, of: 3 })
    expect(silentAt(since + 1.5 * dayMs)).toMatchObject({ count: 1, of: 3 })
    expect([...all.zones]).toEqual(['+0100'])
  })
})
