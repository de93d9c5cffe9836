import { gunzipSync } from 'node:zlib'
import { exitCodes, messageOf, UserError } from '../errors.ts'
import { lineOf, type SourceText } from './model.ts'

/** A part of user-data that holds no further parts. */
export interface UserDataPart {
  readonly source: SourceText
  /** As its header has it, or told from how it begins. */
  readonly type: string
  readonly fileName?: string
  /** How it is to be merged with the parts before it, if it says so. */
  readonly mergeType?: string
}

/** By how a part begins, as cloud-init tells them. */
const starts: readonly (readonly [start: string, type: string])[] = [
  ['#include-once', 'text/x-include-once-url'],
  ['#include', 'text/x-include-url'],
  ['#cloud-config-archive', 'text/cloud-config-archive'],
  ['#cloud-config-jsonp', 'text/cloud-config-jsonp'],
  ['#cloud-config', 'text/cloud-config'],
  ['#cloud-boothook', 'text/cloud-boothook'],
  ['#part-handler', 'text/part-handler'],
  ['#upstart-job', 'text/upstart-job'],
  ['#!', 'text/x-shellscript'],
  ['## template: jinja', 'text/jinja2'],
]

/** The type of user-data by its first characters; undefined where cloud-init would not know it either. */
export function typeByStart(text: string): string | undefined {
  const type = starts.find(([start]) => text.toLowerCase().startsWith(start))?.[1]
  if (type !== 'text/jinja2') return type
  return typeByStart(text.slice(text.indexOf('\n') + 1).trimStart()) ?? type
}

/** True for a text that begins with the headers of a MIME message. */
export function looksLikeMime(text: string): boolean {
  return /^(?:[A-Za-z-]+:.*\r?\n(?:[ \t].*\r?\n)*)*?(?:MIME-Version|Content-Type):/i.test(text.slice(0, 8000))
}

/** The parts of a MIME message in their order, nested ones in place. Throws UserError for what is none. */
export function readMime(source: SourceText): readonly UserDataPart[] {
  const entity = readEntity(source)
  const { body, headers } = entity
  const type = headers.get('content-type') ?? 'text/plain'
  const [mediaType = ''] = type.toLowerCase().split(';')
  if (!mediaType.trim().startsWith('multipart/')) return [leaf(entity, source)]
  const boundary = parameter(type, 'boundary')
  if (boundary === undefined) fail(source, 1, 'a multi-part message names no boundary')
  return splitParts(body, boundary).flatMap(readMime)
}

interface Entity {
  readonly headers: ReadonlyMap<string, string>
  readonly body: SourceText
}

function readEntity(source: SourceText): Entity {
  const lines = source.text.split('\n')
  const headers = new Map<string, string>()
  let last = ''
  let index = 0
  for (; index < lines.length; index += 1) {
    const line = (lines[index] ?? '').replace(/\r$/, '')
    if (line === '') break
    const header = /^([!-9;-~]+):\s*(.*)$/.exec(line)
    if (header !== null) {
      last = (header[1] ?? '').toLowerCase()
      headers.set(last, header[2] ?? '')
    } else if (/^[ \t]/.test(line) && last !== '') {
      headers.set(last, `${headers.get(last) ?? ''} ${line.trim()}`)
    } else if (!(index === 0 && line.startsWith('From '))) {
      fail(source, index + 1, 'this is no header of a MIME part')
    }
  }
  const text = lines.slice(index + 1).join('\n')
  return { headers, body: { file: source.file, text, line: source.line + index + 1 } }
}

function splitParts(body: SourceText, boundary: string): readonly SourceText[] {
  const lines = body.text.split('\n')
  const marks = lines.flatMap((line, index) => {
    const mark = line.trimEnd()
    return mark === `--${boundary}` || mark === `--${boundary}--` ? [{ index, isEnd: mark !== `--${boundary}` }] : []
  })
  const parts = marks.flatMap(({ index, isEnd }, order): readonly SourceText[] => {
    if (isEnd) return []
    const end = marks[order + 1]?.index ?? lines.length
    return [{ file: body.file, text: lines.slice(index + 1, end).join('\n'), line: body.line + index + 1 }]
  })
  if (parts.length === 0) fail(body, 1, `no part begins with --${boundary}`)
  return parts
}

function leaf({ headers, body }: Entity, source: SourceText): UserDataPart {
  const header = (headers.get('content-type') ?? 'text/plain').split(';')[0]?.trim().toLowerCase() ?? ''
  const disposition = headers.get('content-disposition') ?? ''
  const fileName = parameter(disposition, 'filename') ?? parameter(headers.get('content-type') ?? '', 'name')
  const decoded = decode(body, headers.get('content-transfer-encoding') ?? '7bit', source)
  const byStart = typeByStart(decoded.text)
  const type = [
    'text/plain',
    'text/x-not-multipart',
    'application/octet-stream',
    'text/jinja2',
    'application/gzip',
    'application/x-gzip',
  ].includes(header)
    ? (byStart ?? header)
    : header
  const mergeType = headers.get('merge-type') ?? headers.get('x-merge-type')
  return {
    source: decoded,
    type,
    ...(fileName === undefined ? {} : { fileName }),
    ...(mergeType === undefined ? {} : { mergeType }),
  }
}

/** Lines of what is encoded have no lines in the file: they are counted in the part itself. */
function decode(body: SourceText, encoding: string, part: SourceText): SourceText {
  const name = encoding.trim().toLowerCase()
  let bytes: Buffer
  if (name === 'base64') bytes = Buffer.from(body.text, 'base64')
  else if (name === 'quoted-printable') bytes = fromQuotedPrintable(body.text)
  else if (['7bit', '8bit', 'binary', ''].includes(name)) return { ...body, text: body.text.replaceAll('\r\n', '\n') }
  else return fail(part, 1, `a part has the unknown encoding '${encoding}'`)
  try {
    const text = unpacked(bytes).toString('utf8')
    return { file: `${body.file} (part at line ${part.line}, decoded)`, text, line: 1 }
  } catch (error) {
    return fail(part, 1, `a part cannot be unpacked: ${messageOf(error)}`)
  }
}

/** What gzip has packed, or the bytes as they are. */
export function unpacked(bytes: Buffer): Buffer {
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes
}

function fromQuotedPrintable(text: string): Buffer {
  const joined = text.replaceAll(/=\r?\n/g, '')
  const bytes = joined.replaceAll(/=([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(bytes, 'latin1')
}

function parameter(header: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^;\\s]+))`, 'i').exec(header)
  return match?.[1] ?? match?.[2]
}

function fail(source: SourceText, line: number, message: string): never {
  throw new UserError(message, { location: lineOf(source, line), exitCode: exitCodes.usage, code: 'import-invalid' })
}
