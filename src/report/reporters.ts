import type { Writable } from 'node:stream'
import { unreachable } from '../util/unreachable.ts'
import type { Event, Reporter } from './events.ts'

export interface ReporterOptions {
  readonly stream: Writable
  /** Show guest console lines and outside commands too. */
  readonly verbose: boolean
  /** Show warnings only. */
  readonly quiet: boolean
}

/** Drops everything: for library use and tests. */
export const silentReporter: Reporter = { emit: () => {}, close: () => {} }

/** One line per event, for pipes, logs and CI. */
export function plainReporter(options: ReporterOptions): Reporter {
  return {
    emit(event) {
      const line = renderPlain(event, options)
      if (line !== undefined) {
        options.stream.write(`${line}\n`)
      }
    },
    close: () => {},
  }
}

/** One JSON document per line on the stream, for programs that follow a run. */
export function jsonReporter(options: ReporterOptions): Reporter {
  return {
    emit(event) {
      if (wanted(event, options)) {
        options.stream.write(`${JSON.stringify(event)}\n`)
      }
    },
    close: () => {},
  }
}

/** Whether the chosen loudness shows this event. */
export function wanted(event: Event, options: Pick<ReporterOptions, 'verbose' | 'quiet'>): boolean {
  if (event.type === 'warning') return true
  if (options.quiet) return false
  return options.verbose || !['console', 'command', 'phase-progress'].includes(event.type)
}

/** The text of an event on one line, or undefined where it is not shown. */
export function renderPlain(event: Event, options: Pick<ReporterOptions, 'verbose' | 'quiet'>): string | undefined {
  if (!wanted(event, options)) return undefined
  switch (event.type) {
    case 'phase-start':
      return `… ${event.phase}${suffix(event.detail)}`
    case 'phase-progress':
      return `  ${event.phase}: ${event.detail}`
    case 'phase-end':
      return `✓ ${event.phase}${suffix(event.detail)} (${event.cached === true ? 'cached' : formatSeconds(event.seconds)})`
    case 'note':
      return `  ${event.text}`
    case 'warning':
      return `! ${event.text}${event.hint === undefined ? '' : ` (${event.hint})`}`
    case 'console':
      return `  ${event.source}| ${event.line}`
    case 'command':
      return `+ ${event.line}`
    default:
      return unreachable(event)
  }
}

/** Seconds for people: `0.42 s`, `12.3 s`, `2 min 05 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(2)} s`
  if (seconds < 120) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
}

/** Bytes for people in binary units: `512 B`, `1.4 KiB`, `190 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || Math.abs(value) >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

function suffix(detail: string | undefined): string {
  return detail === undefined || detail === '' ? '' : `: ${detail}`
}
