import { stripVTControlCharacters, styleText } from 'node:util'
import Table from 'cli-table3'

/** How a cell stands out where colour is on. */
export type CellStyle = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan'

/** Text, or text with a style. Control characters are dropped: much of what is shown comes from hosts. */
export type Cell = string | { readonly text: string; readonly style: CellStyle }

export interface Column {
  readonly header: string
  /** `right` for numbers; left by default. */
  readonly align?: 'left' | 'right'
  /** What gives way where the terminal is too narrow: `wrap` breaks lines, `cut` ends in `…`. Others keep their width. */
  readonly narrow?: 'wrap' | 'cut'
}

export interface TableStyle {
  /** Columns of the terminal; undefined for as wide as it takes. */
  readonly width?: number
  readonly colour: boolean
}

const gap = 2
const minNarrowWidth = 8

/** Colour and width as `stream` allows: none of either unless it is a terminal; NO_COLOR and TERM=dumb are heeded. */
export function terminalStyle(
  stream: { readonly isTTY?: boolean; readonly columns?: number } = process.stdout,
  env: Readonly<Record<string, string | undefined>> = process.env,
): TableStyle {
  if (stream.isTTY !== true) return { colour: false }
  const noColour = env['NO_COLOR'] ?? ''
  return {
    colour: noColour === '' && env['TERM'] !== 'dumb',
    ...(stream.columns === undefined || stream.columns <= 0 ? {} : { width: stream.columns }),
  }
}

/** Text in a style, or as it is where colour is off. */
export function styled(text: string, style: CellStyle, colour: boolean): string {
  // `colour` has been decided by terminalStyle; Node must not decide again by its own look at stdout.
  return colour && text !== '' ? styleText(style, text, { validateStream: false }) : text
}

/** A borderless table with a header line; no line ends in a blank, no newline at the end. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  style: TableStyle = terminalStyle(),
): string {
  const header: Cell[] = columns.map((column) => ({ text: column.header, style: 'bold' }))
  const cells = [header, ...rows].map((row) => columns.map((_, index) => cleanCell(row[index] ?? '')))
  const natural = naturalWidths(columns, cells)
  const widths = fitWidths(columns, natural, style.width)
  const table = new Table({
    chars: noBorders,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    colAligns: columns.map((column) => column.align ?? 'left'),
    // Where nothing has to give way, the library measures: it knows wide characters.
    colWidths: widths.map((width, index) =>
      width === natural[index] ? null : width + (index === columns.length - 1 ? 0 : gap),
    ),
  })
  for (const row of cells) {
    table.push(
      row.map((cell, index) => ({
        content: styled(cell.text, cell.style ?? 'bold', style.colour && cell.style !== undefined),
        wordWrap: columns[index]?.narrow === 'wrap',
        style: { 'padding-left': 0, 'padding-right': index === columns.length - 1 ? 0 : gap },
      })),
    )
  }
  return table
    .toString()
    .split('\n')
    .map((line) => trimLineEnd(line))
    .join('\n')
}

/** A bar for a share from 0 to 1 in eighths of a character, padded with blanks to `width` characters. */
export function bar(share: number, width = 10): string {
  const bounded = Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0))
  const eighths = Math.round(bounded * width * 8)
  const full = '█'.repeat(Math.floor(eighths / 8))
  const rest = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8] ?? ''
  return (full + rest).padEnd(width)
}

/** A share from 0 to 1 for people: `43 %`, `0.4 %`. */
export function formatShare(share: number): string {
  const percent = share * 100
  return `${percent > 0 && percent < 9.95 ? percent.toFixed(1) : Math.round(percent)} %`
}

const noBorders = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
} as const

interface CleanCell {
  readonly text: string
  readonly style?: CellStyle
}

function cleanCell(cell: Cell): CleanCell {
  return typeof cell === 'string' ? { text: clean(cell) } : { text: clean(cell.text), style: cell.style }
}

function clean(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/\p{Cc}+/gu, ' ')
}

function naturalWidths(columns: readonly Column[], rows: readonly (readonly CleanCell[])[]): number[] {
  return columns.map((_, index) => rows.reduce((max, row) => Math.max(max, codePoints(row[index]?.text ?? '')), 0))
}

/** Good enough to see what is too wide; the library pads by the true width. */
function codePoints(text: string): number {
  return text.replaceAll(/./gsu, '.').length
}

/** Takes what is too much from the narrowable columns, from the widest first, but never below a readable width. */
function fitWidths(columns: readonly Column[], natural: readonly number[], available: number | undefined): number[] {
  const widths = [...natural]
  const total = () => widths.reduce((sum, width) => sum + width, 0) + gap * Math.max(0, columns.length - 1)
  while (available !== undefined && total() > available) {
    let widest = -1
    for (const [index, column] of columns.entries()) {
      const width = widths[index] ?? 0
      if (column.narrow !== undefined && width > minNarrowWidth && width > (widths[widest] ?? 0)) widest = index
    }
    if (widest === -1) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

/** Blanks before a closing colour code are blanks at the end too. */
function trimLineEnd(line: string): string {
  // oxlint-disable-next-line no-control-regex
  const match = /^(.*?)[ ]*((?:\u001b\[[0-9;]*m[ ]*)*)$/su.exec(line)
  return match === null ? line : `${match[1] ?? ''}${(match[2] ?? '').replaceAll(' ', '')}`
}
