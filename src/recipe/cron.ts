/** Times by the calendar, as hosts are told: for cron, and the same for systemd. */
export interface CalendarSchedule {
  /** Five fields: minute, hour, day of the month, month, day of the week (0 is Sunday); numbers, lists and `*` only. */
  readonly cron: string
  /** Two where both the day of the month and that of the week are given: cron takes either, systemd both. */
  readonly onCalendar: readonly string[]
}

/** Of recipes that do not say. */
export const defaultEveryMinutes = 15
export const defaultSplaySeconds = 300

interface Field {
  readonly title: string
  readonly min: number
  readonly max: number
  /** Names of the values from `min` on. */
  readonly names?: readonly string[]
}

const weekDays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] as const

const fields: readonly Field[] = [
  { title: 'minute', min: 0, max: 59 },
  { title: 'hour', min: 0, max: 23 },
  { title: 'day of the month', min: 1, max: 31 },
  { title: 'month', min: 1, max: 12, names: months },
  // 7 is Sunday too.
  { title: 'day of the week', min: 0, max: 7, names: weekDays.map((day) => day.toLowerCase()) },
]

/** Reads a cron expression of five fields; a text says what is wrong with it. Pure. */
export function parseCron(text: string): CalendarSchedule | string {
  const words = text.trim().split(/\s+/)
  if (words.length !== fields.length) return `has ${words.length} fields; a cron expression has five`
  const parsed = fields.map((field, index) => parseField(words[index] ?? '', field))
  const problem = parsed.find((each) => typeof each === 'string')
  if (problem !== undefined) return problem
  const values = parsed.filter((each) => typeof each !== 'string')
  const week = [...new Set(values[4]?.map((day) => day % 7))].toSorted((a, b) => a - b)
  const sizes = [60, 24, 31, 12, 7]
  const cron = [...values.slice(0, 4), week].map((each, index) => (each.length === sizes[index] ? '*' : each.join(',')))
  const [minute = '', hour = '', day = '', month = '', weekDay = ''] = cron
  const at = `${hour}:${minute}:00`
  const onDays = `*-${month}-${day} ${at}`
  const onWeekDays = `${week.map((each) => weekDays[each]).join(',')} *-${month}-* ${at}`
  if (weekDay === '*') return { cron: cron.join(' '), onCalendar: [onDays] }
  return { cron: cron.join(' '), onCalendar: day === '*' ? [onWeekDays] : [onDays, onWeekDays] }
}

const minuteMs = 60_000
const dayMs = 86_400_000
/** A 29th of February may be eight years away. */
const daysAhead = 8 * 366

/**
 * The first minute after a time at which cron starts what has this expression, in milliseconds; undefined where that is never,
 * or for no expression. Cron goes by the host's zone, `zoneMinutes` east of UTC: a change to or from summer time in between is
 * not foreseen. Pure.
 */
export function nextCronRun(cron: string, afterMs: number, zoneMinutes = 0): number | undefined {
  const words = cron.trim().split(/\s+/)
  const parsed = fields.map((field, index) => parseField(words[index] ?? '', field))
  const [minutes, hours, days, inMonths, weekDay] = parsed.map((each) => (typeof each === 'string' ? [] : each))
  if (minutes === undefined || hours === undefined || days === undefined || inMonths === undefined) return undefined
  const onWeekDays = new Set(weekDay?.map((day) => day % 7))
  const zoneMs = zoneMinutes * minuteMs
  // As if the host's wall clock were UTC.
  const firstMs = (Math.floor((afterMs + zoneMs) / minuteMs) + 1) * minuteMs
  const firstDayMs = Math.floor(firstMs / dayMs) * dayMs
  for (let day = 0; day < daysAhead; day += 1) {
    const startMs = firstDayMs + day * dayMs
    const date = new Date(startMs)
    const onDay = days.includes(date.getUTCDate())
    const onWeekDay = onWeekDays.has(date.getUTCDay())
    // Where both are given, either will do.
    const fits = words[2] === '*' ? onWeekDay : words[4] === '*' ? onDay : onDay || onWeekDay
    if (!fits || !inMonths.includes(date.getUTCMonth() + 1)) continue
    for (const hour of hours) {
      const minute = minutes.find((each) => startMs + (hour * 60 + each) * minuteMs >= firstMs)
      if (minute !== undefined) return startMs + (hour * 60 + minute) * minuteMs - zoneMs
    }
  }
  return undefined
}

/** The values of a field, ascending. */
function parseField(text: string, field: Field): readonly number[] | string {
  const values = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^(?:(\*)|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(part)
    const [, star, from = '', to, step] = match ?? []
    const first = star === undefined ? valueOf(from, field) : field.min
    const last = to === undefined ? (star === undefined && step === undefined ? first : field.max) : valueOf(to, field)
    const stride = step === undefined ? 1 : Number(step)
    if (match === null || first === undefined || last === undefined || last < first || stride < 1) {
      return `has no valid ${field.title}: '${part}'`
    }
    for (let value = first; value <= last; value += stride) values.add(value)
  }
  return [...values].toSorted((a, b) => a - b)
}

function valueOf(word: string, { min, max, names }: Field): number | undefined {
  const named = names?.indexOf(word.toLowerCase()) ?? -1
  const value = named === -1 ? (/^\d{1,2}$/.test(word) ? Number(word) : undefined) : min + named
  return value !== undefined && value >= min && value <= max ? value : undefined
}
