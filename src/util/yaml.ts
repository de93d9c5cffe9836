import {
  constructFromEvents,
  dump,
  EVENT_ID,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  YAML11_SCHEMA,
  YAMLException,
  type Event,
} from 'js-yaml'
import { exitCodes, UserError, type SourceLocation } from '../errors.ts'

/** Keys and indexes from the root of a document to a value. */
export type YamlPath = readonly (string | number)[]

/** A parsed YAML file that can still say where each value was written. */
export interface YamlDocument {
  /** As it is shown to users. */
  readonly file: string
  /** What was parsed: lines and columns of locations count in it. */
  readonly source: string
  readonly value: unknown
  /** Where the value at `path` starts; of its nearest existing ancestor where there is none. */
  locate(path: YamlPath): SourceLocation
  /** Where the key that ends `path` is written. */
  locateKey(path: YamlPath): SourceLocation
  /** Where line `line`, column `column` (from 1) of the text at `path` stands in this file. */
  locateInText(path: YamlPath, line: number, column: number): SourceLocation
}

interface PositionNode {
  readonly offset: number
  /** Only for scalars: how the text maps to the source. */
  readonly style?: number
  /** Only for block scalars: columns that the block's indentation takes. */
  readonly indent?: number
  readonly entries?: ReadonlyMap<string, { readonly keyOffset: number; readonly node: PositionNode }>
  readonly items?: readonly PositionNode[]
}

export interface ParseYamlOptions {
  /** 1.1 is what PyYAML, and so cloud-init, reads: `0644` is octal, `yes` is true. Default 1.2. */
  readonly version?: '1.1' | '1.2'
}

/**
 * Reads one YAML document; an empty text gives null. Throws UserError (exit code 2) with a position for bad syntax,
 * duplicate keys and aliases that contain themselves.
 */
export function parseYaml(text: string, file: string, { version = '1.2' }: ParseYamlOptions = {}): YamlDocument {
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text
  const at = (offset: number) => locationOf(source, file, offset)
  let events: Event[]
  let value: unknown
  try {
    events = parseEvents(source, {})
    const empty = !events.some((event) => event.type !== EVENT_ID.DOCUMENT && event.type !== EVENT_ID.POP)
    const schema = version === '1.1' ? { schema: YAML11_SCHEMA } : {}
    value = empty ? null : onlyDocument(constructFromEvents(events, { source, maxAliases: 100, ...schema }))
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error
    throw syntaxError(error, source, file)
  }
  const root = buildPositions(source, events, (offset) => {
    throw new UserError('an alias refers to what contains it', { location: at(offset), exitCode: exitCodes.usage })
  })
  return {
    file,
    source,
    value,
    locate: (path) => at(find(root, path).offset),
    locateKey: (path) => {
      const parent = find(root, path.slice(0, -1))
      return at(parent.entries?.get(String(path.at(-1)))?.keyOffset ?? parent.offset)
    },
    locateInText: (path, line, column) => at(offsetInText(source, find(root, path), line, column)),
  }
}

function onlyDocument(documents: readonly unknown[]): unknown {
  if (documents.length > 1) throw new YAMLException('expected a single document in the stream, but found more')
  return documents[0]
}

/**
 * The YAML text of a plain value, for YAML 1.1 and 1.2 readers alike: whatever a 1.1 reader would take for a number, a
 * date or a boolean is quoted; texts of several lines become literal blocks; no line is folded.
 */
export function dumpYaml(value: unknown): string {
  return dump(value, { lineWidth: -1, noRefs: true })
}

/** The position of a character offset, with its line. */
export function locationOf(source: string, file: string, offset: number): SourceLocation {
  let line = 1
  let lineStart = 0
  for (let end = source.indexOf('\n'); end !== -1 && end < offset; end = source.indexOf('\n', lineStart)) {
    line += 1
    lineStart = end + 1
  }
  const lineEnd = source.indexOf('\n', lineStart)
  return {
    file,
    line,
    column: offset - lineStart + 1,
    sourceLine: source.slice(lineStart, lineEnd === -1 ? source.length : lineEnd).replace(/\r$/, ''),
  }
}

function syntaxError(error: YAMLException, source: string, file: string): UserError {
  const offset = error.mark?.position ?? 0
  const location = locationOf(source, file, Math.min(offset, source.length))
  const line = location.sourceLine ?? ''
  const options = { location, exitCode: exitCodes.usage, cause: error }
  if (error.reason === 'duplicated mapping key') {
    const key = /^[^\s:,}]+/.exec(source.slice(offset))?.[0] ?? ''
    return new UserError(`the key '${key}' appears twice in the same mapping`, options)
  }
  if (/^ *\t/.test(line)) {
    return new UserError(`bad YAML: ${error.reason}`, {
      ...options,
      hint: 'YAML is indented with spaces, never with tabs',
    })
  }
  if (/^[^'"#]*: +[^'"#|>[{\s][^#]*: /.test(line)) {
    return new UserError(`bad YAML: ${error.reason}`, { ...options, hint: "quote a value that contains ': '" })
  }
  return new UserError(`bad YAML: ${error.reason}`, options)
}

/** Walks the event stream beside the loader, which drops positions. */
function buildPositions(source: string, events: readonly Event[], onCycle: (offset: number) => never): PositionNode {
  const anchors = new Map<string, PositionNode | undefined>()
  let next = 0
  const anchorOf = (event: { anchorStart: number; anchorEnd: number }) =>
    event.anchorStart < 0 ? undefined : source.slice(event.anchorStart, event.anchorEnd)
  const isEnd = () => next >= events.length || events[next]?.type === EVENT_ID.POP

  const readNode = (): PositionNode => {
    const event = events[next]
    next += 1
    if (event === undefined || event.type === EVENT_ID.DOCUMENT || event.type === EVENT_ID.POP) return { offset: 0 }
    const anchor = anchorOf(event)
    if (event.type === EVENT_ID.ALIAS) {
      const target = anchor === undefined ? undefined : anchors.get(anchor)
      return target === undefined ? onCycle(event.anchorStart) : { ...target, offset: event.anchorStart - 1 }
    }
    if (anchor !== undefined) anchors.set(anchor, undefined)
    const node =
      event.type === EVENT_ID.SCALAR
        ? scalarNode(source, event)
        : event.type === EVENT_ID.SEQUENCE
          ? { offset: event.start, items: readItems() }
          : { offset: event.start, entries: readEntries() }
    if (anchor !== undefined) anchors.set(anchor, node)
    return node
  }
  const readItems = (): PositionNode[] => {
    const items: PositionNode[] = []
    while (!isEnd()) items.push(readNode())
    next += 1
    return items
  }
  const readEntries = () => {
    const entries = new Map<string, { keyOffset: number; node: PositionNode }>()
    while (!isEnd()) {
      const event = events[next]
      const keyText = event?.type === EVENT_ID.SCALAR ? getScalarValue(source, event) : ''
      const { offset } = readNode()
      const node = readNode()
      // An absent value (`key:`) has no position of its own.
      entries.set(keyText, { keyOffset: offset, node: node.offset <= 0 ? { ...node, offset } : node })
    }
    next += 1
    return entries
  }

  while (events[next]?.type === EVENT_ID.DOCUMENT) next += 1
  return readNode()
}

function scalarNode(source: string, event: Extract<Event, { type: typeof EVENT_ID.SCALAR }>): PositionNode {
  const { style, valueStart, indent } = event
  if (style === SCALAR_STYLE.LITERAL_BLOCK || style === SCALAR_STYLE.FOLDED_BLOCK) {
    return { offset: valueStart + Math.max(0, indent), style, indent: Math.max(0, indent) }
  }
  const quoted = style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED
  return { offset: quoted && /['"]/.test(source[valueStart - 1] ?? '') ? valueStart - 1 : valueStart, style }
}

function find(root: PositionNode, path: YamlPath): PositionNode {
  let node = root
  for (const part of path) {
    const child = typeof part === 'number' ? node.items?.[part] : node.entries?.get(part)?.node
    if (child === undefined) return node
    node = child
  }
  return node
}

function offsetInText(source: string, node: PositionNode, line: number, column: number): number {
  if (node.style === SCALAR_STYLE.LITERAL_BLOCK) {
    let start = node.offset - (node.indent ?? 0)
    for (let count = 1; count < line; count += 1) {
      const newline = source.indexOf('\n', start)
      if (newline === -1) return node.offset
      start = newline + 1
    }
    return start + (node.indent ?? 0) + column - 1
  }
  if (node.style === SCALAR_STYLE.FOLDED_BLOCK || line > 1) return node.offset
  const quote = node.style === SCALAR_STYLE.PLAIN ? 0 : 1
  return node.offset + quote + column - 1
}
