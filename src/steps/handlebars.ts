import type { ParamValue } from '../recipe/model.ts'
import { shQuote } from '../util/sh-quote.ts'

/** A finding in a template; `line` and `column` count from 1. */
export interface TemplateProblem {
  readonly message: string
  readonly line: number
  readonly column?: number
  /** The variable that is unknown, for a suggestion. */
  readonly unknown?: string
}

export type TemplateResult =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problems: readonly TemplateProblem[] }

/** Names that a parameter cannot have, because templates read them otherwise. */
export const reservedNames: ReadonlySet<string> = new Set(
  'sh if unless each with lookup log else as this true false null undefined'.split(' '),
)

/**
 * Fills in a template: `{{name}}` as it is (no HTML escaping), `{{sh name}}` quoted for sh, `{{#if}}` and `{{#unless}}`.
 * Unknown variables, helpers and partials are problems, all of them at once. Handlebars is loaded only where there is more
 * to fill in than known variables.
 */
export async function fillTemplate(
  source: string,
  variables: Readonly<Record<string, ParamValue>>,
): Promise<TemplateResult> {
  const plain = fillPlain(source, variables)
  if (plain !== undefined) return { ok: true, text: plain }
  const { default: handlebars } = await import('handlebars')
  const engine = handlebars.create()
  engine.registerHelper('sh', (value: unknown) => shQuote(String(value)))
  try {
    const problems = findProblems(handlebars, handlebars.parse(source), variables)
    if (problems.length > 0) return { ok: false, problems }
    const render = engine.compile(source, { noEscape: true, strict: true })
    return { ok: true, text: render({ ...variables }) }
  } catch (error) {
    return { ok: false, problems: [syntaxProblem(error, source)] }
  }
}

/** Does what Handlebars would, where the text has nothing but `{{name}}` and `{{sh name}}`; else undefined. */
function fillPlain(source: string, variables: Readonly<Record<string, ParamValue>>): string | undefined {
  let isPlain = true
  const text = source.replaceAll(/\\?\{\{(?:(sh) +)?([A-Za-z_][A-Za-z0-9_]*)\}\}|\{\{/g, (found, helper, name) => {
    const value = typeof name === 'string' && Object.hasOwn(variables, name) ? variables[name] : undefined
    if (value === undefined || found.startsWith('\\') || reservedNames.has(String(name))) isPlain = false
    return helper === 'sh' ? shQuote(String(value)) : String(value)
  })
  // A third brace makes another tag of it.
  return isPlain && !/\{\{\{|\}\}\}/.test(source) ? text : undefined
}

function findProblems(
  library: typeof Handlebars,
  program: hbs.AST.Program,
  variables: Readonly<Record<string, ParamValue>>,
): TemplateProblem[] {
  const problems: TemplateProblem[] = []
  const report = (node: hbs.AST.Node, message: string, unknown?: string) =>
    problems.push({
      message,
      line: node.loc.start.line,
      column: node.loc.start.column + 1,
      ...(unknown === undefined ? {} : { unknown }),
    })

  const checkValue = (node: hbs.AST.Expression) => {
    if (node.type === 'SubExpression') checkCall(node as hbs.AST.SubExpression, ['sh'])
    if (node.type !== 'PathExpression') return
    const path = node as hbs.AST.PathExpression
    if (path.data || !Object.hasOwn(variables, path.original)) {
      report(path, `there is no parameter '${path.original}'`, path.original)
    }
  }
  const checkCall = (call: Pick<hbs.AST.MustacheStatement, 'path' | 'params' | 'hash'>, helpers: readonly string[]) => {
    const name = 'original' in call.path ? String(call.path.original) : ''
    if (!helpers.includes(name)) {
      report(call.path, `there is no helper '${name}' here: use ${helpers.join(' or ')}`)
    } else if (call.params.length !== 1 || (call.hash as hbs.AST.Hash | undefined) !== undefined) {
      report(call.path, `'${name}' takes exactly one parameter`)
    }
    call.params.forEach(checkValue)
  }

  class Checker extends library.Visitor {
    override MustacheStatement(node: hbs.AST.MustacheStatement): void {
      const isCall = node.params.length > 0 || (node.hash as hbs.AST.Hash | undefined) !== undefined
      if (isCall || ('original' in node.path && node.path.original === 'sh')) checkCall(node, ['sh'])
      else checkValue(node.path)
    }
    override BlockStatement(node: hbs.AST.BlockStatement): void {
      checkCall(node, ['if', 'unless'])
      this.accept(node.program)
      if ((node.inverse as hbs.AST.Program | undefined) !== undefined) this.accept(node.inverse)
    }
    override PartialStatement(node: hbs.AST.PartialStatement): void {
      report(node, 'partials are not supported')
    }
    override PartialBlockStatement(node: hbs.AST.PartialBlockStatement): void {
      report(node, 'partials are not supported')
    }
    override DecoratorBlock(node: hbs.AST.DecoratorBlock): void {
      report(node, 'decorators are not supported')
    }
    override Decorator(node: hbs.AST.Decorator): void {
      report(node, 'decorators are not supported')
    }
  }
  new Checker().accept(program)
  return problems
}

/** Syntax errors of the parser carry their line in the text only, others in fields. */
function syntaxProblem(error: unknown, source: string): TemplateProblem {
  if (!(error instanceof Error)) throw error
  const { message, lineNumber, column } = error as Error & { lineNumber?: number; column?: number }
  if (lineNumber !== undefined) {
    return { message: message.replace(/ - \d+:\d+$/, ''), line: lineNumber, column: (column ?? 0) + 1 }
  }
  const parsed = /^(?:Parse|Lexical) error on line (\d+)/.exec(message)
  if (parsed === null) throw error
  const line = Number(parsed[1])
  const text = source.split('\n')[line - 1] ?? ''
  return { message: 'the template has a syntax error', line, column: Math.max(0, text.indexOf('{{')) + 1 }
}
