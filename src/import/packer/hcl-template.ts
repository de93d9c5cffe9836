import { lineOf, type SourceText } from '../model.ts'
import { parseHcl, type Attribute, type Block, type Body, type Expression } from './hcl.ts'
import {
  afterReason,
  literalOf,
  machineReason,
  packerReason,
  type PackerOther,
  type PackerProvisioner,
  type PackerTemplate,
  type PackerValue,
  type PackerVariable,
  type Piece,
} from './template.ts'

/** Reads a template in HCL2. Throws UserError (exit code 2) with a position for what is none. */
export function readHclTemplate(source: SourceText): PackerTemplate {
  const root = parseHcl(source)
  const at = (line: number) => lineOf(source, line)
  const locals = readLocals(root)
  const value = (expression: Expression) => valueOf(expression, locals)
  const of = (type: string) => root.blocks.filter((block) => block.type === type)
  const builds = of('build')
  const variables = [
    ...of('variable').map((block): PackerVariable => {
      const description = literalOf(attribute(block, 'description', value))
      return {
        name: block.labels[0] ?? '',
        at: at(block.line),
        default: attribute(block, 'default', value) ?? { kind: 'null' },
        ...(description === undefined ? {} : { description }),
        sensitive: literalOf(attribute(block, 'sensitive', value)) === 'true',
      }
    }),
    ...of('variables').flatMap((block) =>
      block.attributes.map((entry): PackerVariable => ({
        ...{ name: entry.name, at: at(entry.line), default: value(entry.value), sensitive: false },
      })),
    ),
  ]
  const provisioners = builds.flatMap((build) =>
    build.blocks
      .filter(({ type }) => type === 'provisioner')
      .map((block): PackerProvisioner => ({
        type: block.labels[0] ?? '',
        at: at(block.line),
        fields: [
          ...block.attributes.map((entry) => ({ name: entry.name, value: value(entry.value), at: at(entry.line) })),
          ...block.blocks.map((inner) => ({
            ...{ name: inner.type, value: { kind: 'unknown', text: inner.type } as const, at: at(inner.line) },
          })),
        ],
      })),
  )
  const others = [
    ...root.blocks.flatMap((block) => otherBlock(block, at)),
    ...root.attributes.map(({ name, line }): PackerOther => ({ what: name, at: at(line), ...packerReason })),
  ]
  return { variables, provisioners, others }
}

function otherBlock(block: Block, at: (line: number) => PackerOther['at']): readonly PackerOther[] {
  const here = { what: [block.type, ...block.labels].join(' '), at: at(block.line) }
  if (['variable', 'variables', 'locals', 'local'].includes(block.type)) return []
  if (block.type === 'source') return [{ ...here, ...machineReason }]
  if (block.type === 'data') return [{ ...here, why: 'it is asked for while Packer builds' }]
  if (block.type !== 'build') return [{ ...here, ...packerReason }]
  return [
    ...block.attributes.map(({ name, line }) => ({
      ...{ what: `build ${name}`, at: at(line), ...(name === 'sources' ? machineReason : packerReason) },
    })),
    ...block.blocks
      .filter(({ type }) => type !== 'provisioner')
      .map((inner) => ({
        ...{ what: [inner.type, ...inner.labels].join(' '), at: at(inner.line) },
        ...(inner.type === 'source'
          ? machineReason
          : inner.type.startsWith('post-processor')
            ? afterReason
            : packerReason),
      })),
  ]
}

function attribute(
  block: Block,
  name: string,
  value: (expression: Expression) => PackerValue,
): PackerValue | undefined {
  const found = block.attributes.find((entry) => entry.name === name)
  return found === undefined ? undefined : value(found.value)
}

type Locals = ReadonlyMap<string, Expression>

function readLocals(root: Body): Locals {
  const entries = root.blocks.flatMap((block): readonly (readonly [string, Expression])[] => {
    if (block.type === 'locals') return block.attributes.map(({ name, value }: Attribute) => [name, value] as const)
    const expression = block.attributes.find(({ name }) => name === 'expression')?.value
    return block.type === 'local' && expression !== undefined ? [[block.labels[0] ?? '', expression]] : []
  })
  return new Map(entries)
}

/** What a value comes to without Packer; locals that contain themselves are unknown. */
function valueOf(expression: Expression, locals: Locals, within: readonly string[] = []): PackerValue {
  const inner = (each: Expression) => valueOf(each, locals, within)
  switch (expression.kind) {
    case 'scalar':
      return expression.value === null ? { kind: 'null' } : { kind: 'text', pieces: [String(expression.value)] }
    case 'list':
      return { kind: 'list', items: expression.items.map(inner) }
    case 'object':
      return { kind: 'map', entries: expression.entries.map(([key, value]) => [key, inner(value)] as const) }
    case 'text':
      return {
        kind: 'text',
        pieces: expression.pieces.flatMap((piece) =>
          typeof piece === 'string' ? [piece] : piecesOf(inner(piece), piece),
        ),
      }
    case 'reference':
      return referenceValue(expression.path, locals, within)
    case 'call':
      return callValue(expression.name, expression.args.map(inner))
    case 'other':
      return { kind: 'unknown', text: expression.text }
  }
}

function piecesOf(value: PackerValue, expression: Expression): readonly Piece[] {
  if (value.kind === 'text') return value.pieces
  const text =
    expression.kind === 'reference' ? expression.path : expression.kind === 'other' ? expression.text : 'a value'
  return [{ unknown: value.kind === 'unknown' ? value.text : text }]
}

function referenceValue(path: string, locals: Locals, within: readonly string[]): PackerValue {
  const [scope, name = '', ...rest] = path.split('.')
  if (scope === 'var' && rest.length === 0) return { kind: 'text', pieces: [{ variable: name }] }
  if (scope === 'path' && (name === 'root' || name === 'cwd')) return { kind: 'text', pieces: ['.'] }
  const local = scope === 'local' && rest.length === 0 && !within.includes(name) ? locals.get(name) : undefined
  return local === undefined ? { kind: 'unknown', text: path } : valueOf(local, locals, [...within, name])
}

/** The few functions that only put together what is there. */
function callValue(name: string, args: readonly PackerValue[]): PackerValue {
  const [first, second] = args
  if (name === 'concat' && args.every(({ kind }) => kind === 'list')) {
    return { kind: 'list', items: args.flatMap((arg) => (arg.kind === 'list' ? arg.items : [])) }
  }
  const separator = literalOf(first)
  if (name === 'join' && separator !== undefined && second?.kind === 'list') {
    const texts = second.items.map((item) => (item.kind === 'text' ? item.pieces : [{ unknown: `${name}(…)` }]))
    return { kind: 'text', pieces: texts.flatMap((pieces, index) => (index === 0 ? pieces : [separator, ...pieces])) }
  }
  return { kind: 'unknown', text: `${name}(…)` }
}
