import { styled, terminalStyle, type TableStyle } from '../report/table.ts'
import { originText, type Origin } from './params.ts'
import type { ShownParam, ShownRecipe, ShownStep } from './show.ts'

/** Keys that the line of the step itself shows. */
const shownAbove: ReadonlySet<string> = new Set(['name', 'type'])

/** Characters of a value before it is cut. */
const valueLength = 60

interface Line {
  readonly text: string
  readonly origin?: Origin
}

/** A resolved recipe for people: every step and value, and behind it the place where it is written. Pure. */
export function renderShown(recipe: ShownRecipe, style: TableStyle = terminalStyle()): string {
  const heading = (text: string): Line => ({ text: styled(text, 'bold', style.colour) })
  const lines: Line[] = [
    heading(`${recipe.name}, ${timesText(recipe)}`),
    ...(recipe.description === undefined ? [] : [{ text: `  ${recipe.description}` }]),
  ]
  if (Object.keys(recipe.params).length > 0) lines.push({ text: '' }, heading('params'), ...paramLines(recipe.params))
  for (const step of recipe.steps) lines.push({ text: '' }, ...stepLines(step, heading))
  const width = Math.max(...lines.map(({ text, origin }) => (origin === undefined ? 0 : text.length)))
  return lines
    .map(({ text, origin }) =>
      origin === undefined ? text : `${text.padEnd(width)}  ${styled(originText(origin), 'dim', style.colour)}`,
    )
    .join('\n')
}

function timesText({ everyMinutes, schedule, parallel }: ShownRecipe): string {
  const times =
    schedule === undefined
      ? `every ${everyMinutes} minutes`
      : `at ${schedule.cron}, hosts spread over ${schedule.splaySeconds} s`
  return parallel === undefined ? times : `${times}, at most ${parallel} steps at a time`
}

function paramLines(params: Readonly<Record<string, ShownParam>>, indent = '  '): Line[] {
  return Object.entries(params).map(([name, { value, origin }]) => ({
    text: `${indent}${name}: ${shorten(value)}`,
    origin,
  }))
}

function stepLines(step: ShownStep, heading: (text: string) => Line): Line[] {
  const { name, type, origin, values, params, rendered, needs, digest } = step
  const facts = [`digest ${digest.slice(0, 12)}`, needs.length === 0 ? 'needs nothing' : `needs ${needs.join(', ')}`]
  return [
    heading(`${name} (${type})`),
    { text: `  ${facts.join('; ')}`, ...(origin === undefined ? {} : { origin }) },
    ...(rendered.conditions ?? []).map((text) => ({ text: `  only where ${text.replaceAll(',', ' or ')}` })),
    ...(params === undefined ? [] : paramLines(params, '  with ')),
    ...Object.entries(values)
      .filter(([key]) => !shownAbove.has(key) && !key.startsWith('if.') && key !== 'needs')
      .map(([key, { value, origin: place }]): Line => {
        const variable = key.startsWith('env.') ? rendered.env[key.slice('env.'.length)] : undefined
        return { text: `  ${key}: ${shorten(variable ?? value)}`, origin: place }
      }),
  ]
}

function inOneLine(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

/** One line of bounded length. */
function shorten(value: unknown): string {
  const text = Array.isArray(value) ? value.map(inOneLine).join(', ') : inOneLine(value)
  const [first = '', ...others] = text.trim().split('\n')
  const cut = first.length > valueLength ? `${first.slice(0, valueLength - 1)}…` : first
  return others.length === 0 ? cut : `${cut} (${others.length + 1} lines)`
}
