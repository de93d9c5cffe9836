import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { formatShare } from '../report/table.ts'
import type { PageData } from './data.ts'
import { html, type Html } from './html.ts'

/** How a number of the page's data is written. */
export type Format = (value: number) => string

export const formats = {
  seconds: formatSeconds,
  bytes: formatBytes,
  share: formatShare,
  count: (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 0 }),
  /** What happens so often, in three digits or so. */
  rate: (value: number) =>
    value.toLocaleString('en-US', { maximumFractionDigits: value < 1 ? 3 : value < 10 ? 1 : 0, useGrouping: true }),
  money: (value: number) => value.toFixed(2),
  signedSeconds: (value: number) => signed(value, formatSeconds),
  signedBytes: (value: number) => signed(value, formatBytes),
  signedShare: (value: number) => signed(value, formatShare),
} as const satisfies Readonly<Record<string, Format>>

function signed(value: number, format: Format): string {
  if (value === 0) return format(0)
  return `${value < 0 ? '−' : '+'}${format(Math.abs(value))}`
}

/** What stands for a figure that nobody has measured. */
export const notMeasured = html`<span class="none">not measured</span>`

/**
 * Writes figures of the page's data, each with the JSON pointer (RFC 6901) by which `--json` has it and with its full
 * value, so that what people read can be held against what programs get.
 */
export class Figures {
  readonly data: PageData

  constructor(data: PageData) {
    this.data = data
  }

  /** The number at a pointer; "not measured" where there is none. */
  at(pointer: string, format: Format): Html {
    const value = this.value(pointer)
    return value === undefined
      ? notMeasured
      : html`<data value="${String(value)}" data-pointer="${pointer}">${format(value)}</data>`
  }

  value(pointer: string): number | undefined {
    const value = resolvePointer(this.data, pointer)
    return typeof value === 'number' ? value : undefined
  }
}

/** What a JSON pointer leads to, or undefined. No member that the page uses needs `~` escapes. */
export function resolvePointer(document: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .reduce<unknown>(
      (value, member) =>
        typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[member] : undefined,
      document,
    )
}
