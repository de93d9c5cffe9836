import * as marks from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { cleanText, escapeHtml, type Html, raw } from './html.ts'

/** Widths in CSS pixels at which every chart is drawn: text keeps its size on a phone only where it is drawn for one. */
export const chartWidths = { wide: 960, narrow: 340 } as const

export type ChartSize = keyof typeof chartWidths

/** Observable Plot: its marks, and what turns a plot into text. Everything else reaches the library through this. */
export interface Draw {
  readonly marks: typeof marks
  readonly size: ChartSize
  readonly width: number
}

/** Draws one chart in both sizes. Its colours are CSS variables and `currentColor`, so that it follows the page's theme. */
export function drawBoth(label: string, draw: (draw: Draw) => marks.PlotOptions): Html {
  const charts = (['wide', 'narrow'] as const).map((size) => {
    const width = chartWidths[size]
    return render(label, size, { width, ...draw({ marks, size, width }) })
  })
  return raw(charts.join('\n'))
}

/** Attributes whose numbers need no more than a hundredth of a pixel. */
const coordinates = new Set([
  'd',
  'height',
  'points',
  'r',
  'rx',
  'transform',
  'width',
  'x',
  'x1',
  'x2',
  'y',
  'y1',
  'y2',
])

/**
 * One SVG element as text, an image with `label` as its text alternative. The library escapes what it is given. Its style
 * element is dropped (the page has the rules, and a policy that allows no other), and so are labels of parts, which say
 * nothing inside an image.
 */
function render(label: string, size: ChartSize, options: marks.PlotOptions): string {
  const { document } = parseHTML('<!doctype html><html><body></body></html>')
  const svg = marks.plot({ className: 'plot', document, ...options }) as unknown as SvgElement
  svg.querySelector('style')?.remove()
  for (const element of [svg, ...svg.querySelectorAll('*')]) {
    for (const name of [...element.getAttributeNames()]) {
      const value = element.getAttribute(name) ?? ''
      if (name.startsWith('aria-')) element.removeAttribute(name)
      else if (coordinates.has(name)) element.setAttribute(name, value.replaceAll(/(\.\d\d)\d+/g, '$1'))
    }
  }
  svg.setAttribute('class', `chart ${size}`)
  svg.setAttribute('font-size', '12')
  svg.removeAttribute('font-family')
  return cleanText(svg.outerHTML).replace('<svg', () => `<svg role="img" aria-label="${escapeHtml(label)}"`)
}

/** What is used of a DOM element; Node's types have none. */
interface SvgElement {
  readonly outerHTML: string
  getAttributeNames(): readonly string[]
  getAttribute(name: string): string | null
  setAttribute(name: string, value: string): void
  removeAttribute(name: string): void
  querySelector(selector: string): { remove(): void } | null
  querySelectorAll(selector: string): Iterable<SvgElement>
}
