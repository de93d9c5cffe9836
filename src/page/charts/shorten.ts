import { cleanText } from '../html.ts'

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Text of at most `max` characters as people count them, its end cut where it is longer. */
export function shorten(text: string, max: number): string {
  const characters = [...segmenter.segment(cleanText(text))].map(({ segment }) => segment)
  return characters.length <= max ? characters.join('') : `${characters.slice(0, max - 1).join('')}…`
}
