import { describe, expect, it } from 'vitest'
import { nextCronRun, parseCron } from '../../src/recipe/cron.ts'
import { run } from '../../src/system/run.ts'

describe('a cron expression', () => {
  it.each<[string, string, string[]]>([
    ['0 3 * * *', '0 3 * * *', ['*-*-* 3:0:00']],
    ['*/20 * * * *', '0,20,40 * * * *', ['*-*-* *:0,20,40:00']],
    ['5/25 * * * *', '5,30,55 * * * *', ['*-*-* *:5,30,55:00']],
    ['30 1-3,22 * * mon-fri', '30 1,2,3,22 * * 1,2,3,4,5', ['Mon,Tue,Wed,Thu,Fri *-*-* 1,2,3,22:30:00']],
    ['0 0 1 jan,7 *', '0 0 1 1,7 *', ['*-1,7-1 0:0:00']],
    ['0 0 * * 7', '0 0 * * 0', ['Sun *-*-* 0:0:00']],
    ['0 0 * * 0-7', '0 0 * * *', ['*-*-* 0:0:00']],
    ['  15   4 13 *  FRI ', '15 4 13 * 5', ['*-*-13 4:15:00', 'Fri *-*-* 4:15:00']],
  ])('%j', async (text, cron, onCalendar) => {
    expect(parseCron(text)).toEqual({ cron, onCalendar })
    const known = await run('sh', ['-c', 'command -v systemd-analyze'], { allowFailure: true })
    if (known.exitCode === 0) await run('systemd-analyze', ['calendar', ...onCalendar])
  })

  it.each<[string, string]>([
    ['0 3 * *', 'has 4 fields; a cron expression has five'],
    ['@daily', 'has 1 fields; a cron expression has five'],
    ['60 * * * *', "has no valid minute: '60'"],
    ['* 24 * * *', "has no valid hour: '24'"],
    ['* * 0 * *', "has no valid day of the month: '0'"],
    ['* * * 13 *', "has no valid month: '13'"],
    ['* * * * 8', "has no valid day of the week: '8'"],
    ['5-1 * * * *', "has no valid minute: '5-1'"],
    ['*/0 * * * *', "has no valid minute: '*/0'"],
    ['1,,2 * * * *', "has no valid minute: ''"],
    ['* * * * mon;reboot', "has no valid day of the week: 'mon;reboot'"],
  ])('%j is refused', (text, problem) => {
    expect(parseCron(text)).toBe(problem)
  })
})

describe('the next run of a cron expression', () => {
  const after = '2026-11-21T12:00:00Z'
  const nextOf = (cron: string, zoneMinutes = 0, from = after) => {
    const ms = nextCronRun(cron, Date.parse(from), zoneMinutes)
    return ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16)
  }

  it.each<[string, string | undefined]>([
    ['* * * * *', '2026-11-21T12:01'],
    ['0 12 * * *', '2026-11-22T12:00'],
    ['1 12 * * *', '2026-11-21T12:01'],
    ['0,30 3,13 * * *', '2026-11-21T13:00'],
    ['0 3 * * 1', '2026-11-23T03:00'],
    ['0 3 * * 6', '2026-11-28T03:00'],
    ['0 3 1 * *', '2026-12-01T03:00'],
    ['0 3 31 * *', '2026-12-31T03:00'],
    ['0 3 1 1,7 *', '2027-01-01T03:00'],
    ['15 4 13 * 5', '2026-11-27T04:15'],
    ['15 4 24 * 5', '2026-11-24T04:15'],
    ['0 0 29 2 *', '2028-02-29T00:00'],
    ['0 0 31 2 *', undefined],
    ['nonsense', undefined],
    ['', undefined],
  ])('%j', async (cron, expected) => {
    expect(nextOf(cron)).toBe(expected)
    const calendar = parseCron(cron)
    const known = await run('sh', ['-c', 'command -v systemd-analyze'], { allowFailure: true })
    if (known.exitCode !== 0 || expected === undefined || typeof calendar === 'string') return
    const base = ['--base-time', '2026-11-21 12:00:00 UTC']
    const { stdout } = await run('systemd-analyze', ['calendar', ...base, ...calendar.onCalendar], {
      env: { TZ: 'UTC' },
    })
    const elapses = [...stdout.matchAll(/Next elapse: \w+ (\S+) (\d\d:\d\d):00 UTC/g)].map(
      (each) => `${each[1]}T${each[2]}`,
    )
    expect(elapses.toSorted()[0]).toBe(expected)
  })

  it.each<[string, number, string]>([
    ['0 3 * * *', 60, '2026-11-22T02:00'],
    ['0 3 * * *', -300, '2026-11-22T08:00'],
    ['30 6 * * *', 480, '2026-11-21T22:30'],
    ['0 22 * * *', 840, '2026-11-22T08:00'],
    // Sunday has begun there.
    ['0 3 * * 0', 840, '2026-11-21T13:00'],
    ['0 7 * * *', -300, '2026-11-22T12:00'],
  ])('%j in a zone %i minutes east', (cron, zone, expected) => {
    expect(nextOf(cron, zone)).toBe(expected)
  })
})
