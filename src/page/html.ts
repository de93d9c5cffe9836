/** Text that is HTML already. Only `html` and `raw` make it, so that nothing else gets into the page unescaped. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }
}

export type HtmlPart = Html | string | number | undefined | false | readonly HtmlPart[]

/** A template whose values are escaped, for text and for quoted attributes alike; lists are joined, nothing is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlPart[]): Html {
  return new Html(strings.reduce((text, part, index) => text + partText(values[index - 1]) + part))
}

/** Marks text as HTML. Only for what this folder itself made. */
export function raw(text: string): Html {
  return new Html(text)
}

/** Hosts chose step names, errors and hostnames: what is not escaped is theirs to run. */
export function escapeHtml(text: string): string {
  return cleanText(text).replaceAll(/[&<>"']/g, (character) => entities[character] ?? character)
}

/** Without what changes the direction of text or has no shape. */
export function cleanText(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]+/gu, ' ')
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function partText(part: HtmlPart): string {
  if (part === undefined || part === false) return ''
  if (part instanceof Html) return part.text
  if (typeof part === 'object') return part.map(partText).join('')
  return escapeHtml(String(part))
}

/** JSON that may stand in a script element: `<` cannot end it, and it parses to the same value. */
export function jsonForScript(value: unknown): Html {
  return raw(JSON.stringify(value).replaceAll('<', String.raw`\u003c`))
}
