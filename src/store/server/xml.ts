/** An element with text or children; arrays repeat the name. */
export type XmlValue =
  | string
  | number
  | boolean
  | { readonly [name: string]: XmlValue | readonly XmlValue[] | undefined }

const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/'

/** An S3 answer; error documents have no namespace. */
export function renderXml(root: string, value: XmlValue): string {
  const attribute = root === 'Error' ? '' : ` xmlns="${namespace}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${attribute}>${renderContent(value)}</${root}>`
}

function renderContent(value: XmlValue): string {
  if (typeof value !== 'object') return escapeXml(String(value))
  return Object.entries(value)
    .flatMap(([name, member]) => {
      if (member === undefined) return []
      const values = isList(member) ? member : [member]
      return values.map((each) => `<${name}>${renderContent(each)}</${name}>`)
    })
    .join('')
}

function isList(value: XmlValue | readonly XmlValue[]): value is readonly XmlValue[] {
  return Array.isArray(value)
}

function escapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  }
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character)
}

/**
 * The contents of every `<name>` element of a small, flat request document (parts of an upload, keys to delete). No
 * general parser: no comments, CDATA or document types, which S3 clients do not send.
 */
export function elements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map(
    (match) => match[1] ?? '',
  )
}

/** The text of the first `<name>` element, entities resolved. */
export function elementText(xml: string, name: string): string | undefined {
  return elements(xml, name)[0]
    ?.trim()
    .replaceAll(/&(#x?[0-9a-fA-F]+|\w+);/g, resolveEntity)
}

function resolveEntity(whole: string, name: string): string {
  const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
  if (!name.startsWith('#')) return named[name] ?? whole
  const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
}
