import { isDeepStrictEqual } from 'node:util'
import type { CloudConfigDocument } from './document.ts'
import { invalid } from './invalid.ts'

/** What becomes of what both documents have. */
export interface MergeRules {
  /** `append` (the other's items last) where absent; `prepend`: the other's items first. */
  readonly lists?: 'append' | 'prepend' | 'replace' | 'keep'
  /** `replace` (the other's value counts) where absent; `refuse`: an error where they differ. */
  readonly values?: 'replace' | 'keep' | 'refuse'
}

/** Lists that are one value: an argv, or the fields of a line. Joined they would be nonsense. */
const wholeLists: ReadonlySet<string> = new Set([
  'mount_default_fields',
  'output.all',
  'output.config',
  'output.final',
  'output.init',
  'power_state.condition',
  'random_seed.command',
])

/** Merges two documents: maps key by key, lists and values by the rules. Throws a UserError for values that `refuse` meets. */
export function mergeDocuments(
  own: CloudConfigDocument,
  other: CloudConfigDocument,
  rules: MergeRules,
): CloudConfigDocument {
  const { lists = 'append', values = 'replace' } = rules
  const merge = (mine: unknown, theirs: unknown, path: string): unknown => {
    if (mine === undefined) return theirs
    if (theirs === undefined) return mine
    if (isMap(mine) && isMap(theirs)) {
      const keys = [...new Set([...Object.keys(mine), ...Object.keys(theirs)])]
      return Object.fromEntries(
        keys.map((key) => [key, merge(mine[key], theirs[key], path === '' ? key : `${path}.${key}`)]),
      )
    }
    if (Array.isArray(mine) && Array.isArray(theirs) && !wholeLists.has(path)) {
      return { append: [...mine, ...theirs], prepend: [...theirs, ...mine], replace: theirs, keep: mine }[lists]
    }
    if (values === 'refuse' && !isDeepStrictEqual(mine, theirs)) {
      throw invalid(`both documents set '${path}'`, `merge with values 'replace' or 'keep' to let one of them count`)
    }
    return values === 'keep' ? mine : theirs
  }
  return merge(own, other, '') as CloudConfigDocument
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
