import { exitCodes, UserError, type SourceLocation } from '../../errors.ts'
import { parseYaml, type YamlDocument, type YamlPath } from '../../util/yaml.ts'
import type { Collector } from '../collector.ts'
import { lineOf, type SourceText } from '../model.ts'

/** A top-level key of a cloud-config document. */
export interface ConfigKey {
  readonly key: string
  readonly value: unknown
  readonly document: YamlDocument
  readonly at: SourceLocation
}

/** A value inside a key, and where it stands. */
export interface ConfigItem {
  readonly value: unknown
  readonly at: SourceLocation
  readonly document: YamlDocument
  readonly path: YamlPath
}

/** At the start of a text that jinja is to fill in. */
export const jinjaHeader = /^##[ \t]*template:[ \t]*jinja[ \t]*(?:\n|$)/i

export const templateReason = {
  why: 'it is a jinja template, filled in with what the host is',
  hint: 'write it as a script with when: instance that asks `cloud-init query`',
} as const

/**
 * The keys of a cloud-config document, read as cloud-init reads it: YAML 1.1. Keys that need jinja are reported. Throws
 * UserError (exit code 2) with a position for what is no cloud-config.
 */
export function readCloudConfig(source: SourceText, to: Collector): readonly ConfigKey[] {
  const isTemplate = jinjaHeader.test(source.text)
  const text = isTemplate ? withoutJinja(source, to) : source.text
  // Empty lines before it make the positions those of the file.
  const document = parseYaml('\n'.repeat(source.line - 1) + text, source.file, { version: '1.1' })
  const { value } = document
  if (value === null || value === undefined) return []
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new UserError('a cloud-config document must be a mapping', {
      location: document.locate([]),
      exitCode: exitCodes.usage,
      code: 'import-invalid',
    })
  }
  return Object.entries(value).map(([key, inner]: [string, unknown]) => ({
    key,
    value: inner,
    document,
    at: document.locateKey([key]),
  }))
}

/** The elements of a list below a key; a value that is no list counts as its only element. */
export function itemsOf({ key, value, document, at }: ConfigKey): readonly ConfigItem[] {
  if (value === null || value === undefined) return []
  if (!Array.isArray(value)) return [{ value, at, document, path: [key] }]
  return value.map((inner: unknown, index) => {
    const path = [key, index]
    return { value: inner, at: document.locate(path), document, path }
  })
}

/** A mapping, or undefined. */
export function mappingOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
    ? (value as Record<string, unknown>)
    : undefined
}

/** A scalar as text; undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  return value instanceof Date ? value.toISOString().slice(0, 10) : undefined
}

/** The text with every top-level block emptied that jinja would fill in or leave out; the number of lines stays. */
function withoutJinja(source: SourceText, to: Collector): string {
  const lines = source.text.split('\n')
  const kept: string[] = []
  let depth = 0
  let isTemplate = false
  for (const [index, line] of lines.entries()) {
    const control = /^\{%-?\s*(\w+)/.exec(line)?.[1]
    if (control !== undefined) {
      if (['if', 'for'].includes(control)) depth += 1
      if (control.startsWith('end')) depth = Math.max(0, depth - 1)
      isTemplate = false
    } else if (/^[A-Za-z_"']/.test(line)) {
      const end = lines.findIndex((later, at) => at > index && /^[A-Za-z_"']|^\{%/.test(later))
      const block = lines.slice(index, end === -1 ? undefined : end)
      isTemplate = depth > 0 || block.some((inner) => /\{\{|\{%|\{#/.test(inner))
      if (isTemplate) {
        to.notCarried(
          lineOf(source, index + 1),
          /^["']?([^:"']+)/.exec(line)?.[1] ?? 'key',
          templateReason.why,
          templateReason.hint,
        )
      }
    }
    kept.push(control !== undefined || isTemplate || (depth > 0 && !line.startsWith('#')) ? '' : line)
  }
  return kept.join('\n')
}
