import type { SourceLocation } from '../../errors.ts'
import { shQuote } from '../../util/sh-quote.ts'
import type { Collector } from '../collector.ts'
import { itemsOf, textOf, type ConfigItem, type ConfigKey } from './read.ts'

/** Commands of a cloud-config as the one script that cloud-init makes of them. */
export interface CommandScript {
  readonly text: string
  /** Where a line of it (from 1) stands in the input. */
  readonly locate: (line: number) => SourceLocation
}

/**
 * The script of `runcmd` or `bootcmd`: texts as they are, lists quoted. Comments between commands are kept, an empty line
 * before each, so that the script can be taken apart there. Entries that are no command are reported.
 */
export function commandScript(key: ConfigKey, to: Collector): CommandScript | undefined {
  const lines: string[] = ['#!/bin/sh']
  const places: SourceLocation[] = [key.at]
  let commands = 0
  for (const item of itemsOf(key)) {
    const text = commandText(item.value)
    if (text === undefined) {
      if (item.value !== null) to.notCarried(item.at, `entry of ${key.key}`, 'it is neither a text nor a list of texts')
      else to.carried(item.at, `entry of ${key.key}`, [], 'is empty')
      continue
    }
    const { line: first, comment } = aboveItem(item)
    if (comment.length > 0) {
      lines.push('', ...comment)
      places.push(...[0, ...comment.keys()].map((index) => at(item, first - comment.length + index)))
    }
    commands += 1
    for (const [index, piece] of text.replace(/\n$/, '').split('\n').entries()) {
      lines.push(piece)
      places.push(item.document.locateInText(item.path, index + 1, 1))
    }
  }
  if (commands === 0) return undefined
  return { text: `${lines.join('\n')}\n`, locate: (line) => places[line - 1] ?? key.at }
}

function commandText(value: unknown): string | undefined {
  if (Array.isArray(value)) {
    const words = value.map(wordText)
    return words.every((word) => word !== undefined) ? words.map((word) => shQuote(word)).join(' ') : undefined
  }
  return textOf(value)
}

/** As Python writes it, for that is what cloud-init does. */
function wordText(word: unknown): string | undefined {
  if (word === null) return 'None'
  return typeof word === 'boolean' ? (word ? 'True' : 'False') : textOf(word)
}

/** The line of an item's dash, and the comment lines right above it. */
function aboveItem({ at: { line = 1, column = 1 }, document }: ConfigItem): {
  readonly line: number
  readonly comment: readonly string[]
} {
  const lines = document.source.split('\n')
  let dash = line
  // A block's text stands below its dash.
  if (!/^\s*(?:-\s+)+$/.test((lines[line - 1] ?? '').slice(0, column - 1))) {
    for (let above = line - 1; above > 0 && line - above < 50; above -= 1) {
      if (!/^\s*-(?:\s|$)/.test(lines[above - 1] ?? '')) continue
      dash = above
      break
    }
  }
  let first = dash
  while (first > 1 && /^\s*#/.test(lines[first - 2] ?? '')) first -= 1
  return { line: dash, comment: lines.slice(first - 1, dash - 1).map((text) => text.trim()) }
}

function at(item: ConfigItem, line: number): SourceLocation {
  const sourceLine = item.document.source.split('\n')[line - 1]
  return { file: item.at.file, line, column: 1, ...(sourceLine === undefined ? {} : { sourceLine }) }
}
