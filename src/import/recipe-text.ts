import { dumpYaml } from '../util/yaml.ts'
import type { Imported, ImportedStep } from './model.ts'

/** What recipe.yaml says of itself. */
export interface RecipeHead {
  readonly name: string
  /** Name of the imported file, without its folder. */
  readonly from: string
}

/** The text of recipe.yaml: what could not be carried over first, then the steps, each below what is to be said of it. */
export function recipeText({ name, from }: RecipeHead, imported: Imported): string {
  const { notCarried, params, steps } = imported
  const lost = notCarried.flatMap(({ at, what, why }) => comment(`- line ${at.line ?? '?'}, ${what}: ${why}`, '  '))
  const head = [
    '# yaml-language-server: $schema=./node_modules/parbake/dist/recipe.schema.json',
    `# Imported from ${oneLine(from)}.`,
    ...(lost.length === 0 ? [] : ['# Not carried over:', ...lost]),
  ]
  const paramLines = params.map(({ name: key, default: value, description }) =>
    dumpYaml({ [key]: description === undefined ? value : { default: value, description } }),
  )
  return [
    `${head.join('\n')}\n`,
    dumpYaml({ name }),
    ...(paramLines.length === 0 ? [] : [`params:\n${indent(paramLines.join(''))}`]),
    `steps:\n${steps.map(stepText).join('\n')}`,
  ].join('')
}

function stepText(step: ImportedStep): string {
  const { name, description, comments = [], when, bake, needs, keys } = step
  const { type, ...rest } = keys
  const value = {
    name,
    ...(description === undefined ? {} : { description: oneLine(description) }),
    type,
    ...(needs === undefined ? {} : { needs }),
    ...(when === undefined ? {} : { when }),
    ...(bake === undefined ? {} : { bake }),
    ...rest,
  }
  const lines = comments.flatMap((line) => comment(line)).join('\n')
  return indent(`${lines === '' ? '' : `${lines}\n`}${inOneLine(dumpYaml([value]))}`)
}

/** Lists of names and paths take less room beside their key. */
function inOneLine(text: string): string {
  return text.replaceAll(/^( *(?:needs|inputs)):\n((?: +- [\w./-]+\n)+)/gm, (_, key: string, items: string) => {
    const names = items
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^ +- /, ''))
    const line = `${key}: [${names.join(', ')}]\n`
    return line.length > 120 ? `${key}:\n${items}` : line
  })
}

/** One line as a comment of as many as it takes. */
function comment(text: string, hanging = ''): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of oneLine(text).split(' ')) {
    if (line !== '' && line.length + word.length > 112) {
      lines.push(line)
      line = `${hanging}${word}`
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line].map((entry) => `# ${entry}`)
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim()
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ')
}
