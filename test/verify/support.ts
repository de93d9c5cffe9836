import { parseInventory, type Inventory } from '../../src/verify/inventory.ts'
import type { Report } from '../../src/profile/report.ts'
import { reportSchema } from '../../src/profile/report.ts'
import { readFileSync } from 'node:fs'

/** A file record as bootstrap/inventory.sh writes it. */
export function fileLine(path: string, change: Partial<FileFields> = {}): string {
  const { type, mode, uid, gid, size, held, attributes } = { ...plainFile, ...change }
  return `file\t${JSON.stringify([type, mode, uid, gid, size, path, held, attributes])}`
}

interface FileFields {
  readonly type: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly held: string
  readonly attributes: Readonly<Record<string, string>>
}

const plainFile: FileFields = { type: 'f', mode: 0o644, uid: 0, gid: 0, size: 3, held: 'aa', attributes: {} }

/** Lines that every host has. */
export const commonLines = ['user\troot\t0\t0\t/root\t/bin/bash\troot', 'group\troot\t0\t', 'shadow\troot\tlocked']

/** An inventory of these lines and of `commonLines`. */
export function inventory(...lines: readonly string[]): Inventory {
  return parseInventory(inventoryText(...commonLines, ...lines), 'test')
}

export function inventoryText(...lines: readonly string[]): string {
  return ['inventory\t1', ...lines, 'end', ''].join('\n')
}

/** A real report of a second converge, with these steps. */
export function secondReport(
  steps: readonly { readonly name: string; readonly when: Report['steps'][number]['when']; readonly outcome: string }[],
  change: Partial<Report> = {},
): Report {
  const text = readFileSync(new URL('../fixtures/report-cron-noop.json', import.meta.url), 'utf8')
  const report = reportSchema.parse(JSON.parse(text))
  const [model] = report.steps
  return reportSchema.parse({ ...report, ...change, steps: steps.map((step) => ({ ...model, ...step })) })
}
