import { renderTable, type TableStyle } from '../report/table.ts'
import type { Carried, NotCarried } from './model.ts'
import type { ImportResult } from './import.ts'

/** What became of what, and what is not in the recipe, for people. */
export function renderImport(result: ImportResult, style: TableStyle): string {
  const { carried, notCarried } = result
  const carriedTable = renderTable(
    [
      { header: 'line', align: 'right' },
      { header: 'what' },
      { header: 'step', narrow: 'wrap' },
      { header: 'note', narrow: 'wrap' },
    ],
    carried.map((entry) => [place(entry), entry.what, entry.steps.join(', ') || '-', entry.note ?? '']),
    style,
  )
  if (notCarried.length === 0) return carriedTable
  const lostTable = renderTable(
    [
      { header: 'line', align: 'right' },
      { header: 'not carried over' },
      { header: 'why', narrow: 'wrap' },
      { header: 'instead', narrow: 'wrap' },
    ],
    notCarried.map((entry) => [place(entry), { text: entry.what, style: 'yellow' }, entry.why, entry.hint ?? '']),
    style,
  )
  return `${carriedTable}\n\n${lostTable}`
}

/** Lines of parts that were packed are no lines of the file. */
function place({ at }: Carried | NotCarried): string {
  const part = /\(part at line (\d+), decoded\)$/.exec(at.file)
  return part === null ? String(at.line ?? '') : `${part[1] ?? ''}/${at.line ?? ''}`
}
