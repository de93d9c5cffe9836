import type { SourceLocation } from '../../errors.ts'

/** A piece of a text: as it is, the value of a variable, or what only Packer could say. */
export type Piece = string | { readonly variable: string } | { readonly unknown: string }

/** A value of a template, from JSON and HCL2 alike. Numbers and booleans are texts. */
export type PackerValue =
  | { readonly kind: 'text'; readonly pieces: readonly Piece[] }
  | { readonly kind: 'list'; readonly items: readonly PackerValue[] }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [string, PackerValue])[] }
  | { readonly kind: 'null' }
  | { readonly kind: 'unknown'; readonly text: string }

export interface PackerField {
  readonly name: string
  readonly value: PackerValue
  readonly at: SourceLocation
}

export interface PackerVariable {
  readonly name: string
  readonly at: SourceLocation
  readonly default: PackerValue
  readonly description?: string
  readonly sensitive: boolean
}

export interface PackerProvisioner {
  readonly type: string
  readonly at: SourceLocation
  readonly fields: readonly PackerField[]
}

/** A piece of a template that says nothing about what is to be on the machine. */
export interface PackerOther {
  readonly what: string
  readonly at: SourceLocation
  readonly why: string
  readonly hint?: string
}

/** A template of either form. */
export interface PackerTemplate {
  readonly variables: readonly PackerVariable[]
  readonly provisioners: readonly PackerProvisioner[]
  readonly others: readonly PackerOther[]
}

export const machineReason = {
  why: 'it says on which machine to build; a bake starts from a base',
  hint: 'see `parbake base build` and `parbake base import`',
} as const
export const afterReason = {
  why: 'it is about the finished image, which `parbake bake` writes, checks and publishes by itself',
} as const
export const packerReason = { why: 'it is about Packer itself' } as const

/** The text, where nothing in it has to be filled in; undefined otherwise. */
export function literalOf(value: PackerValue | undefined): string | undefined {
  if (value?.kind !== 'text') return undefined
  const texts = value.pieces.filter((piece) => typeof piece === 'string')
  return texts.length === value.pieces.length ? texts.join('') : undefined
}

/** What only Packer could say in a value, as it is written there. */
export function unknownsOf(value: PackerValue): readonly string[] {
  if (value.kind === 'unknown') return [value.text]
  if (value.kind === 'list') return value.items.flatMap(unknownsOf)
  if (value.kind === 'map') return value.entries.flatMap(([, inner]) => unknownsOf(inner))
  if (value.kind === 'null') return []
  return value.pieces.flatMap((piece) => (typeof piece === 'object' && 'unknown' in piece ? [piece.unknown] : []))
}

/** Elements of a list; a single value counts as one. */
export function listOf(value: PackerValue | undefined): readonly PackerValue[] {
  if (value === undefined || value.kind === 'null') return []
  return value.kind === 'list' ? value.items : [value]
}
