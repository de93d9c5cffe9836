import { describe, expect, it } from 'vitest'
import type { BundleChannel } from '../../src/bundle/channel.ts'
import { countHosts, filterHosts, HostStates } from '../../src/hosts/states.ts'
import type { HostState } from '../../src/hosts/model.ts'
import { renderHosts } from '../../src/hosts/render.ts'
import type { Report, StepReport } from '../../src/profile/report.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { report, stepReport } from '../profile/support.ts'

const nowMs = Date.parse('2026-11-21T12:00:00Z')
const minute = 60_000
const bundle = sha256('now')
const everyQuarter = { everyMinutes: 15, cron: '', splaySeconds: 0 }
const channel: BundleChannel = {
  kind: 'bundle',
  recipe: 'web',
  channel: 'stable',
  serial: 7,
  bundle,
  bundleBytes: 1,
  agent: sha256('agent'),
  published: '2026-11-21T10:00:00Z',
  expires: 0,
}

/** The state of host `a` after these reports, each so many minutes ago. */
function stateOf(
  reports: readonly (readonly [minutesAgo: number, changes: Partial<Report>, steps?: readonly StepReport[]])[],
  changes: Partial<BundleChannel> | undefined = {},
): HostState {
  const states = new HostStates()
  for (const [minutesAgo, each, steps = []] of reports) {
    const own = { host: 'a', bundle, cold: false, trigger: 'cron', ...each } as const
    states.add(report(steps, own), nowMs - minutesAgo * minute)
  }
  const [state] = states.build({
    recipe: 'web',
    channel: changes === undefined ? undefined : { ...channel, ...changes },
    schedule: everyQuarter,
    nowMs,
  })
  if (state === undefined) throw new Error('no host')
  return state
}

const step = (changes: Partial<StepReport> = {}) => stepReport('app', 1, changes)

describe('late is a host', () => {
  it.each<[string, Parameters<typeof stateOf>[0], string, boolean]>([
    ['that has nothing to say: no', [[110, {}]], channel.published, false],
    ['that has not reported since the channel changed', [[130, {}]], channel.published, true],
    ['unless that was just now', [[130, {}]], '2026-11-21T11:30:00Z', false],
    ['with a step at every converge', [[46, {}, [step({ when: 'always' })]]], channel.published, true],
    ['unless it reported within three intervals', [[44, {}, [step({ when: 'always' })]]], channel.published, false],
    ['that failed and should try again', [[46, { outcome: 'failed' }]], channel.published, true],
    ['whose last try was just now: no', [[44, { outcome: 'failed' }]], channel.published, false],
  ])('%s', (_name, reports, published, late) => {
    expect(stateOf(reports, { published }).late).toBe(late)
  })
})

describe('a host that says when it will be heard of', () => {
  const hour = 60
  const schedule = { ...everyQuarter, zone: '+0000', reportSeconds: 20 * 3600 }
  const daily = { ...schedule, cron: '0 3 * * *', splaySeconds: 600 }
  // It is Saturday, 12:00 UTC.
  const weekly = { ...daily, cron: '30 6 * * 1' }
  it.each<[string, number, Report['schedule'], 'late' | 'silent' | '']>([
    ['is well until then', 20.5 * hour, schedule, ''],
    ['is late three intervals after it', 21 * hour, schedule, 'late'],
    ['and silent a day later', 45 * hour, schedule, 'silent'],
    ['by the calendar: is well until the run after that', 9 * hour, daily, ''],
    ['is late where that run has passed', 33 * hour, daily, 'late'],
    ['is silent a day after that run', 57 * hour, daily, 'silent'],
    ['once a week: is well from Monday to Saturday', 5 * 24 * hour + 5 * hour, weekly, ''],
    ['is silent where it missed a Monday', 12 * 24 * hour, weekly, 'silent'],
    ['and where that never comes is never late', 90 * 24 * hour, { ...daily, cron: '0 0 31 2 *' }, ''],
  ])('%s', (_name, minutesAgo, promised, expected) => {
    const { late, silent } = stateOf([[minutesAgo, { schedule: promised }]], { published: '2026-01-01T00:00:00Z' })
    expect(late ? 'late' : silent ? 'silent' : '').toBe(expected)
  })

  it('is judged by its own clock', () => {
    // At 22:30 UTC it is 06:30 on the next day there, eight hours east; last seen on Friday at 02:00 UTC, twenty hours before.
    const east = { ...daily, cron: '30 6 * * *', zone: '+0800' }
    const state = stateOf([[34 * hour, { schedule: east }]])
    expect(state.expectedBy).toBe('2026-11-21T00:10:00.000Z')
    expect(state.late).toBe(true)
  })

  it('is looked at earlier where the channel changed, by its calendar', () => {
    const published = '2026-11-21T02:00:00Z'
    expect(stateOf([[11 * hour, { schedule: daily }]], { published }).expectedBy).toBe('2026-11-21T04:40:00.000Z')
  })
})

describe('the bundle of a host is', () => {
  const rollout = { bundle: sha256('next'), bundleBytes: 1, percent: 0, id: 'r', tags: ['canary'] }
  const canary = { tags: ['canary'] }
  it.each<[string, Partial<Report>, Partial<BundleChannel> | undefined, string]>([
    ['current', {}, {}, 'current'],
    ['behind', { bundle: sha256('old') }, {}, 'behind'],
    ['unknown without a channel', {}, undefined, 'unknown'],
    ['unknown where it has none', { bundle: '' }, {}, 'unknown'],
    ['that of the rollout', { bundle: rollout.bundle, ...canary }, { rollout }, 'rollout'],
    ['behind where it should have taken the rollout', canary, { rollout }, 'behind'],
    ['current where it takes no part', {}, { rollout }, 'current'],
    ['behind after a halt', { bundle: rollout.bundle, ...canary }, { rollout: { ...rollout, tags: [] } }, 'behind'],
  ])('%s', (_name, changes, own, expected) => {
    const states = new HostStates()
    states.add(report([], { host: 'a', bundle, ...changes }), nowMs)
    const view = {
      recipe: 'web',
      schedule: everyQuarter,
      nowMs,
      channel: own === undefined ? undefined : { ...channel, ...own },
    }
    expect(states.build(view)[0]?.bundleState).toBe(expected)
  })
})

describe('drift', () => {
  const before: Parameters<typeof stateOf>[0][number] = [60, {}, [step()]]
  it.each<[string, Parameters<typeof stateOf>[0], Record<string, number>]>([
    ['is a step that was done and ran again by cron', [before, [30, {}, [step()]]], { app: 1 }],
    ['counts each time', [before, [30, {}, [step()]], [15, {}, [step()]]], { app: 2 }],
    ['is none at the first report', [before], {}],
    ['is none where the step was stamped', [before, [30, {}, [step({ outcome: 'stamped' })]]], {}],
    [
      'counts after a stamp too',
      [
        [60, {}, [step({ outcome: 'stamped' })]],
        [30, {}, [step()]],
      ],
      { app: 1 },
    ],
    [
      'is none with a new bundle',
      [
        [60, { bundle: sha256('old') }, [step()]],
        [30, {}, [step()]],
      ],
      {},
    ],
    [
      'is none for a step that had failed',
      [
        [60, {}, [step({ outcome: 'failed' })]],
        [30, {}, [step()]],
      ],
      {},
    ],
    ['is none by hand', [before, [30, { trigger: 'manual' }, [step()]]], {}],
    ['is none on a new instance', [before, [30, { cold: true }, [step()]]], {}],
    [
      'is none for steps that run at every converge',
      [
        [60, {}, [step({ when: 'always' })]],
        [30, {}, [step({ when: 'always' })]],
      ],
      {},
    ],
    [
      'is none for steps of a boot, at its first converge',
      [
        [60, {}, [step({ when: 'boot' })]],
        [30, { first: true }, [step({ when: 'boot' })]],
      ],
      {},
    ],
    [
      'counts for them later',
      [
        [60, {}, [step({ when: 'boot' })]],
        [30, { first: false }, [step({ when: 'boot' })]],
      ],
      { app: 1 },
    ],
  ])('%s', (_name, reports, drift) => {
    expect(stateOf(reports).drift).toEqual(drift)
  })
})

describe('failures', () => {
  it('are counted, and the last error stays to be seen', () => {
    const state = stateOf([
      [40, { outcome: 'failed', error: 'disk full' }],
      [30, { outcome: 'failed', error: '' }, [step({ outcome: 'failed' })]],
      [20, {}],
    ])
    expect(state).toMatchObject({ reports: 3, failures: 2, failing: false, lastError: 'failed: app' })
  })
})

describe('a list of hosts', () => {
  const states = new HostStates()
  states.add(report([], { host: 'good', bundle }), nowMs - minute)
  states.add(report([], { host: 'bad', bundle, outcome: 'failed', error: 'no\u001b[31m space\n' }), nowMs - minute)
  states.add(report([], { host: 'old', bundle: sha256('old') }), nowMs - 300 * minute)
  states.add(report([], { host: 'baker', bundle, purpose: 'verify' }), nowMs)
  const hosts = states.build({ recipe: 'web', channel, schedule: everyQuarter, nowMs })
  const names = (list: readonly HostState[]) => list.map(({ host }) => host)

  it('has what needs somebody first, and nothing of bakes', () => {
    expect(names(hosts)).toEqual(['bad', 'old', 'good'])
    expect(countHosts(hosts)).toEqual({ hosts: 3, failing: 1, late: 1, silent: 0, behind: 1, rollout: 0, drifting: 0 })
  })

  it('is filtered by any of what is asked for', () => {
    expect(names(filterHosts(hosts, ['failed']))).toEqual(['bad'])
    expect(names(filterHosts(hosts, ['late']))).toEqual(['old'])
    expect(names(filterHosts(hosts, ['failed', 'behind']))).toEqual(['bad', 'old'])
  })

  it('is a table, at most so long, without what would move a terminal', () => {
    const list = { recipe: 'web', channel: 'stable', since: '', counts: countHosts(hosts), hosts }
    const text = renderHosts(list, 2, nowMs, { colour: false })
    expect(text).toContain('web stable: 3 hosts, 1 failing, 1 late, 1 behind')
    expect(text).toMatch(/^bad +60 s +[0-9a-f]{8} current +\d+ .*1 of 1 !.* no space/m)
    expect(text).toMatch(/^old +5 h late +[0-9a-f]{8} behind/m)
    expect(text).toContain('and 1 more: --limit 3 shows all')
    expect(text).not.toContain('\u001b')
  })
})
