import { exitCodes, UserError } from '../../errors.ts'
import { parseYaml, type YamlDocument, type YamlPath } from '../../util/yaml.ts'
import { mappingOf, textOf } from '../cloud-config/read.ts'
import type { SourceText } from '../model.ts'
import {
  afterReason,
  machineReason,
  packerReason,
  type PackerField,
  type PackerOther,
  type PackerProvisioner,
  type PackerTemplate,
  type PackerValue,
  type PackerVariable,
  type Piece,
} from './template.ts'

/** Reads a template in JSON. Throws UserError (exit code 2) with a position for what is none. */
export function readJsonTemplate(source: SourceText): PackerTemplate {
  // JSON is YAML, and this reader knows where everything stands.
  const document = parseYaml(source.text, source.file)
  const root = mappingOf(document.value)
  if (root === undefined) {
    throw new UserError('a template must be a mapping', {
      location: document.locate([]),
      exitCode: exitCodes.usage,
      code: 'import-invalid',
    })
  }
  const sensitive = new Set(elements(root['sensitive-variables']).map((name) => textOf(name)))
  const variables = Object.entries(mappingOf(root['variables']) ?? {}).map(([name, value]): PackerVariable => ({
    ...{ name, at: document.locateKey(['variables', name]), default: jsonValue(value), sensitive: sensitive.has(name) },
  }))
  const provisioners = elements(root['provisioners']).map((entry, index) =>
    readProvisioner(document, ['provisioners', index], mappingOf(entry) ?? {}),
  )
  return {
    variables,
    provisioners,
    others: Object.entries(root).flatMap(([key, value]) => otherOf(document, key, value)),
  }
}

function readProvisioner(
  document: YamlDocument,
  path: YamlPath,
  entry: Readonly<Record<string, unknown>>,
): PackerProvisioner {
  const fields = Object.entries(entry)
    .filter(([name]) => name !== 'type')
    .map(([name, value]): PackerField => ({ name, value: jsonValue(value), at: document.locateKey([...path, name]) }))
  return { type: textOf(entry['type']) ?? '', at: document.locate(path), fields }
}

function otherOf(document: YamlDocument, key: string, value: unknown): readonly PackerOther[] {
  if (key === 'variables' || key === 'provisioners') return []
  const at = document.locateKey([key])
  if (key === 'builders') {
    return elements(value).map((entry, index) => ({
      what: `builder ${textOf(mappingOf(entry)?.['type']) ?? ''}`.trim(),
      at: document.locate([key, index]),
      ...machineReason,
    }))
  }
  return [{ what: key, at, ...(key === 'post-processors' ? afterReason : packerReason) }]
}

function jsonValue(value: unknown): PackerValue {
  if (value === null || value === undefined) return { kind: 'null' }
  if (Array.isArray(value)) return { kind: 'list', items: value.map(jsonValue) }
  const map = mappingOf(value)
  if (map !== undefined)
    return { kind: 'map', entries: Object.entries(map).map(([key, inner]) => [key, jsonValue(inner)] as const) }
  return { kind: 'text', pieces: piecesOf(textOf(value) ?? '') }
}

/** Takes a text apart at what Packer fills in. */
function piecesOf(text: string): readonly Piece[] {
  return text.split(/(\{\{.*?\}\})/s).flatMap((part): readonly Piece[] => {
    if (part === '') return []
    if (!part.startsWith('{{')) return [part]
    const variable = /^\{\{\s*user\s+[`"']([^`"']+)[`"']\s*\}\}$/.exec(part)?.[1]
    if (variable !== undefined) return [{ variable }]
    return /^\{\{\s*(?:template_dir|pwd)\s*\}\}$/.test(part) ? ['.'] : [{ unknown: part }]
  })
}

function elements(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : []
}
