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
    const { line: first, comment } = aboveItem(item, key.at.line ?? 0)
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

/** The line of an item's dash, and the comment lines right above it; only what stands below line `after`. */
function aboveItem(
  { at: { line = 1 }, document }: ConfigItem,
  after: number,
): { readonly line: number; readonly comment: readonly string[] } {
  const lines = document.source.split('\n')
  const isBelow = (number: number) => number > after
  // A block's text stands below its dash; between brackets there is none.
  let dash = line
  while (isBelow(dash) && !/^\s*-(?:\s|$)/.test(lines[dash - 1] ?? '')) dash -= 1
  if (!isBelow(dash)) return { line, comment: [] }
  let first = dash
  while (isBelow(first - 1) && /^\s*#/.test(lines[first - 2] ?? '')) first -= 1
  return { line: dash, comment: lines.slice(first - 1, dash - 1).map((text) => text.trim()) }
}

function at(item: ConfigItem, line: number): SourceLocation {
  const sourceLine = item.document.source.split('\n')[line - 1]
  return { file: item.at.file, line, column: 1, ...(sourceLine === undefined ? {} : { sourceLine }) }
}
