import { nextCronRun } from '../recipe/cron.ts'
import type { HostSchedule } from './report.ts'

/** When a host converges by itself. */
export type Schedule = Pick<HostSchedule, 'everyMinutes' | 'cron' | 'splaySeconds'> &
  Partial<Pick<HostSchedule, 'zone'>>

const minuteMs = 60_000
/** A host that converges by an interval may miss two runs. */
const patientIntervals = 3
/** By the calendar the next run may be a week away, so one run counts, with time for itself and for a change to summer time. */
const calendarGraceMs = 90 * minuteMs

/**
 * Until when a host must have converged that had something to report from `fromMs` on, in milliseconds. A calendar that never
 * comes is Infinity. Pure.
 */
export function convergedBy(schedule: Schedule, fromMs: number): number {
  const { everyMinutes, cron, splaySeconds, zone } = schedule
  if (cron === '') return fromMs + patientIntervals * everyMinutes * minuteMs
  const run = nextCronRun(cron, fromMs, zoneMinutes(zone))
  return run === undefined ? Infinity : run + splaySeconds * 1000 + calendarGraceMs
}

/** Until when a host must be heard of again that has nothing to report after `lastMs`, in milliseconds. Pure. */
export function heardBy(schedule: Schedule & Pick<HostSchedule, 'reportSeconds'>, lastMs: number): number {
  return convergedBy(schedule, lastMs + schedule.reportSeconds * 1000)
}

/** `+0530` is 330. */
function zoneMinutes(zone = '+0000'): number {
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3))
  return zone.startsWith('-') ? -minutes : minutes
}
