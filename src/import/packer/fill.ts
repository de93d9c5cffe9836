import { reservedNames } from '../../steps/handlebars.ts'
import { shQuote } from '../../util/sh-quote.ts'
import type { Collector } from '../collector.ts'
import { literalOf, type PackerValue, type PackerVariable } from './template.ts'

/** What the variables of a template become: parameters of the recipe, given to scripts as environment. */
export class Variables {
  readonly #byName: ReadonlyMap<string, PackerVariable>
  readonly #to: Collector

  constructor(variables: readonly PackerVariable[], to: Collector) {
    this.#byName = new Map(variables.map((variable) => [variable.name, variable]))
    this.#to = to
  }

  /** Declares a parameter for every variable, and tells of those that need a value. */
  declare(): void {
    for (const { name, at, default: value, description, sensitive } of this.#byName.values()) {
      const text = literalOf(value)
      const what = `variable ${name}`
      const param = paramName(name)
      const standard = sensitive ? '' : (text ?? '')
      this.#to.param({ name: param, default: standard, ...(description === undefined ? {} : { description }) })
      if (sensitive) {
        this.#to.notCarried(
          at,
          what,
          'it is sensitive, and recipes can be read by whoever may read the store',
          'let the host fetch it',
        )
      } else if (text === undefined) {
        const why = value.kind === 'null' ? 'it has no default' : 'its default is more than a text'
        this.#to.notCarried(at, what, why, `the parameter ${param} is empty: set it, or give it with --param`)
      } else {
        this.#to.carried(at, what, [], `parameter ${param}`)
      }
    }
  }

  /** The text with every variable at its default. Undefined where only Packer could fill it in. */
  literal(value: PackerValue | undefined): string | undefined {
    if (value?.kind !== 'text') return undefined
    const texts = value.pieces.map((piece) => {
      if (typeof piece === 'string') return piece
      return 'variable' in piece ? this.#default(piece.variable) : undefined
    })
    return texts.every((text) => text !== undefined) ? texts.join('') : undefined
  }

  /**
   * As the value of an environment variable of a step, or with `lines` as the text of a template: `{{param}}` for variables.
   * Undefined where that cannot be.
   */
  template(value: PackerValue, { lines } = { lines: false }): string | undefined {
    if (value.kind !== 'text') return undefined
    const texts = value.pieces.map((piece) => {
      if (typeof piece === 'string') return (lines ? /\{\{|\\$/ : /\{\{|[\n\0]/).test(piece) ? undefined : piece
      return 'variable' in piece && this.#byName.has(piece.variable) ? `{{${paramName(piece.variable)}}}` : undefined
    })
    return texts.every((text) => text !== undefined) ? texts.join('') : undefined
  }

  /**
   * A line of shell with variables in it: read from the environment where that comes to the same as Packer's pasting, else at
   * their defaults. Undefined where only Packer could fill it in.
   */
  shellLine(value: PackerValue): ShellLine | undefined {
    if (value.kind !== 'text') return undefined
    const env = new Map<string, string>()
    const fixed = new Set<string>()
    let text = ''
    for (const piece of value.pieces) {
      if (typeof piece === 'string') {
        text += piece
        continue
      }
      const standard = 'variable' in piece ? this.#default(piece.variable) : undefined
      if (standard === undefined || !('variable' in piece)) return undefined
      if (/^[\w./:@%+=,-]+$/.test(standard) && mayExpand(text)) {
        const name = `PKR_VAR_${paramName(piece.variable)}`
        env.set(name, `{{${paramName(piece.variable)}}}`)
        text += `\${${name}}`
      } else {
        fixed.add(piece.variable)
        text += standard
      }
    }
    return { text, env, fixed: [...fixed] }
  }

  #default(name: string): string | undefined {
    const variable = this.#byName.get(name)
    if (variable === undefined || variable.sensitive) return undefined
    return variable.default.kind === 'null' ? '' : literalOf(variable.default)
  }
}

export interface ShellLine {
  readonly text: string
  readonly env: ReadonlyMap<string, string>
  /** Variables that stand in it with their defaults. */
  readonly fixed: readonly string[]
}

/** Parameters have letters, digits and `_`. */
export function paramName(name: string): string {
  const plain = name.replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_')
  return reservedNames.has(plain) ? `${plain}_` : plain
}

/** An assignment that exports a text, for what cannot be a step's environment. */
export function exportLine(name: string, text: string): string {
  return `export ${name}=${shQuote(text)}\n`
}

/** False inside single quotes, here-documents, comments and after a backslash. */
function mayExpand(before: string): boolean {
  if (/<<|\\$/.test(before)) return false
  let quote = ''
  for (let at = 0; at < before.length; at += 1) {
    const char = before[at] ?? ''
    if (char === '\\' && quote !== "'") at += 1
    else if (quote === '' && char === '#' && /^$|\s/.test(before[at - 1] ?? '')) return false
    else if (quote === '' && (char === "'" || char === '"')) quote = char
    else if (char === quote) quote = ''
  }
  return quote !== "'"
}
