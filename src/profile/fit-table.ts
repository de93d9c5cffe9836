import { renderTable, type Cell, type Column, type TableStyle } from '../report/table.ts'

/** A column that may go where the terminal is narrow: the highest `drop` first. Others stay. */
export interface FitColumn extends Column {
  readonly drop?: number
}

/** A table without the columns that there is no room for. */
export function fitTable(columns: readonly FitColumn[], rows: readonly (readonly Cell[])[], style: TableStyle): string {
  const kept = columns.map((_, index) => index)
  const widths = columns.map(({ header }, index) =>
    Math.max(header.length, ...rows.map((row) => textOf(row[index]).length)),
  )
  const total = () => kept.reduce((sum, index) => sum + (widths[index] ?? 0), 0) + 2 * (kept.length - 1)
  while (style.width !== undefined && total() > style.width) {
    const drop = Math.max(...kept.map((index) => columns[index]?.drop ?? 0))
    const last = kept.findIndex((index) => columns[index]?.drop === drop)
    if (drop === 0 || last === -1) break
    kept.splice(last, 1)
  }
  return renderTable(
    kept.flatMap((index) => columns[index] ?? []),
    rows.map((row) => kept.map((index) => row[index] ?? '')),
    style,
  )
}

/** The text of a cell, without its style. */
export function textOf(cell: Cell | undefined): string {
  return cell === undefined ? '' : typeof cell === 'string' ? cell : cell.text
}
