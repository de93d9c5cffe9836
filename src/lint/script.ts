import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { SourceLocation } from '../errors.ts'
import type { StepSource } from '../recipe/load.ts'
import type { StepEffects } from '../steps/types.ts'
import { displayPath } from '../util/display-path.ts'
import { callOf } from './shell/call.ts'
import { readShell } from './shell/read.ts'
import type { LintedScript } from './model.ts'

/** A script and where its lines stand. */
interface ScriptText {
  readonly text: string
  readonly file: string | undefined
  readonly locateLine: (line: number, column: number) => SourceLocation
}

/** The script that a step's key holds or names; undefined where the step has none. */
export async function readScript(
  source: StepSource,
  declared: StepEffects['script'],
): Promise<LintedScript | undefined> {
  const value = declared === undefined ? undefined : source.raw[declared.key]
  if (declared === undefined || typeof value !== 'string') return undefined
  const { text, file, locateLine } =
    declared.kind === 'file' ? await textOfFile(source, value) : textOfKey(source, declared.key, value)
  const dialect = dialectOf(text)
  const shell = readShell(dialect === undefined ? '' : text)
  const starts = lineStarts(text)
  return {
    text,
    file,
    dialect,
    shell,
    calls: shell.commands.map(callOf).filter((call) => call !== undefined),
    // What the script type puts before a script without `#!`.
    addedLines: text.startsWith('#!') ? 0 : 2,
    locateLine,
    locate: (offset) => {
      const line = lineOf(starts, offset)
      return locateLine(line, offset - (starts[line - 1] ?? 0) + 1)
    },
  }
}

/** The shell that runs a script by its `#!`, or undefined for another interpreter. */
export function dialectOf(text: string): LintedScript['dialect'] {
  if (!text.startsWith('#!')) return 'sh'
  const name = /^#![ \t]*(?:\S*\/)?(?:env[ \t]+(?:-S[ \t]+)?)?(?:busybox[ \t]+)?([\w.+-]+)/.exec(text)?.[1]
  if (name === 'sh' || name === 'bash' || name === 'dash' || name === 'ksh') return name
  return name === 'ash' ? 'dash' : undefined
}

function textOfKey({ document, path }: StepSource, key: string, text: string): ScriptText {
  return { text, file: undefined, locateLine: (line, column) => document.locateInText([...path, key], line, column) }
}

async function textOfFile({ document }: StepSource, relative: string): Promise<ScriptText> {
  const file = join(dirname(resolve(document.file)), relative)
  const text = await readFile(file, 'utf8')
  const shown = displayPath(file)
  const lines = text.split('\n')
  return {
    text,
    file: shown,
    locateLine: (line, column) => ({ file: shown, line, column, sourceLine: lines[line - 1] ?? '' }),
  }
}

function lineStarts(text: string): readonly number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

/** From 1. */
function lineOf(starts: readonly number[], offset: number): number {
  let low = 0
  let high = starts.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle
  }
  return low + 1
}
