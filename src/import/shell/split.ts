import { effectsOf, isAbsoluteCd, mentions, type Effects } from './effects.ts'
import { scanShell, type Statement } from './scan.ts'

/** A part of a script that runs as well in a shell of its own. Lines count from 1 in the whole script. */
export interface ScriptPart {
  /** The comment above it, without `#`; empty where it has none. */
  readonly heading: readonly string[]
  readonly firstLine: number
  readonly lastLine: number
  /** Its lines as they are, comments in it included. */
  readonly body: string
  /** Declarations of earlier parts that it uses, in their order. */
  readonly carried: readonly string[]
}

/** A script taken apart. */
export interface SplitScript {
  readonly parts: readonly ScriptPart[]
  /** A line that sends the output of all to a place of its own, which parts do not repeat. */
  readonly redirection?: Statement
}

interface Section {
  readonly heading: readonly string[]
  readonly firstLine: number
  readonly lastLine: number
  /** Indexes of its first statement and of the one after its last. */
  readonly from: number
  readonly to: number
}

const outputOnly = /^\s*exec\s+(?:[12]?>>?|&>>?|>\s*>\()(?!.*(?:;|&&|\|\|)).*$/

/**
 * Takes a script apart at comments after an empty line, where both sides run in shells of their own as they run in one.
 * In doubt it stays whole: undefined.
 */
export function splitScript(text: string): SplitScript | undefined {
  const statements = scanShell(text)
  if (statements === undefined || statements.length === 0 || /\$0|\$\{!|BASH_SOURCE|FUNCNAME|LINENO/.test(text))
    return undefined
  const lines = text.split('\n')
  const redirection = statements.find((statement) => outputOnly.test(statement.text))
  const kept = statements.filter((statement) => statement !== redirection)
  const effects = effectsOf(kept)
  const sections = mergeSections(sectionsOf(lines, kept, effects), kept, effects)
  if (sections.length < 2) return undefined
  const parts = sections.map((section): ScriptPart => {
    const body = lines
      .slice(section.firstLine - 1, section.lastLine)
      .map((line, offset) => (inside(section.firstLine + offset, redirection) ? '' : line))
      .join('\n')
    return {
      heading: section.heading,
      firstLine: section.firstLine,
      lastLine: section.lastLine,
      body: `${body.trimEnd()}\n`,
      carried: withDeclarations(section.from, section.to, kept, effects).carried,
    }
  })
  return { parts, ...(redirection === undefined ? {} : { redirection }) }
}

function inside(line: number, statement: Statement | undefined): boolean {
  return statement !== undefined && line >= statement.firstLine && line <= statement.lastLine
}

/** Cuts before every comment that follows an empty line; sections before the last that only declare are left out. */
function sectionsOf(
  lines: readonly string[],
  statements: readonly Statement[],
  effects: readonly Effects[],
): readonly Section[] {
  const sections: Omit<Section, 'to' | 'lastLine'>[] = []
  for (const [index, { firstLine }] of statements.entries()) {
    const above = commentAbove(lines, firstLine)
    const isFirst = sections.length === 0
    if (!isFirst && (above.length === 0 || !above.separate)) continue
    const start = isFirst ? 1 : firstLine - above.length
    sections.push({ heading: above.text, firstLine: start, from: index })
  }
  const cut = sections.map((section, index): Section => ({
    ...section,
    lastLine: (sections[index + 1]?.firstLine ?? lines.length + 1) - 1,
    to: sections[index + 1]?.from ?? statements.length,
  }))
  // Declarations alone do nothing: they go along with whatever uses them. At the end they make the script's status.
  return cut.filter((section) => section.to === statements.length || !onlyDeclares(section, effects))
}

function onlyDeclares({ from, to }: Section, effects: readonly Effects[]): boolean {
  return effects.slice(from, to).every(({ declares }) => declares)
}

interface Above {
  readonly length: number
  readonly text: readonly string[]
  /** An empty line stands before it. */
  readonly separate: boolean
}

function commentAbove(lines: readonly string[], line: number): Above {
  let first = line
  while (first > 1 && /^\s*#(?!!)/.test(lines[first - 2] ?? '')) first -= 1
  const comment = lines.slice(first - 1, line - 1)
  const text = comment.map((entry) => entry.replace(/^\s*#+\s?|\s+$/g, '').trim()).filter((entry) => /\w/.test(entry))
  const separate = text.length > 0 && (first === 1 || /^\s*$|^#!/.test(lines[first - 2] ?? ''))
  return { length: comment.length, text, separate }
}

/** Joins neighbours that must stay in one shell. */
function mergeSections(
  sections: readonly Section[],
  statements: readonly Statement[],
  effects: readonly Effects[],
): readonly Section[] {
  const merged: Section[] = []
  for (const section of sections) {
    const before = merged.at(-1)
    const mayCut =
      before === undefined || (mayCutBefore(section, statements, effects) && !onlyDeclares(section, effects))
    if (mayCut || before === undefined) merged.push(section)
    else merged[merged.length - 1] = { ...before, lastLine: section.lastLine, to: section.to }
  }
  return merged
}

function mayCutBefore({ from }: Section, statements: readonly Statement[], effects: readonly Effects[]): boolean {
  const first = statements[from]
  if (first === undefined || /\$[?!_]|\bPIPESTATUS\b/.test(first.text)) return false
  const { text } = withDeclarations(from, statements.length, statements, effects)
  return effects.slice(0, from).every(({ binds, changesFolder, declares, sets }) => {
    if (binds) return false
    // A later `cd /…` makes an earlier one forgotten.
    if (changesFolder && !isAbsoluteCd(first.text)) return false
    return declares || !sets.some((name) => mentions(text, name))
  })
}

interface WithDeclarations {
  readonly carried: readonly string[]
  /** All that is read where these statements run: their own text and that of what is carried. */
  readonly text: string
}

/** The declarations before statement `from` that those up to `to` use, directly or through others. */
function withDeclarations(
  from: number,
  to: number,
  statements: readonly Statement[],
  effects: readonly Effects[],
): WithDeclarations {
  const earlier = statements.slice(0, from).flatMap((statement, index) => {
    const effect = effects[index]
    return effect?.declares === true ? [{ text: statement.text, effect }] : []
  })
  const chosen = new Set(earlier.filter(({ effect }) => effect.forAll))
  const own = statements.slice(from, to).map((statement) => statement.text)
  const all = () => [...own, ...[...chosen].map((entry) => entry.text)].join('\n')
  for (let before = -1; before < chosen.size;) {
    before = chosen.size
    const text = all()
    for (const entry of earlier) {
      if (entry.effect.names.some((name) => mentions(text, name))) chosen.add(entry)
    }
  }
  return { carried: earlier.filter((entry) => chosen.has(entry)).map((entry) => entry.text), text: all() }
}
