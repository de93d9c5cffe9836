import { describe, expect, it } from 'vitest'
import { parseCron } from '../../src/recipe/cron.ts'
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
