/** Where the scanner is inside a line of shell. */
type Quote = '' | "'" | '"'

interface HereDocument {
  readonly delimiter: string
  readonly stripTabs: boolean
}

interface ScannedLine {
  /** The line without trailing comment and white space, as far as they are not inside quotes. */
  readonly text: string
  /** The quote that is still open at the end of the line. */
  readonly quote: Quote
  readonly hereDocuments: readonly HereDocument[]
}

/**
 * Drops comments, blank lines and indentation from a shell script; quoted text, here-documents and continued lines stay as
 * they are. Made for our own POSIX scripts, and tested on them by comparing how bash parses both: it does not follow
 * quotes of one kind nested in command substitutions of another.
 */
export function squeezeShell(script: string): string {
  const lines = script.split('\n')
  const kept: string[] = []
  const pending: HereDocument[] = []
  let quote: Quote = ''
  let continued = false
  for (const [index, line] of lines.entries()) {
    const document = pending[0]
    if (document !== undefined) {
      kept.push(line)
      if ((document.stripTabs ? line.replace(/^\t+/, '') : line) === document.delimiter) pending.shift()
      continue
    }
    if (index === 0 && line.startsWith('#!')) {
      kept.push(line)
      continue
    }
    const inside: boolean = quote !== '' || continued
    const scanned = scanLine(line, quote)
    const text: string = inside ? scanned.text : scanned.text.replace(/^[ \t]+/, '')
    if (text !== '' || inside) kept.push(text)
    quote = scanned.quote
    continued = quote === '' && /(^|[^\\])(\\\\)*\\$/.test(text)
    pending.push(...scanned.hereDocuments)
  }
  return `${kept.join('\n').replace(/\n+$/, '')}\n`
}

function scanLine(line: string, openQuote: Quote): ScannedLine {
  // Most lines have nothing to scan for, and this runs at every start of `parbake user-data`.
  if (openQuote === '' && !/['"#<\\]/.test(line)) return { text: line.trimEnd(), quote: '', hereDocuments: [] }
  const hereDocuments: HereDocument[] = []
  let quote = openQuote
  let at = 0
  while (at < line.length) {
    const char = line[at]
    if (char === '\\' && quote !== "'") {
      at += 2
      continue
    }
    if (quote !== '') {
      if (char === quote) quote = ''
    } else if (char === "'" || char === '"') {
      quote = char
    } else if (char === '#' && (at === 0 || /[ \t;]/.test(line[at - 1] ?? ''))) {
      return { text: line.slice(0, at).trimEnd(), quote, hereDocuments }
    } else if (char === '<') {
      const match = /^<<(-?)[ \t]*(\\|(['"]))?([A-Za-z_][A-Za-z0-9_]*)\3?/.exec(line.slice(at))
      if (match !== null) {
        hereDocuments.push({ delimiter: match[4] ?? '', stripTabs: match[1] === '-' })
        at += match[0].length
        continue
      }
    }
    at += 1
  }
  // A blank after a final backslash means something else than a backslash at the end.
  return { text: quote === '' && !/\\[ \t]+$/.test(line) ? line.trimEnd() : line, quote, hereDocuments }
}
