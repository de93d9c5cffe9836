import type { SourceLocation } from '../errors.ts'
import type { ParamValue } from '../recipe/model.ts'

export const importFormats = ['cloud-config', 'shell', 'mime', 'packer'] as const
export type ImportFormat = (typeof importFormats)[number]

/** A step of the recipe to be, as `recipe.yaml` has it. */
export interface StepDraft {
  /** Wanted; gets a number where another step has it already. */
  readonly name: string
  readonly description?: string
  /** Lines for people, written above the step. */
  readonly comments?: readonly string[]
  readonly when?: 'instance' | 'boot'
  readonly bake?: 'never'
  /** `type` and what belongs to it, in the order in which it is written. */
  readonly keys: Readonly<Record<string, unknown>>
  /**
   * Who does not wait for this step: `all` later ones, because it only says who a host is, or the `plain` ones, which
   * declare what is to be there and ask for nothing. Absent: all wait, because unknown means depends.
   */
  readonly apart?: 'all' | 'plain'
  /** True for packages, files, users and settings: what they make does not hang on commands before them. */
  readonly plain?: boolean
}

/** A file of the recipe folder. */
export interface ImportedFile {
  /** Relative, with `/`. */
  readonly path: string
  readonly content: Buffer
  readonly executable: boolean
}

/** What became of a piece of the input that was carried over. */
export interface Carried {
  readonly at: SourceLocation
  /** The piece in the words of its format, e.g. `packages` or `provisioner "shell"`. */
  readonly what: string
  /** Names of the steps that it became; empty where it needs none, as `note` tells. */
  readonly steps: readonly string[]
  /** What is not quite as it was. */
  readonly note?: string
}

/** A piece of the input that is not in the recipe. */
export interface NotCarried {
  readonly at: SourceLocation
  readonly what: string
  readonly why: string
  /** What to do instead. */
  readonly hint?: string
}

export interface ImportedParam {
  readonly name: string
  readonly default: ParamValue
  readonly description?: string
}

/** A step with its final name and what it waits for. */
export interface ImportedStep extends Omit<StepDraft, 'apart' | 'plain'> {
  /** Absent: all earlier steps. */
  readonly needs?: readonly string[]
}

/** All that an import comes to; nothing is written yet. */
export interface Imported {
  readonly params: readonly ImportedParam[]
  readonly steps: readonly ImportedStep[]
  readonly files: readonly ImportedFile[]
  /** By position in the input. */
  readonly carried: readonly Carried[]
  readonly notCarried: readonly NotCarried[]
}

/** A piece of text and where its first line stands: line 1 of `text` is line `line` of `file`. */
export interface SourceText {
  /** As it is shown to users. */
  readonly file: string
  readonly text: string
  readonly line: number
}

/** Line `line` (from 1) of a source text, in its file. */
export function lineOf(source: SourceText, line: number): SourceLocation {
  const sourceLine = source.text.split('\n')[line - 1]?.replace(/\r$/, '')
  return {
    file: source.file,
    line: source.line + line - 1,
    column: 1,
    ...(sourceLine === undefined ? {} : { sourceLine }),
  }
}
