import { jinjaHeader, mappingOf, readCloudConfig, templateReason, textOf, type ConfigKey } from './cloud-config/read.ts'
import { addCloudInput, type UserScript } from './cloud-config/import.ts'
import type { Collector } from './collector.ts'
import { readMime, typeByStart, type UserDataPart } from './mime.ts'
import { lineOf, type SourceText } from './model.ts'
import { slug } from './slug.ts'
import { parseYaml } from '../util/yaml.ts'

/** Adds the steps of one cloud-config document. */
export function addCloudConfig(source: SourceText, to: Collector): void {
  addParts([{ source, type: 'text/cloud-config' }], to)
}

/** Adds the steps of a script of user-data; without a `#!` line it is one for sh. */
export function addUserScript(source: SourceText, to: Collector): void {
  const { text, line } = source
  const isWhole = text.startsWith('#!') || jinjaHeader.test(text)
  const whole = isWhole ? source : { ...source, text: `#!/bin/sh\n${text}`, line: line - 1 }
  addParts([{ source: whole, type: 'text/x-shellscript', fileName: 'provision' }], to)
}

/** Adds the steps of a MIME message, in the order in which cloud-init goes through its parts. */
export function addMime(source: SourceText, to: Collector): void {
  addParts(readMime(source), to)
}

interface Reasons {
  readonly why: string
  readonly hint: string
}

const lostTypes: Readonly<Record<string, Reasons>> = {
  'text/x-include-url': {
    why: 'what it points to is fetched at boot and may change',
    hint: 'fetch the documents and import them one by one',
  },
  'text/x-include-once-url': {
    why: 'what it points to is fetched at boot and may change',
    hint: 'fetch the documents and import them one by one',
  },
  'text/part-handler': { why: 'it is a program for cloud-init itself', hint: 'write what it does as a script' },
  'text/cloud-config-jsonp': { why: 'patches are not applied', hint: 'write the patched document' },
  'text/upstart-job': { why: 'cloud-init no longer runs upstart jobs', hint: 'write a systemd unit' },
}

function addParts(parts: readonly UserDataPart[], to: Collector): void {
  const config = new Map<string, ConfigKey>()
  const scripts: UserScript[] = []
  const bootScripts: UserScript[] = []
  const all = parts.flatMap((part) => (part.type === 'text/cloud-config-archive' ? readArchive(part) : [part]))
  for (const [index, given] of all.entries()) {
    const part = given.type === 'text/cloud-config' ? given : withoutHeader(given)
    const { type, source } = part
    if (jinjaHeader.test(source.text) && type !== 'text/cloud-config') {
      to.notCarried(lineOf(source, 1), 'script', templateReason.why, templateReason.hint)
      continue
    }
    const number = String(index + 1).padStart(3, '0')
    const script = (what: string): UserScript => ({
      fileName: part.fileName ?? `part-${number}`,
      name: slug((part.fileName ?? `part-${number}`).replace(/\.(?:sh|bash|py|txt)$/, '')) || `part-${number}`,
      what: part.fileName === undefined || all.length === 1 ? what : `${what} ${part.fileName}`,
      text: source.text.replaceAll('\r\n', '\n'),
      locate: (line) => lineOf(source, Math.max(line, 2 - source.line)),
    })
    if (type === 'text/cloud-config') {
      mergeConfig(config, readCloudConfig(source, to), part, to)
    } else if (type === 'text/x-shellscript') {
      scripts.push(script('script'))
    } else if (type === 'text/x-shellscript-per-instance') {
      scripts.push({
        ...script('script per instance'),
        fileName: `!instance-${part.fileName ?? number}`,
        when: 'instance',
      })
    } else if (type === 'text/x-shellscript-per-once') {
      scripts.push({ ...script('script per once'), fileName: `!${part.fileName ?? number}` })
    } else if (type === 'text/x-shellscript-per-boot') {
      bootScripts.push(script('script per boot'))
    } else if (type === 'text/cloud-boothook') {
      bootScripts.push(boothook(script('boothook')))
    } else {
      const { why, hint } = lostTypes[type] ?? {
        why: 'cloud-init does not know this type',
        hint: 'give the part a Content-Type',
      }
      to.notCarried(lineOf(source, 1), `part of type ${type}`, why, hint)
    }
  }
  addCloudInput({ config, scripts, bootScripts }, to)
}

/** A script that says it is a template but has nothing to fill in is a script like any other. */
function withoutHeader(part: UserDataPart): UserDataPart {
  const { text, line } = part.source
  if (!jinjaHeader.test(text) || /\{\{|\{%/.test(text)) return part
  return { ...part, source: { ...part.source, text: text.slice(text.indexOf('\n') + 1), line: line + 1 } }
}

/** The first line only says what it is; a program line may follow. */
function boothook(script: UserScript): UserScript {
  const lines = script.text.split('\n')
  if (lines[1]?.startsWith('#!') === true) {
    return { ...script, text: lines.slice(1).join('\n'), locate: (line) => script.locate(line + 1) }
  }
  return { ...script, text: ['#!/bin/sh', ...lines.slice(1)].join('\n') }
}

/** A list of parts in YAML: texts, or mappings with content, type and filename. */
function readArchive({ source }: UserDataPart): readonly UserDataPart[] {
  const document = parseYaml('\n'.repeat(source.line - 1) + source.text, source.file, { version: '1.1' })
  const list: readonly unknown[] = Array.isArray(document.value) ? (document.value as unknown[]) : []
  return list.map((entry, index): UserDataPart => {
    const fields = mappingOf(entry)
    const path = fields === undefined ? [index] : [index, 'content']
    const text = textOf(fields === undefined ? entry : fields['content']) ?? ''
    const fileName = textOf(fields?.['filename'])
    return {
      source: { file: source.file, text, line: document.locateInText(path, 1, 1).line ?? 1 },
      type: textOf(fields?.['type']) ?? typeByStart(text) ?? 'text/plain',
      ...(fileName === undefined ? {} : { fileName }),
    }
  })
}

/**
 * Puts a later part's keys over those of earlier ones, as cloud-init does: a key that is there already is replaced as a
 * whole, unless the part asks for lists to be appended.
 */
function mergeConfig(
  config: Map<string, ConfigKey>,
  keys: readonly ConfigKey[],
  part: UserDataPart,
  to: Collector,
): void {
  const how = part.mergeType ?? describeMerge(keys)
  const appends = how !== undefined && /list\([^)]*append/.test(how)
  const isFirst = config.size === 0
  for (const key of keys) {
    const before = config.get(key.key)
    if (before === undefined) {
      config.set(key.key, key)
    } else if (appends && Array.isArray(before.value) && Array.isArray(key.value)) {
      config.set(key.key, joined(before, key))
    } else {
      to.notCarried(
        before.at,
        key.key,
        `the part that says it again at line ${key.at.line ?? '?'} replaces it, in cloud-init too`,
        appends
          ? 'only lists are appended here: write one document'
          : 'merge the two by hand if that is not what was meant',
      )
      config.set(key.key, key)
    }
  }
  if (how !== undefined && !appends && !isFirst) {
    to.notCarried(
      lineOf(part.source, 1),
      `merging as '${how}'`,
      'later keys replace earlier ones here, or append to lists',
    )
  }
}

function describeMerge(keys: readonly ConfigKey[]): string | undefined {
  const value = keys.find(({ key }) => key === 'merge_how' || key === 'merge_type')?.value
  if (!Array.isArray(value)) return textOf(value)
  return (value as unknown[])
    .map((entry) => {
      const fields = mappingOf(entry)
      const settings = fields?.['settings']
      return `${textOf(fields?.['name']) ?? ''}(${Array.isArray(settings) ? settings.join(',') : ''})`
    })
    .join('+')
}

/** Elements of both, each still found where it was written. */
function joined(first: ConfigKey, second: ConfigKey): ConfigKey {
  const before = first.value as readonly unknown[]
  const after = second.value as readonly unknown[]
  const { document } = first
  const split = before.length
  const moved = (path: readonly (string | number)[]) => {
    const [key = '', index, ...rest] = path
    return typeof index === 'number' && index >= split ? [key, index - split, ...rest] : undefined
  }
  return {
    ...first,
    value: [...before, ...after],
    document: {
      ...document,
      locate: (path) => {
        const other = moved(path)
        return other === undefined ? document.locate(path) : second.document.locate(other)
      },
      locateInText: (path, line, column) => {
        const other = moved(path)
        return other === undefined
          ? document.locateInText(path, line, column)
          : second.document.locateInText(other, line, column)
      },
    },
  }
}
